using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Soak;

/// <summary>A soak as a table, JSON and a page with plots, and whether it stayed flat.</summary>
/// <param name="setup">How the endpoints were set up, in words.</param>
internal sealed class SoakReport(IReadOnlyList<SoakSample> samples, RunReport report, string command, IReadOnlyList<string> setup)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Compared with the soak's last quarter. The first quarter fills the tiers and compiles the code.</summary>
    private IReadOnlyList<SoakSample> Second => [.. samples.Skip(samples.Count / 4).Take(Math.Max(1, samples.Count / 4))];

    private IReadOnlyList<SoakSample> Last => [.. samples.TakeLast(Math.Max(1, samples.Count / 4))];

    public static string Line(SoakSample sample)
        => string.Create(
            CultureInfo.InvariantCulture,
            $"{sample.Minutes,6:0.0} min  {sample.Requests,7} requests  p50 {sample.P50,6:0.00} ms  p99 {sample.P99,7:0.00}  hits {sample.HitShare,6:P1}  {sample.CpuMicroseconds,5:0} µs each  RSS {sample.ResidentMiB,6:0.0} MiB  handles {sample.Handles,4}  threads {sample.Threads,3}  others {sample.ForeignCores:0.00}");

    /// <summary>What grew from the second quarter to the last, beyond what medians differ by anyway.</summary>
    public IReadOnlyList<string> Growth()
    {
        var grown = new List<string>();
        Compare("resident MiB", sample => sample.ResidentMiB, before => before + Math.Max(16, before * 0.05));
        Compare("handles", sample => sample.Handles, before => before + 16);
        Compare("threads", sample => sample.Threads, before => before + 8);
        Compare("µs of CPU a request", sample => sample.CpuMicroseconds, before => before * 1.25);
        Compare("p50 ms", sample => sample.P50, before => (before * 1.25) + 0.1);
        return grown;

        void Compare(string what, Func<SoakSample, double> figure, Func<double, double> bound)
        {
            var (before, after) = (Median(Second, figure), Median(Last, figure));
            if (after > bound(before))
            {
                grown.Add(string.Create(CultureInfo.InvariantCulture, $"{what}: {before:0.##} in the second quarter, {after:0.##} in the last"));
            }
        }
    }

    public void Show(IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("medians of");
        foreach (var title in (string[])["RSS MiB", "handles", "threads", "p50 ms", "p99 ms", "hits", "µs a request"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (var (name, quarter) in ((string, IReadOnlyList<SoakSample>)[])[("second quarter", Second), ("last quarter", Last)])
        {
            table.AddRow(
                name, Text(quarter, sample => sample.ResidentMiB, "0.0"), Text(quarter, sample => sample.Handles, "0"), Text(quarter, sample => sample.Threads, "0"),
                Text(quarter, sample => sample.P50, "0.00"), Text(quarter, sample => sample.P99, "0.00"), Text(quarter, sample => sample.HitShare, "P1"),
                Text(quarter, sample => sample.CpuMicroseconds, "0"));
        }

        console.Write(table);
        foreach (var line in Growth())
        {
            console.MarkupLineInterpolated($"[red]GREW[/] {line}");
        }

        foreach (var finding in report.Findings)
        {
            console.MarkupLineInterpolated($"[red]WRONG[/] {finding}");
        }
    }

    public async Task SaveJsonAsync(FileInfo file, CancellationToken cancellation)
    {
        var content = new
        {
            Command = command,
            Machine = MachineFacts.Read(),
            Setup = setup,
            report.Checks,
            Wrong = report.FindingCount,
            report.Findings,
            report.Retries,
            report.Refusals,
            Cache = report.CacheOutcomes,
            Grew = Growth(),
            Samples = samples,
        };
        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
    }

    public async Task SaveHtmlAsync(FileInfo file, CancellationToken cancellation)
    {
        var page = new HtmlPage("proxy-bench soak", command, setup);
        double[] minutes = [.. samples.Select(sample => sample.Minutes)];
        Image("Resident memory", "MiB", [("RSS", sample => sample.ResidentMiB)]);
        Image("Handles and threads", "", [("handles", sample => sample.Handles), ("threads", sample => sample.Threads)]);
        Image("Range reads", "milliseconds", [("p50", sample => sample.P50), ("p99", sample => sample.P99)]);
        Image("CPU of the proxy", "µs a request", [("CPU", sample => sample.CpuMicroseconds)]);
        Image("Reads answered without the backend", "share", [("hits", sample => sample.HitShare)]);
        await page.SaveAsync(file, cancellation);

        void Image(string title, string up, (string Name, Func<SoakSample, double> Figure)[] lines)
            => page.Image(Plots.Lines(title, "minutes", up, lines.Select(line => new PlotSeries(line.Name, minutes, [.. samples.Select(line.Figure)]))));
    }

    private static double Median(IReadOnlyList<SoakSample> quarter, Func<SoakSample, double> figure)
    {
        var sorted = quarter.Select(figure).Order().ToList();
        return sorted[sorted.Count / 2];
    }

    private static string Text(IReadOnlyList<SoakSample> quarter, Func<SoakSample, double> figure, string format)
        => Median(quarter, figure).ToString(format, CultureInfo.InvariantCulture);
}
