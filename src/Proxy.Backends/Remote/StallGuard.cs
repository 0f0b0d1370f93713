namespace Proxy.Backends.Remote;

/// <summary>Ends a read of an answer's body that brings nothing for too long; the reader's own pauses do not count.</summary>
/// <remarks>Of one stream, used by its one reader. The read itself is cancelled: until it has ended its buffer is not given back.</remarks>
internal sealed class StallGuard(TimeSpan patience, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _stall = new(Timeout.InfiniteTimeSpan, time);
    private CancellationTokenRegistration _registration;
    private CancellationToken _caller;

    /// <summary>What to read with: cancelled by the caller or by the guard.</summary>
    public CancellationToken With(CancellationToken caller)
    {
        if (caller != _caller)
        {
            _registration.Unregister();
            _caller = caller;
            _registration = caller.UnsafeRegister(static stall => ((CancellationTokenSource)stall!).Cancel(), _stall);
        }

        return _stall.Token;
    }

    /// <summary>The read has to wait.</summary>
    public void Begin() => _stall.CancelAfter(patience);

    /// <summary>It brought something.</summary>
    public void End() => _stall.CancelAfter(Timeout.InfiniteTimeSpan);

    public void Dispose()
    {
        _registration.Dispose();
        _stall.Dispose();
    }
}
