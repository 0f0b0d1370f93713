using System.Runtime.CompilerServices;

namespace Proxy.Backends.Remote;

/// <summary>Reads an answer's body, and ends a read that brings nothing for too long; the reader's own pauses do not count.</summary>
/// <remarks>Of one stream, used by its one reader. The read itself is cancelled: until it has ended its buffer is not given back.</remarks>
internal sealed class StallGuard(TimeSpan patience, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _stall = new(Timeout.InfiniteTimeSpan, time);
    private CancellationTokenRegistration _registration;
    private CancellationToken _caller;

    /// <summary>What a read may bring nothing for.</summary>
    public TimeSpan Patience => patience;

    /// <returns>Bytes read; 0 at the end.</returns>
    /// <exception cref="TimeoutException">Nothing came for <see cref="Patience"/>.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(Stream body, Memory<byte> buffer, CancellationToken caller)
    {
        if (caller != _caller)
        {
            _registration.Unregister();
            _caller = caller;
            _registration = caller.UnsafeRegister(static stall => ((CancellationTokenSource)stall!).Cancel(), _stall);
        }

        try
        {
            var pending = body.ReadAsync(buffer, _stall.Token);
            if (pending.IsCompleted)
            {
                return await pending.ConfigureAwait(false);
            }

            _stall.CancelAfter(patience);
            var read = await pending.ConfigureAwait(false);
            _stall.CancelAfter(Timeout.InfiniteTimeSpan);
            return read;
        }
        catch (OperationCanceledException canceled) when (!caller.IsCancellationRequested)
        {
            throw new TimeoutException($"The backend sent nothing for {patience.TotalSeconds:0.#} s.", canceled);
        }
    }

    public void Dispose()
    {
        _registration.Dispose();
        _stall.Dispose();
    }
}
