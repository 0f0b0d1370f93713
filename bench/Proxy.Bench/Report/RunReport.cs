using System.Collections.Concurrent;
using System.Diagnostics;
using HdrHistogram;

namespace Proxy.Bench.Report;

/// <summary>Everything one run counts: latencies by operation, bytes, X-Cache outcomes, retries, refusals and findings.</summary>
/// <remarks>Filled by the clients and workloads, shown by <see cref="ReportWriter"/>. Thread-safe.</remarks>
internal sealed class RunReport
{
    private const int FindingsKept = 50;

    private readonly ConcurrentDictionary<string, OperationStatistics> _operations = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _cache = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _retries = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _refusals = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _findings = new();
    private readonly long _started = Stopwatch.GetTimestamp();
    private long _findingCount;
    private long _checks;
    private TimeSpan? _frozen;

    /// <summary>Since it was made, until it is frozen.</summary>
    public TimeSpan Elapsed => _frozen ?? Stopwatch.GetElapsedTime(_started);

    public IReadOnlyDictionary<string, OperationStatistics> Operations => _operations;

    /// <summary>Answers by operation and X-Cache value, as <c>GET HIT-MEMORY</c>; nothing for a server that sends none.</summary>
    public IReadOnlyDictionary<string, long> CacheOutcomes => _cache;

    public IReadOnlyDictionary<string, long> Retries => _retries;

    /// <summary>Answers that were not 2xx, by operation, status and S3 error code. Not by themselves a failure: a verify asks for some.</summary>
    public IReadOnlyDictionary<string, long> Refusals => _refusals;

    /// <summary>What was wrong, the first fifty in words; <see cref="FindingCount"/> has them all.</summary>
    public IReadOnlyCollection<string> Findings => _findings;

    public long FindingCount => Interlocked.Read(ref _findingCount);

    /// <summary>How many comparisons were made, so that "nothing wrong" can be told from "nothing looked at".</summary>
    public long Checks => Interlocked.Read(ref _checks);

    /// <summary>Ends the measured time.</summary>
    public void Freeze() => _frozen = Elapsed;

    public void Record(string operation, TimeSpan latency, string? cacheOutcome)
    {
        Statistics(operation).Record(latency);
        if (cacheOutcome is not null)
        {
            Count(_cache, $"{operation} {cacheOutcome}");
        }
    }

    public void AddBytes(string operation, long bytes) => Statistics(operation).AddBytes(bytes);

    public void CountRetry(string reason) => Count(_retries, reason);

    public void NoteRefusal(string operation, int status, string body)
    {
        var from = body.IndexOf("<Code>", StringComparison.Ordinal);
        var to = body.IndexOf("</Code>", StringComparison.Ordinal);
        Count(_refusals, from >= 0 && to > from ? $"{operation} {status} {body[(from + 6)..to]}" : $"{operation} {status}");
    }

    /// <summary>Counts one comparison and, when it did not hold, keeps what was wrong.</summary>
    public bool Check(bool holds, Func<string> otherwise)
    {
        Interlocked.Increment(ref _checks);
        if (!holds)
        {
            AddFinding(otherwise());
        }

        return holds;
    }

    public void AddFinding(string finding)
    {
        if (Interlocked.Increment(ref _findingCount) <= FindingsKept)
        {
            _findings.Enqueue(finding);
        }
    }

    /// <summary>A latency that was measured by a workload itself, over several requests.</summary>
    public void Record(string operation, TimeSpan latency, long bytes)
    {
        Statistics(operation).Record(latency);
        Statistics(operation).AddBytes(bytes);
    }

    private OperationStatistics Statistics(string operation)
        => _operations.GetOrAdd(operation, static _ => new OperationStatistics());

    private static void Count(ConcurrentDictionary<string, long> counters, string name)
        => counters.AddOrUpdate(name, 1, static (_, count) => count + 1);
}

/// <summary>Latencies and bytes of one operation. Thread-safe.</summary>
internal sealed class OperationStatistics
{
    private const long TenMinutes = 600_000_000;

    private readonly LongConcurrentHistogram _microseconds = new(1, TenMinutes, 3);
    private long _bytes;

    public long Count => _microseconds.TotalCount;

    public long Bytes => Interlocked.Read(ref _bytes);

    public void Record(TimeSpan latency) => _microseconds.RecordValue(Math.Clamp((long)latency.TotalMicroseconds, 1, TenMinutes));

    public void AddBytes(long bytes) => Interlocked.Add(ref _bytes, bytes);

    /// <summary>Takes another's latencies and bytes in.</summary>
    public void Add(OperationStatistics other)
    {
        _microseconds.Add(other._microseconds);
        AddBytes(other.Bytes);
    }

    public LatencyCurve Curve(string name) => new(name, Count, MillisecondsAt);

    public double MillisecondsAt(double percentile) => Count == 0 ? 0 : _microseconds.GetValueAtPercentile(percentile) / 1000.0;
}
