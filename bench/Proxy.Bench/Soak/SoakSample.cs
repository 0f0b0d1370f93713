using Proxy.Bench.Peers;
using Proxy.Bench.Report;

namespace Proxy.Bench.Soak;

/// <summary>What one interval of a soak saw, and what the proxy held at its end.</summary>
/// <param name="Minutes">Since the load began, at the interval's end.</param>
/// <param name="Requests">Answered in it.</param>
/// <param name="P50">Of the range reads, in milliseconds; whatever the tier.</param>
/// <param name="HitShare">Of the reads with an X-Cache header, those answered without the backend.</param>
/// <param name="CpuMicroseconds">Of the proxy's process, by request.</param>
/// <param name="CachedBytes">Of blocks in the proxy's memory tier, by its own count: as long as they grow, so do resident pages.</param>
/// <param name="ForeignCores">CPU that neither bench nor proxy used: a disturbed interval is known by it. The bench's own backends count here.</param>
internal sealed record SoakSample(
    double Minutes, long Requests, double P50, double P99, double HitShare, double CpuMicroseconds, long ResidentBytes, long CachedBytes, int Handles, int Threads, double ForeignCores)
{
    public double ResidentMiB => ResidentBytes / (double)(1 << 20);
}

/// <summary>Takes a <see cref="SoakSample"/> an interval, from the load's own counters and from /proc.</summary>
internal sealed class SoakSampler(SoakLoad load, RunReport report, ProxyServer proxy)
{
    private readonly int _process = proxy.Processes[0];
    private CpuWindow _cpu = new([Environment.ProcessId], [proxy.Processes[0]]);
    private TimeSpan _since = report.Elapsed;
    private readonly TimeSpan _began = report.Elapsed;
    private (long Requests, long Hits, long Reads) _before = Count(report);

    /// <summary>The interval that ends now.</summary>
    public async Task<SoakSample> TakeAsync(CancellationToken cancellation)
    {
        var cached = await proxy.ReadMetricAsync("s3_proxy_memory_cached_bytes", cancellation);
        var now = report.Elapsed;
        _cpu.Close(now - _since);
        var after = Count(report);
        var ranges = load.TakeLatencies();
        var requests = after.Requests - _before.Requests;
        var sample = new SoakSample(
            (now - _began).TotalMinutes, requests, ranges.MillisecondsAt(50), ranges.MillisecondsAt(99),
            (after.Hits - _before.Hits) / (double)Math.Max(1, after.Reads - _before.Reads),
            _cpu.SecondSeconds * 1e6 / Math.Max(1, requests),
            ProcessTree.ResidentBytes([_process]), double.IsNaN(cached) ? 0 : (long)cached,
            Directory.GetFileSystemEntries($"/proc/{_process}/fd").Length, Directory.GetDirectories($"/proc/{_process}/task").Length,
            _cpu.ForeignCores);
        (_before, _since, _cpu) = (after, now, new CpuWindow([Environment.ProcessId], [_process]));
        return sample;
    }

    private static (long Requests, long Hits, long Reads) Count(RunReport report)
        => (report.Operations.Values.Sum(operation => operation.Count),
            report.CacheOutcomes.Where(pair => pair.Key.Contains(" HIT", StringComparison.Ordinal)).Sum(pair => pair.Value),
            report.CacheOutcomes.Values.Sum());
}
