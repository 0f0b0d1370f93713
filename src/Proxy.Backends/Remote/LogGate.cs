namespace Proxy.Backends.Remote;

/// <summary>Lets one line through a minute, and counts what it keeps back. Thread-safe.</summary>
internal sealed class LogGate(TimeProvider time)
{
    private static readonly TimeSpan LogEvery = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private long _lastAt;
    private int _keptBack;
    private bool _hasPassed;

    public bool TryPass(out int keptBack)
    {
        lock (_lock)
        {
            if (_hasPassed && time.GetElapsedTime(_lastAt) < LogEvery)
            {
                _keptBack++;
                keptBack = 0;
                return false;
            }

            (keptBack, _keptBack, _lastAt, _hasPassed) = (_keptBack, 0, time.GetTimestamp(), true);
            return true;
        }
    }
}
