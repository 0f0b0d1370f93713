using Proxy.S3.Streaming;

namespace Proxy.Backends.Remote;

/// <summary>The body of one read: exactly the bytes that were promised, or an <see cref="IOException"/>.</summary>
/// <remarks>Not thread-safe. Fails a read that makes no progress for the stall timeout; the reader's own pauses do not count.</remarks>
internal sealed class BackendStream(
    Stream inner, HttpResponseMessage response, long skip, long length, string what, BackendCounters counters, TimeSpan stallTimeout, TimeProvider time) : ForwardOnlyStream
{
    private readonly CancellationTokenSource _stall = new(Timeout.InfiniteTimeSpan, time);
    private CancellationTokenRegistration _registration;
    private CancellationToken _registered;
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
            _registration.Dispose();
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
        if (cancellation != _registered)
        {
            await _registration.DisposeAsync().ConfigureAwait(false);
            _registered = cancellation;
            _registration = cancellation.UnsafeRegister(static stall => ((CancellationTokenSource)stall!).Cancel(), _stall);
        }

        int read;
        try
        {
            var pending = inner.ReadAsync(buffer, _stall.Token);
            if (pending.IsCompleted)
            {
                read = await pending.ConfigureAwait(false);
            }
            else
            {
                _stall.CancelAfter(stallTimeout);
                read = await pending.ConfigureAwait(false);
                _stall.CancelAfter(Timeout.InfiniteTimeSpan);
            }
        }
        catch (OperationCanceledException canceled) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException($"The backend sent nothing of {what} for {stallTimeout.TotalSeconds:0.#} s, {_left} bytes before its end.", canceled);
        }
        catch (HttpIOException broken)
        {
            throw new IOException($"The backend broke off {what}, {_left} bytes before its end.", broken);
        }

        if (read == 0)
        {
            throw new IOException($"The backend ended {what} {_left} bytes early.");
        }

        counters.Received(read);
        return read;
    }
}
