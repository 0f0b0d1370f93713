namespace Proxy.Backends.Remote;

/// <summary>Measures how long a backend keeps silent in one forward: while it takes no more of the body, and once it has the whole request.</summary>
/// <remarks>
/// Runs only while it is the backend's move. Before the request has a connection nobody is blamed, and while the client has not sent more of its body it is the
/// client that is waited for. Told by <see cref="SilenceHandler"/> and <see cref="WatchedContent"/>, from several threads.
/// </remarks>
internal sealed class AnswerClock : IDisposable
{
    /// <summary>On the request, for the moment its head is written: there the pool has found a connection for it.</summary>
    public static readonly HttpRequestOptionsKey<AnswerClock> Key = new("Proxy.AnswerClock");

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _silence;
    private readonly CancellationTokenRegistration _caller;
    private readonly TimeSpan _patience;
    private readonly bool _headIsAll;
    private bool _hasStarted;
    private bool _isOver;

    /// <param name="headIsAll">The request has no body: it is sent when its head is.</param>
    public AnswerClock(TimeSpan patience, bool headIsAll, TimeProvider time, CancellationToken caller)
    {
        _patience = patience;
        _headIsAll = headIsAll;
        _silence = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        _caller = caller.UnsafeRegister(static silence => ((CancellationTokenSource)silence!).Cancel(), _silence);
    }

    /// <summary>Ends the request: the caller's word, or the backend's silence.</summary>
    public CancellationToken Token => _silence.Token;

    /// <summary>Told for each of its headers.</summary>
    public void HeadWritten()
    {
        if (_headIsAll && !_hasStarted)
        {
            _hasStarted = true;
            Start();
        }
    }

    /// <summary>It is the backend's move.</summary>
    public void Start() => Set(_patience);

    /// <summary>It moved, or it is somebody else's turn.</summary>
    public void Stop() => Set(Timeout.InfiniteTimeSpan);

    /// <summary>The answer is there, or will not come. A body that is still being sent is nobody's concern.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isOver)
            {
                return;
            }

            _isOver = true;
        }

        _caller.Dispose();
        _silence.Dispose();
    }

    private void Set(TimeSpan after)
    {
        lock (_lock)
        {
            if (!_isOver)
            {
                _silence.CancelAfter(after);
            }
        }
    }
}
