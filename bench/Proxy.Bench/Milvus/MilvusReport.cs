using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Milvus;

/// <summary>A Milvus run as a table, JSON, and a page with plots.</summary>
/// <param name="setup">How the endpoints were set up, in words.</param>
internal sealed class MilvusReport(IReadOnlyList<MilvusResult> results, string command, IReadOnlyList<string> setup)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };
    /// <summary>Fewer make no line over time.</summary>
    private const int LeastSamples = 5;

    private static readonly double[] Percentiles = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100];

    public void Show(IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (var title in (string[])["", "endpoint", "operation"])
        {
            table.AddColumn(title);
        }

        foreach (var title in (string[])["requests", "MiB", "p50 ms", "p99", "p99.9"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (var result in results)
        {
            foreach (var (name, operation) in result.Report.Operations.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                table.AddRow(
                    result.Workload.Name, Markup.Escape(result.Endpoint), Markup.Escape(name), operation.Count.ToString(CultureInfo.InvariantCulture),
                    (operation.Bytes >> 20).ToString(CultureInfo.InvariantCulture),
                    Text(operation.MillisecondsAt(50)), Text(operation.MillisecondsAt(99)), Text(operation.MillisecondsAt(99.9)));
            }
        }

        console.Write(table);
    }

    /// <summary>One line a result: its own figures.</summary>
    public static string Line(MilvusResult result)
    {
        var figures = result.Figures.Select(pair => $"{pair.Key} {Text(pair.Value)}");
        return $"{result.Workload.Name,-4}{result.Endpoint,-8} {(result.Report.FindingCount == 0 ? "good" : $"{result.Report.FindingCount} WRONG")}, {result.Report.Checks} checks, {result.Report.Retries.Values.Sum()} retries: {string.Join(", ", figures)}";
    }

    public async Task SaveJsonAsync(FileInfo file, CancellationToken cancellation)
    {
        var content = new
        {
            Command = command,
            Machine = MachineFacts.Read(),
            Setup = setup,
            Results = results.Select(result => new
            {
                result.Workload.Name,
                result.Workload.Title,
                result.Endpoint,
                result.Figures,
                Seconds = result.Report.Elapsed.TotalSeconds,
                result.Report.Checks,
                Wrong = result.Report.FindingCount,
                result.Report.Findings,
                result.Report.Retries,
                result.Report.Refusals,
                Cache = result.Report.CacheOutcomes,
                HitRate = result.HitRate.Select(sample => new[] { sample.Seconds, sample.Share }),
                Operations = result.Report.Operations.ToDictionary(
                    pair => pair.Key,
                    pair => new
                    {
                        Requests = pair.Value.Count,
                        pair.Value.Bytes,
                        Milliseconds = Percentiles.ToDictionary(percentile => "p" + percentile.ToString(CultureInfo.InvariantCulture), pair.Value.MillisecondsAt),
                    }),
            }),
        };
        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
    }

    public HtmlPage Page()
    {
        var page = new HtmlPage("proxy-bench milvus", command, setup);
        foreach (var group in results.GroupBy(result => result.Workload))
        {
            Append(page, group.Key, [.. group]);
        }

        return page;
    }

    private static void Append(HtmlPage page, MilvusWorkload workload, List<MilvusResult> group)
    {
        page.Markup($"<h2>").Text($"{workload.Name}: {workload.Title}").Markup($"</h2><table><tr><th>");
        var names = group.SelectMany(result => result.Figures.Keys).Distinct().ToList();
        group.ForEach(result => page.Markup($"<th>").Text(result.Endpoint));
        foreach (var name in names)
        {
            page.Markup($"<tr><td>").Text(name);
            group.ForEach(result => page.Markup($"<td>").Text(result.Figures.TryGetValue(name, out var value) ? Text(value) : ""));
        }

        page.Markup($"<tr><td>wrong bytes or statuses");
        group.ForEach(result => page.Markup($"<td>{result.Report.FindingCount}"));
        page.Markup($"</table>");
        foreach (var operation in group.SelectMany(result => result.Report.Operations.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            page.Latencies($"{workload.Name} {operation}", [.. group.Where(result => result.Report.Operations.ContainsKey(operation)).Select(result => result.Report.Operations[operation].Curve(result.Endpoint))]);
        }

        // Figures as "warm 16 GiB/s": one group of bars a number of connections.
        var throughput = names.Where(name => name.EndsWith(" GiB/s", StringComparison.Ordinal)).ToList();
        if (throughput.Count > 0)
        {
            var title = $"{workload.Name}: throughput by connections";
            page.Image(Plots.Bars(title, "connections", "GiB/s", [.. throughput.Select(name => name.Split(' ')[1])], [.. group.Select(result => new BarSeries(result.Endpoint, [.. throughput.Select(name => result.Figures.GetValueOrDefault(name, double.NaN))]))]), title);
        }

        // What answers BYPASS and nothing else has no cache: a line at zero would say that it has a bad one.
        var hits = group.Where(result => result.HitRate.Count >= LeastSamples && result.Report.CacheOutcomes.Keys.Any(outcome => !outcome.EndsWith(" BYPASS", StringComparison.Ordinal))).ToList();
        if (hits.Count > 0)
        {
            var title = $"{workload.Name}: hit rate over time";
            page.Image(Plots.Lines(title, "seconds", "percent of reads", hits.Select(result => new PlotSeries(result.Endpoint, [.. result.HitRate.Select(sample => sample.Seconds)], [.. result.HitRate.Select(sample => 100 * sample.Share)])), top: 100), title);
        }
    }

    private static string Text(double value) => value.ToString(Math.Abs(value) switch { < 10 => "0.###", _ => "0.#" }, CultureInfo.InvariantCulture);
}
