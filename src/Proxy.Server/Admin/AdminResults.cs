using Proxy.Backends.Remote;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.Cache.Tiers;
using Proxy.Server.Routing;

namespace Proxy.Server.Admin;

/// <summary>Everything that is counted, at one moment.</summary>
internal sealed record AdminStats
{
    public required string Version { get; init; }

    public required double UptimeSeconds { get; init; }

    public required CacheSnapshot Cache { get; init; }

    public required TierSnapshot Tiers { get; init; }

    public required PinState Pins { get; init; }

    public required IReadOnlyList<BackendView> Backends { get; init; }
}

/// <summary>One backend for people. Counters only grow; seconds are until response headers, summed.</summary>
/// <param name="Answers">By operation and status; status 0 is no answer.</param>
internal sealed record BackendView(
    string Name, string Description, bool IsRemote, long InFlight, long Retries, long BytesReceived, long BytesSent, IReadOnlyList<BackendAnswers> Answers, BackendHedges Hedges)
{
    public long Requests => Answers.Sum(row => row.Count);

    public double Seconds => Answers.Sum(row => row.Seconds);

    /// <summary>5xx and no answer.</summary>
    public long Failures => Answers.Where(row => row.Status is 0 or >= 500).Sum(row => row.Count);

    public static BackendView Of(Backend backend) => backend is RemoteS3Backend { Remote.Counters: var counters }
        ? new BackendView(backend.Name, backend.Description, true, counters.InFlight, counters.Retries, counters.BytesReceived, counters.BytesSent, Rows(counters), new BackendHedges(counters.Hedges, counters.HedgesWon, counters.HedgesLost))
        : new BackendView(backend.Name, backend.Description, false, 0, 0, 0, 0, [], default);

    private static List<BackendAnswers> Rows(BackendCounters counters)
        => [.. counters.Rows.OrderBy(row => row.Operation, StringComparer.Ordinal).ThenBy(row => row.Status).Select(row => new BackendAnswers(row.Operation, row.Status, row.Count, row.Seconds))];
}

/// <param name="Sent">Reads asked a second time because the first answer was late.</param>
/// <param name="Won">Of them, those whose second answer came first.</param>
/// <param name="Lost">Of them, those asked for nothing.</param>
internal readonly record struct BackendHedges(long Sent, long Won, long Lost);

internal sealed record BackendAnswers(string Operation, int Status, long Count, double Seconds);

internal sealed record PurgeResult(string Target, int Objects, long Bytes);

/// <summary>How much of what the backend holds is cached.</summary>
internal sealed record CheckResult
{
    public required string Target { get; init; }

    public long Objects { get; init; }

    public long Bytes { get; init; }

    /// <summary>In the catalog with the backend's ETag and size.</summary>
    public long KnownObjects { get; init; }

    /// <summary>Cached to the last byte.</summary>
    public long CachedObjects { get; init; }

    /// <summary>Bytes in memory; what is in both tiers counts here.</summary>
    public long MemoryBytes { get; init; }

    public long NvmeBytes { get; init; }

    /// <summary>0 to 100.</summary>
    public double Percent => Bytes > 0 ? 100.0 * (MemoryBytes + NvmeBytes) / Bytes : Objects > 0 ? 100.0 * CachedObjects / Objects : 0;
}

/// <param name="Cached">Null when the catalog does not know the key.</param>
internal sealed record ExplainResult(string Bucket, string Key, string Backend, KeyReport Report, CachedObject? Cached);
