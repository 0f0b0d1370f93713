using Proxy.S3.Streaming;

namespace Proxy.Backends.Remote;

/// <summary>The body of one read: exactly the bytes that were promised, or an <see cref="IOException"/>.</summary>
/// <remarks>Not thread-safe. Fails a read that makes no progress for the stall timeout; the reader's own pauses do not count.</remarks>
internal sealed class BackendStream(
    Stream inner, HttpResponseMessage response, long skip, long length, string what, BackendCounters.Traffic traffic, TimeSpan stallTimeout, TimeProvider time) : ForwardOnlyStream
{
    private readonly StallGuard _stall = new(stallTimeout, time);
    private long _skip = skip;
    private readonly long _length = length;
    private long _left = length;
    private bool _disposed;
    private IDisposable? _turn;

    public override long Length => _length;

    public override long Position { get => _length - _left; set => throw new NotSupportedException(); }

    /// <summary>Disposed with the stream.</summary>
    public void Own(IDisposable turn) => _turn = turn;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_left == 0 || buffer.IsEmpty)
        {
            return 0;
        }

        while (_skip > 0)
        {
            var skipped = await ReadInnerAsync(buffer[..(int)Math.Min(buffer.Length, _skip)], cancellationToken).ConfigureAwait(false);
            _skip -= skipped;
        }

        var read = await ReadInnerAsync(buffer[..(int)Math.Min(buffer.Length, _left)], cancellationToken).ConfigureAwait(false);
        _left -= read;
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            _stall.Dispose();
            inner.Dispose();
            response.Dispose();
            _turn?.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <returns>At least one byte.</returns>
    private async ValueTask<int> ReadInnerAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        int read;
        try
        {
            read = await _stall.ReadAsync(inner, buffer, cancellation).ConfigureAwait(false);
        }
        catch (TimeoutException silent)
        {
            throw new IOException($"The backend sent nothing of {what} for {_stall.Patience.TotalSeconds:0.#} s, {_left} bytes before its end.", silent);
        }
        catch (HttpIOException broken)
        {
            throw new IOException($"The backend broke off {what}, {_left} bytes before its end.", broken);
        }

        if (read == 0)
        {
            throw new IOException($"The backend ended {what} {_left} bytes early.");
        }

        traffic.Received(read);
        return read;
    }
}
