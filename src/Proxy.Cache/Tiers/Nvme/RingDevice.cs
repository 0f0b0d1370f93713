using System.Collections.Concurrent;
using FASTER.core;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>The ring as FASTER sees it: a device that takes everything and never fails.</summary>
/// <remarks>
/// FASTER waits for ever for a page whose write failed, so a failed write is reported as done; <see cref="RingFile"/> remembers it.
/// The log is never read through here.
/// </remarks>
internal sealed class RingDevice : StorageDeviceBase
{
    private readonly RingFile _ring;
    private readonly PageWriter _writer;
    private readonly Action _written;
    private readonly ConcurrentDictionary<nint, bool> _large = new();
    private int _pending;

    /// <param name="written">Told after each write that FASTER asked for is done, on the writing thread.</param>
    public RingDevice(RingFile ring, Action written)
        : base(ring.File.Path, DataFile.Alignment, Devices.CAPACITY_UNSPECIFIED)
    {
        _ring = ring;
        _written = written;
        _writer = new PageWriter(ring);
        ThrottleLimit = 64;
    }

    public override bool Throttle() => Volatile.Read(ref _pending) > ThrottleLimit;

    public override void WriteAsync(IntPtr sourceAddress, int segmentId, ulong destinationAddress, uint numBytesToWrite, DeviceIOCompletionCallback callback, object context)
    {
        Interlocked.Increment(ref _pending);
        if (numBytesToWrite == _ring.Geometry.PageBytes && _large.TryAdd(sourceAddress, true))
        {
            // Once for each of FASTER's few pages, which lie in the GC's heap: a seventh of the CPU of a write was spent on pinning small ones.
            NativePages.MakeLarge(sourceAddress, (int)numBytesToWrite);
        }

        var address = _ring.Geometry.AddressOf(segmentId) + (long)destinationAddress;
        _writer.Write(sourceAddress, address, (int)numBytesToWrite, () =>
        {
            Interlocked.Decrement(ref _pending);
            callback(0, numBytesToWrite, context);
            _written();
        });
    }

    public override unsafe void ReadAsync(int segmentId, ulong sourceAddress, IntPtr destinationAddress, uint readLength, DeviceIOCompletionCallback callback, object context)
    {
        try
        {
            _ring.Read(new Span<byte>((void*)destinationAddress, (int)readLength), _ring.Geometry.AddressOf(segmentId) + (long)sourceAddress);
            callback(0, readLength, context);
        }
        catch (IOException)
        {
            callback(5, 0, context);
        }
    }

    public override void RemoveSegmentAsync(int segment, AsyncCallback callback, IAsyncResult result) => callback(result);

    public override void RemoveSegment(int segment)
    {
        // A ring has nothing to unlink: the slot is overwritten.
    }

    /// <summary>The log is about to go, with writes under way perhaps.</summary>
    public void Close() => _writer.Close();

    public override void Dispose() => _writer.Dispose();
}
