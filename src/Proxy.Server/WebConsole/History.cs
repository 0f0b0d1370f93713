using Proxy.Cache;
using Proxy.Cache.Tiers;
using Proxy.Server.Admin;
using Proxy.Server.Telemetry;

namespace Proxy.Server.WebConsole;

/// <summary>Every counter of the house at one second.</summary>
internal sealed record Moment(long Timestamp, CacheSnapshot Cache, TierSnapshot Tiers, IReadOnlyList<BackendView> Backends, long[] ReadLatency, Saved Saved)
{
    /// <summary>GETs by how they were answered.</summary>
    public long Gets(params ReadOnlySpan<CacheOutcome> outcomes)
    {
        long sum = 0;
        foreach (var read in Cache.Reads)
        {
            sum += outcomes.IsEmpty || outcomes.Contains(read.Outcome) ? read.Requests - read.Heads : 0;
        }

        return sum;
    }

    public long Reads => Cache.Reads.Sum(read => read.Requests);

    public NvmeTotals Nvme => new(
        Tiers.Nvme.Sum(nvme => nvme.BlocksWritten), Tiers.Nvme.Sum(nvme => nvme.WrittenBytes), Tiers.Nvme.Sum(nvme => nvme.BlocksEvicted),
        Tiers.Nvme.Sum(nvme => nvme.BlocksReinserted), Tiers.Nvme.Sum(nvme => nvme.WritesDropped));
}

internal readonly record struct NvmeTotals(long BlocksWritten, long WrittenBytes, long BlocksEvicted, long BlocksReinserted, long WritesDropped);

/// <summary>One point of the console's charts: rates over a few seconds.</summary>
/// <param name="Ago">Seconds before now, negative.</param>
/// <param name="HitPercent">Of GETs; null when there were none.</param>
internal sealed record ChartPoint(
    double Ago, double MemoryRate, double NvmeRate, double BackendRate, double ReadsPerSecond, double? HitPercent, double MemoryHitPercent, double NvmeHitPercent,
    double P50Milliseconds, double P99Milliseconds, double Admitted, double Evicted, double MemoryEvicted, double Reinserted, double NvmeWriteRate, double BackendRequests, double BackendMilliseconds,
    double BackendInFlight, double BackendErrors, double BackendRetries, double BackendHedges);

/// <summary>How much time a chart shows: as much as there is, so that a proxy that has just started does not show ten empty minutes.</summary>
/// <param name="Seconds">Its width.</param>
/// <param name="Tick">Seconds between two labels.</param>
internal readonly record struct ChartFrame(int Seconds, int Tick)
{
    /// <summary>Points of a chart, so that one costs the same however long the proxy has run.</summary>
    public const int Points = 60;

    private static readonly ChartFrame[] All = [new(60, 15), new(120, 30), new(300, 60), new(600, 120)];

    /// <summary>Seconds of a point.</summary>
    public int Step => Seconds / Points;

    /// <param name="seconds">That there are readings of.</param>
    public static ChartFrame For(double seconds) => Array.Find(All, frame => frame.Seconds >= seconds - 2) is { Seconds: > 0 } found ? found : All[^1];
}

/// <summary>The last minutes of every counter, read once a second whether anybody looks or not, so that whoever opens the console sees what led up to now.</summary>
/// <remarks>Requests know nothing of it. Thread-safe.</remarks>
internal sealed class History : IAsyncDisposable
{
    public static readonly TimeSpan Span = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly AdminService _admin;
    private readonly LatencyHistogram _latency;
    private readonly Savings _savings;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Queue<Moment> _moments = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;

    public History(AdminService admin, LatencyHistogram latency, Savings savings, TimeProvider time)
    {
        (_admin, _latency, _savings, _time) = (admin, latency, savings, time);
        Now = Take();
        _moments.Enqueue(Now);
        _work = WatchAsync();
    }

    /// <summary>After every second's reading. Handlers return at once.</summary>
    public event EventHandler? Ticked;

    public Moment Now { get; private set; }

    /// <summary>The clock of its timestamps.</summary>
    public TimeProvider Time => _time;

    /// <summary>The reading of about so long ago, or the first there is.</summary>
    public Moment Before(TimeSpan ago)
    {
        lock (_lock)
        {
            var from = Now.Timestamp - (long)(ago.TotalSeconds * _time.TimestampFrequency);
            return _moments.First(moment => moment.Timestamp >= from);
        }
    }

    public double Seconds(Moment from, Moment to) => Math.Max(0.001, _time.GetElapsedTime(from.Timestamp, to.Timestamp).TotalSeconds);

