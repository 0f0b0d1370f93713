using Proxy.Cache;
using Proxy.Server.Routing;

namespace Proxy.Server.Telemetry;

/// <summary>What reads that the cache answered would have asked of the backend, and what its owner would have billed: one sum for metrics and console.</summary>
internal sealed class Savings(RequestMetrics requests, BackendRouter router, PriceOptions prices)
{
    /// <param name="snapshot">Of the cache, as it stands beside the figures that are asked for.</param>
    public Saved Of(CacheSnapshot snapshot)
    {
        var (gets, heads) = requests.Saved;
        var served = snapshot.Served;
        return Of(gets, heads, served.Memory + served.Nvme, prices, isBilled: router.All.OfType<RemoteS3Backend>().Any());
    }

    internal static Saved Of(long gets, long heads, long bytes, PriceOptions prices, bool isBilled)
        => new(gets + heads, bytes, isBilled ? (gets * prices.Of("GetObject")) + (heads * prices.Of("HeadObject")) + prices.OfEgress(bytes) : null);
}

/// <summary>Since the start.</summary>
/// <param name="Requests">Object reads that asked the backend for no bytes.</param>
/// <param name="Bytes">Of object reads that no backend had to send.</param>
/// <param name="Money">By the configured prices; null where nobody bills: every backend is this process's own store.</param>
internal readonly record struct Saved(long Requests, long Bytes, double? Money);
