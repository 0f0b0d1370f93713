using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>The log without FASTER: a ring of four pages in memory, written out in order by one thread.</summary>
/// <remarks>The reference that <see cref="FasterLogWriter"/> is tested against, and the fallback by configuration.</remarks>
internal sealed unsafe class PlainLogWriter : ILogWriter
{
    private const int BufferedPages = 4;
    private const int PieceBytes = 1 << 20;
    private readonly RingFile _ring;
    private readonly byte* _buffer;
    private readonly long _bufferBytes;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _work = new(0, 1);
    private readonly Thread _thread;
    private long _tail;
    private long _flushed;
    private bool _flushAsked;
    private volatile bool _stopped;

    /// <inheritdoc cref="FasterLogWriter(RingFile, long, long)"/>
    public PlainLogWriter(RingFile ring, long tail)
    {
        _ring = ring;
        _bufferBytes = BufferedPages * ring.Geometry.PageBytes;
        _buffer = (byte*)NativeMemory.AlignedAlloc((nuint)_bufferBytes, DataFile.Alignment);
        NativeMemory.Clear(_buffer, (nuint)_bufferBytes);
        _tail = _flushed = tail;
        _thread = new Thread(Run) { IsBackground = true, Name = "nvme-write" };
        _thread.UnsafeStart();
    }

    public long TailAddress => Volatile.Read(ref _tail);

    public long FlushedUntilAddress => Volatile.Read(ref _flushed);

    public bool TryAppend(in BlockId id, ReadOnlySpan<byte> data, out long address)
    {
        var bytes = RecordLayout.LogHeaderBytes + ((RecordLayout.RecordBytes(data.Length) + 3) & ~3);
        lock (_lock)
        {
            var page = _ring.Geometry.PageBytes;
            address = (_tail & (page - 1)) + bytes > page ? (_tail + page - 1) & ~(page - 1) : _tail;
            if (address + bytes - (_flushed & -DataFile.Alignment) > _bufferBytes)
            {
                Wake();
                return false;
            }

            var target = new Span<byte>(_buffer + (address & (_bufferBytes - 1)), bytes);
            BinaryPrimitives.WriteInt32LittleEndian(target, bytes - RecordLayout.LogHeaderBytes);
            RecordLayout.Write(target[RecordLayout.LogHeaderBytes..], id, data);
            Volatile.Write(ref _tail, address + bytes);
            if (_tail - _flushed >= page)
            {
                Wake();
            }
        }

        return true;
    }

    public void Flush()
    {
        lock (_lock)
        {
            _flushAsked = true;
        }

        Wake();
    }

    public void ShiftBegin(long address)
    {
        // The ring file's own begin is all there is.
    }

    public void Dispose()
    {
        _stopped = true;
        Wake();
        if (_thread.Join(TimeSpan.FromSeconds(5)))
        {
            NativeMemory.AlignedFree(_buffer);
            _work.Dispose();
        }
    }

    private void Wake()
    {
        if (_work.CurrentCount == 0)
        {
            try
            {
                _work.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else woke it first.
            }
        }
    }

    private void Run()
    {
        while (!_stopped)
        {
            _work.Wait();
            while (!_stopped && TryNextPiece(out var from, out var until))
            {
                var start = from & -DataFile.Alignment;
                var end = (until + DataFile.Alignment - 1) & -DataFile.Alignment;
                _ring.Write(new ReadOnlySpan<byte>(_buffer + (start & (_bufferBytes - 1)), (int)(end - start)), start);
                Volatile.Write(ref _flushed, until);
            }
        }
    }

    /// <summary>Up to 1 MiB within one page, or to the tail when a flush was asked for.</summary>
    private bool TryNextPiece(out long from, out long until)
    {
        lock (_lock)
        {
            var page = _ring.Geometry.PageBytes;
            from = _flushed;
            var pageEnd = (from & -page) + page;
            var complete = _tail >= pageEnd;
            until = Math.Min(complete ? pageEnd : _tail, (from & -DataFile.Alignment) + PieceBytes);
            if (from == _tail)
            {
                _flushAsked = false;
            }

            return until > from && (complete || _flushAsked);
        }
    }
}
