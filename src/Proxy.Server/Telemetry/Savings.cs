using Proxy.Server.Routing;

namespace Proxy.Server.Telemetry;

/// <summary>What reads that the cache answered would have asked of the backends, and what their owners would have billed: one sum for metrics and console.</summary>
internal sealed class Savings(SavedReads reads, BackendRouter router, PriceList prices)
{
    public Saved Now() => Of(reads.Rows, prices, isBilled: router.All.OfType<RemoteS3Backend>().Any());

    internal static Saved Of(IEnumerable<SavedReads.Row> rows, PriceList prices, bool isBilled)
    {
        var (gets, heads, bytes, money) = (0L, 0L, 0L, 0.0);
        foreach (var row in rows)
        {
            gets += row.Gets;
            heads += row.Heads;
            bytes += row.Bytes;
            if (row.IsBilled)
            {
                var price = prices.Of(row.Backend);
                money += (row.Gets * price.Of("GetObject")) + (row.Heads * price.Of("HeadObject")) + price.OfEgress(row.Bytes);
                isBilled = true;
            }
        }

        return new Saved(gets, heads, bytes, isBilled ? money : null);
    }
}

/// <summary>Since the start.</summary>
/// <param name="Gets">Reads of objects that asked the backend for no bytes.</param>
/// <param name="Heads">The same of their facts.</param>
/// <param name="Bytes">Of object reads that no backend had to send.</param>
/// <param name="Money">By the configured prices; null where nobody bills: every backend is this process's own store.</param>
internal readonly record struct Saved(long Gets, long Heads, long Bytes, double? Money)
{
    public long Requests => Gets + Heads;
}