    /// <summary>What charts show at this moment.</summary>
    public ChartFrame Frame
    {
        get
        {
            lock (_lock)
            {
                return ChartFrame.For(Seconds(_moments.Peek(), Now));
            }
        }
    }

    /// <summary>Points of the frame's step over the frame, oldest first; seconds before the start are left out.</summary>
    public IReadOnlyList<ChartPoint> Chart(ChartFrame frame)
    {
        Moment[] moments;
        lock (_lock)
        {
            moments = [.. _moments];
        }

        var points = new List<ChartPoint>(ChartFrame.Points);
        for (var last = moments.Length - 1; last - frame.Step >= 0 && points.Count < ChartFrame.Points; last -= frame.Step)
        {
            points.Add(Between(moments[last - frame.Step], moments[last], moments[^1]));
        }

        points.Reverse();
        return points;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private ChartPoint Between(Moment from, Moment to, Moment now)
    {
        var seconds = Seconds(from, to);
        double Rate(long before, long after) => (after - before) / seconds;
        var gets = to.Gets() - from.Gets();
        var memory = to.Gets(CacheOutcome.HitMemory, CacheOutcome.Revalidated, CacheOutcome.Stale) - from.Gets(CacheOutcome.HitMemory, CacheOutcome.Revalidated, CacheOutcome.Stale);
        var nvme = to.Gets(CacheOutcome.HitNvme) - from.Gets(CacheOutcome.HitNvme);
        double Grown(Func<BackendView, double> count) => GrownBetween(from.Backends, to.Backends, count);
        var backendRequests = Grown(static backend => backend.Requests);
        var backendSeconds = Grown(static backend => backend.Seconds);
        return new ChartPoint(
            -_time.GetElapsedTime(to.Timestamp, now.Timestamp).TotalSeconds,
            Rate(from.Cache.Served.Memory, to.Cache.Served.Memory),
            Rate(from.Cache.Served.Nvme, to.Cache.Served.Nvme),
            Rate(from.Cache.Served.Backend, to.Cache.Served.Backend),
            Rate(from.Reads, to.Reads),
            gets > 0 ? 100.0 * (memory + nvme) / gets : null,
            gets > 0 ? 100.0 * memory / gets : 0,
            gets > 0 ? 100.0 * nvme / gets : 0,
            LatencyHistogram.Percentile(from.ReadLatency, to.ReadLatency, 0.5).TotalMilliseconds,
            LatencyHistogram.Percentile(from.ReadLatency, to.ReadLatency, 0.99).TotalMilliseconds,
            Rate(from.Nvme.BlocksWritten, to.Nvme.BlocksWritten),
            Rate(from.Nvme.BlocksEvicted, to.Nvme.BlocksEvicted),
            Rate(from.Tiers.Memory.Evictions, to.Tiers.Memory.Evictions),
            Rate(from.Nvme.BlocksReinserted, to.Nvme.BlocksReinserted),
            Rate(from.Nvme.WrittenBytes, to.Nvme.WrittenBytes),
            backendRequests / seconds,
            backendRequests > 0 ? 1000 * backendSeconds / backendRequests : 0,
            to.Backends.Sum(backend => backend.InFlight),
            Grown(static backend => backend.Failures) / seconds,
            Grown(static backend => backend.Retries) / seconds,
            Grown(static backend => backend.Hedges.Sent) / seconds);
    }

    /// <summary>Of those that are in both readings: one that a reload took away, or brought back, has not answered less or more for it.</summary>
    internal static double GrownBetween(IReadOnlyList<BackendView> from, IReadOnlyList<BackendView> to, Func<BackendView, double> count)
    {
        double sum = 0;
        foreach (var now in to)
        {
            foreach (var before in from)
            {
                sum += before.Name == now.Name ? count(now) - count(before) : 0;
            }
        }

        return sum;
    }

    private Moment Take()
    {
        var cache = _admin.Cache.Snapshot();
        return new Moment(_time.GetTimestamp(), cache, _admin.Cache.TierSnapshot(), [.. _admin.Router.All.Select(BackendView.Of)], _latency.Counts(), _savings.Now());
    }

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(Tick, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                var now = Take();
                lock (_lock)
                {
                    _moments.Enqueue(now);
                    while (_moments.Count > Span.TotalSeconds + 1)
                    {
                        _moments.Dequeue();
                    }

                    Now = now;
                }

                Ticked?.Invoke(this, EventArgs.Empty);
            }
        }
        catch (OperationCanceledException)
        {
            // The house closes.
        }
    }
}
