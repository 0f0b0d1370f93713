namespace Proxy.Server.Admin;

/// <summary>Bytes per second for everybody who shares it: each asker is told when its bytes' turn is.</summary>
/// <remarks>Thread-safe. Askers queue in the order they asked; one that gives up leaves its turn unused.</remarks>
internal sealed class BytePace(long? bytesPerSecond, TimeProvider time)
{
    private readonly Lock _lock = new();
    private long _freeAt = time.GetTimestamp();

    public async ValueTask WaitAsync(long bytes, CancellationToken cancellation)
    {
        if (bytesPerSecond is not { } rate)
        {
            return;
        }

        TimeSpan wait;
        lock (_lock)
        {
            var now = time.GetTimestamp();
            var turn = Math.Max(now, _freeAt);
            _freeAt = turn + (long)((double)bytes / rate * time.TimestampFrequency);
            wait = time.GetElapsedTime(now, turn);
        }

        if (wait > TimeSpan.Zero)
        {
            await Task.Delay(wait, time, cancellation);
        }
    }
}
