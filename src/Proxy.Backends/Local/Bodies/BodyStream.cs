using System.Buffers;
using System.Runtime.InteropServices;
using Proxy.S3.Streaming;

namespace Proxy.Backends.Local.Bodies;

/// <summary>Reads a list of extents as one stream of bytes, by positional reads on shared handles.</summary>
/// <remarks>Not thread-safe. Owns pins on its files and gives each back where it has been read to its end, so that an object of 10,000 parts holds one file open; disposing gives back the rest.</remarks>
internal sealed class BodyStream(BodyFolder folder, List<Extent> extents, IReadOnlyDictionary<long, byte[]> inline, long length) : ForwardOnlyStream
{
    /// <summary>What CopyTo asks for at a time: large enough that the calls cost nothing beside the bytes.</summary>
    private const int CopyBytes = 1 << 20;

    private int _extent;
    private long _inExtent;
    private long _position;
    private bool _disposed;

    public override long Length => length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_extent == extents.Count || buffer.IsEmpty)
        {
            return 0;
        }

        var extent = extents[_extent];
        var take = (int)Math.Min(buffer.Length, extent.Length - _inExtent);
        if (extent.Inline)
        {
            inline[extent.Body].AsMemory((int)(extent.Offset + _inExtent), take).CopyTo(buffer);
        }
        else
        {
            take = await RandomAccess.ReadAsync(folder.Open(extent.Body), buffer[..take], extent.Offset + _inExtent, cancellationToken).ConfigureAwait(false);
            if (take == 0)
            {
                throw new EndOfStreamException($"The body {extent.Body:x} is shorter than the index says.");
            }
        }

        _inExtent += take;
        _position += take;
        Interlocked.Add(ref folder.Counts.BytesRead, take);
        if (_inExtent == extent.Length)
        {
            folder.Unpin(new ReadOnlySpan<Extent>(in extent));
            _extent++;
            _inExtent = 0;
        }

        return take;
    }

    public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(CopyBytes, Math.Max(length - _position, 1)));
        try
        {
            int read;
            while ((read = await ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                await destination.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            folder.Unpin(CollectionsMarshal.AsSpan(extents)[_extent..]);
        }

        base.Dispose(disposing);
    }
}
