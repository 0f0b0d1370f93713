using System.Collections.Concurrent;
using Proxy.Bench.Http;
using Proxy.Bench.Report;

namespace Proxy.Bench.Trace;

/// <summary>One endpoint of a replay: its connections, and what was counted of it.</summary>
/// <remarks>Thread-safe but for <see cref="Busy"/>, which belongs to the replay.</remarks>
internal sealed class ReplayEndpoint(string name, S3Target target, int connections) : IDisposable
{
    private readonly ConcurrentDictionary<string, S3ClientPool> _pools = new(StringComparer.Ordinal);
    private long _mostBehind;

    public string Name => name;

    public S3Target Target => target;

    public RunReport Report { get; } = new();

    /// <summary>How long its turns took together.</summary>
    public TimeSpan Busy { get; set; }

    /// <summary>The longest that a read was sent after its time in the trace, because all connections were taken; in no latency.</summary>
    public TimeSpan MostBehind => TimeSpan.FromTicks(Interlocked.Read(ref _mostBehind));

    /// <summary>A client is of one bucket; a trace may be of several.</summary>
    public S3ClientPool Clients(string bucket) => _pools.GetOrAdd(bucket, of => new S3ClientPool(target with { Bucket = of }, Report, TimeProvider.System, connections));

    public void NoteBehind(TimeSpan behind)
    {
        for (var most = Interlocked.Read(ref _mostBehind); behind.Ticks > most;)
        {
            most = Interlocked.CompareExchange(ref _mostBehind, behind.Ticks, most) is var seen && seen == most ? behind.Ticks : seen;
        }
    }

    public void Dispose()
    {
        foreach (var pool in _pools.Values)
        {
            pool.Dispose();
        }
    }
}
