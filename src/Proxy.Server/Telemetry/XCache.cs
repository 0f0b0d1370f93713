using Microsoft.Extensions.Primitives;
using Proxy.Cache;

namespace Proxy.Server.Telemetry;

/// <summary>How a <see cref="CacheOutcome"/> is spelled in the X-Cache header and in the access log.</summary>
internal static class XCache
{
    private static readonly string[] Names = ["BYPASS", "HIT-MEMORY", "HIT-NVME", "PARTIAL", "MISS", "REVALIDATED", "STALE"];
    private static readonly StringValues[] Values = [.. Names.Select(name => new StringValues(name))];

    public static string Of(CacheOutcome outcome) => Names[(int)outcome];

    /// <summary>The header's value, made once.</summary>
    public static StringValues Header(CacheOutcome outcome) => Values[(int)outcome];
}
