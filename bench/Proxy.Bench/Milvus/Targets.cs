using System.Globalization;

namespace Proxy.Bench.Milvus;

/// <summary>What is held against the direct endpoint of the same run: medians against medians.</summary>
internal static class Targets
{
    /// <param name="results">Of all endpoints.</param>
    public static IReadOnlyList<(MilvusResult Of, Expectation Expectation)> Of(IReadOnlyList<MilvusResult> results)
    {
        var targets = new List<(MilvusResult, Expectation)>();
        foreach (var group in results.GroupBy(result => result.Workload))
        {
            var direct = group.FirstOrDefault(result => result.Endpoint.IsDirect && result.Wrong == 0);
            foreach (var result in group.Where(result => !result.Endpoint.IsDirect && result is { Wrong: 0, Skipped: null }))
            {
                targets.AddRange(Of(result, direct).Select(expectation => (result, expectation)));
            }
        }

        return targets;
    }

    private static IEnumerable<Expectation> Of(MilvusResult result, MilvusResult? direct) => result.Workload.Name switch
    {
        "W1" when direct is not null => Wal(result, direct),
        "W5" when direct is not null => ColdLoad(result, direct),
        "W6" => WarmReload(result),
        "W7" when direct is not null => TieredReads(result, direct),
        _ => [],
    };

    private static IEnumerable<Expectation> Wal(MilvusResult result, MilvusResult direct)
    {
        const string put = "PUT if-none-match";
        var added = result.MillisecondsAt(put, 50) - direct.MillisecondsAt(put, 50);
        yield return new Expectation("p50 of a WAL PUT: less than 0.3 ms added", added < 0.3, Text($"{added:+0.00;-0.00} ms; p99 {result.MillisecondsAt(put, 99) - direct.MillisecondsAt(put, 99):+0.00;-0.00} ms"));
    }

    private static IEnumerable<Expectation> ColdLoad(MilvusResult result, MilvusResult direct)
    {
        const string bytes = "cold load backend MiB";
        if (result.Figures.TryGetValue(bytes, out var own) && direct.Figures.TryGetValue(bytes, out var both))
        {
            yield return new Expectation("two replicas cost the backend half of what they cost it directly", own <= 0.51 * both, Text($"{own / both:0.000} of the bytes, {result.Figures["cold load s"] / direct.Figures["cold load s"]:0.00} of the time"));
        }
    }

    private static IEnumerable<Expectation> WarmReload(MilvusResult result)
    {
        var best = result.Figures.Where(pair => pair.Key.EndsWith(" GiB/s", StringComparison.Ordinal)).Select(pair => pair.Value).DefaultIfEmpty().Max();
        yield return new Expectation("a warm reload reaches 3 GiB/s", best >= 3, Text($"{best:0.00} GiB/s at best"));
    }

    /// <summary>Asked for where the backend is 10 ms away or more and the cache holds a quarter of the data.</summary>
    private static IEnumerable<Expectation> TieredReads(MilvusResult result, MilvusResult direct)
    {
        if (result.Endpoint.Backend is not { Profile.FirstByte.TotalMilliseconds: >= 10 })
        {
            yield break;
        }

        foreach (var (part, operation) in ((string, string)[])[("tiered", "cell"), ("uncoalesced", "cell in pieces")])
        {
            foreach (var inFlight in (int[])[16, 64])
            {
                if (result.Figures.TryGetValue($"{part} {inFlight} at 25 % cells/s", out var own) && direct.Figures.TryGetValue($"{part} {inFlight} cells/s", out var other))
                {
                    var p50 = direct.MillisecondsAt($"{operation} {inFlight}", 50) / result.MillisecondsAt($"{operation} {inFlight} at 25 %", 50);
                    yield return new Expectation($"{part} {inFlight}, cache of a quarter: 3 times the cells a second, p50 a tenth", own >= 3 * other && p50 >= 10, Text($"{own / other:0.0} times, p50 1/{p50:0.0}"));
                }
            }
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
