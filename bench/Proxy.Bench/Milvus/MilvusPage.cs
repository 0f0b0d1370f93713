using Proxy.Bench.Report;

namespace Proxy.Bench.Milvus;

/// <summary>A Milvus run as a page: its figures, what it was held to, and plots.</summary>
internal static class MilvusPage
{
    /// <summary>Fewer make no line over time.</summary>
    private const int LeastSamples = 5;

    /// <param name="setup">How the endpoints were set up, in words.</param>
    public static HtmlPage Of(IReadOnlyList<MilvusResult> results, string command, IReadOnlyList<string> setup)
    {
        var page = new HtmlPage("proxy-bench milvus", command, setup);
        var targets = Targets.Of(results);
        if (targets.Count > 0)
        {
            page.Heading("Targets").Table(
                ["", "endpoint", "target", "", "seen"],
                targets.Select(pair => (string[])[pair.Of.Workload.Name, pair.Of.Endpoint.Name, pair.Expectation.What, pair.Expectation.IsMet ? "met" : "MISSED", pair.Expectation.Saw]));
        }

        foreach (var group in results.GroupBy(result => result.Workload))
        {
            Append(page, group.Key, [.. group]);
        }

        return page;
    }

    private static void Append(HtmlPage page, MilvusWorkload workload, List<MilvusResult> group)
    {
        page.Heading($"{workload.Name}: {workload.Title}");
        var rows = group.SelectMany(result => result.Figures.Keys).Distinct()
            .Select(name => (string[])[name, .. group.Select(result => result.Figures.TryGetValue(name, out var value) ? MilvusReport.Text(value) : "")])
            .Append(["wrong bytes or statuses", .. group.Select(result => result is { Skipped: { } why, Wrong: 0 } ? $"skipped: {why}" : MilvusReport.Text(result.Wrong))]);
        page.Table(["", .. group.Select(result => result.Endpoint.Name)], rows);
        foreach (var result in group)
        {
            foreach (var line in MilvusReport.Remarks(result))
            {
                page.Paragraph($"{result.Endpoint.Name}: {line}");
            }
        }

        foreach (var operation in group.SelectMany(result => result.Operations.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            page.Latencies(
                $"{workload.Name} {operation}", [.. group.Where(result => result.Operations.ContainsKey(operation)).Select(result => result.Operations[operation].Curve(result.Endpoint.Name))]);
        }

        AppendThroughput(page, workload, group);
        AppendHitRate(page, workload, group);
    }

    /// <summary>Of parts that come at several concurrencies, as "warm 16 GiB/s", a plot each; of all others one plot a unit.</summary>
    private static void AppendThroughput(HtmlPage page, MilvusWorkload workload, List<MilvusResult> group)
    {
        foreach (var unit in (string[])["GiB/s", "MB/s", "cells/s", "keys/s", "ops/s"])
        {
            var parts = group.SelectMany(result => result.Figures.Keys).Where(name => name.EndsWith(" " + unit, StringComparison.Ordinal)).Distinct().Select(name => name[..^(unit.Length + 1)]);
            foreach (var plot in parts.GroupBy(part => part.IndexOfAny(['1', '2', '3', '4', '5', '6', '7', '8', '9']) is var digit and > 0 ? part[..digit].TrimEnd() : ""))
            {
                var title = plot.Key.Length > 0 ? $"{workload.Name} {plot.Key}: throughput by concurrency" : $"{workload.Name}: throughput, {unit}";
                var bars = group.Select(result => new BarSeries(result.Endpoint.Name, [.. plot.Select(part => result.Figures.GetValueOrDefault($"{part} {unit}", double.NaN))]));
                page.Image(Plots.Bars(title, plot.Key.Length > 0 ? "in flight" : "", unit, [.. plot.Select(part => part[plot.Key.Length..].TrimStart())], [.. bars]), title);
            }
        }
    }

    /// <summary>Of the first round, whose cache is the coldest.</summary>
    private static void AppendHitRate(HtmlPage page, MilvusWorkload workload, List<MilvusResult> group)
    {
        // What answers BYPASS and nothing else has no cache: a line at zero would say that it has a bad one.
        var hits = group.Select(result => (result.Endpoint.Name, Round: result.Rounds[0]))
            .Where(one => one.Round.HitRate.Count >= LeastSamples && one.Round.Report.CacheOutcomes.Keys.Any(outcome => !outcome.EndsWith(" BYPASS", StringComparison.Ordinal))).ToList();
        if (hits.Count > 0)
        {
            var title = $"{workload.Name}: hit rate over time";
            var lines = hits.Select(one => new PlotSeries(one.Name, [.. one.Round.HitRate.Select(sample => sample.Seconds)], [.. one.Round.HitRate.Select(sample => 100 * sample.Share)]));
            page.Image(Plots.Lines(title, "seconds", "percent of reads", lines, top: 100), title);
        }
    }
}
