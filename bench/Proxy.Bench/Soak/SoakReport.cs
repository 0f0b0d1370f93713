using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Soak;

/// <summary>A soak as a table, JSON and a page with plots, and whether it stayed flat.</summary>
/// <param name="setup">How the endpoints were set up, in words.</param>
internal sealed class SoakReport(IReadOnlyList<SoakSample> samples, RunReport report, string command, IReadOnlyList<string> setup, bool wasInterrupted)
{
    /// <summary>Fewer samples have no quarters to compare.</summary>
    public const int LeastSamples = 4;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private readonly List<string> _growth = samples.Count < LeastSamples ? [] : FindGrowth(Second(samples), Last(samples), Filled(samples));

    public bool IsGood => report.FindingCount == 0 && _growth.Count == 0 && samples.Count >= LeastSamples;

    public string Verdict
    {
        get
        {
            var growth = samples.Count < LeastSamples ? $"{samples.Count} samples, {LeastSamples} at least tell growth" : _growth.Count == 0 ? "nothing grew" : $"{_growth.Count} figures grew";
            return $"soak: {(wasInterrupted ? "INTERRUPTED" : IsGood ? "good" : "NOT GOOD")}: {report.Checks} checks, {report.FindingCount} wrong; {growth}";
        }
    }

    public static string Line(SoakSample sample)
        => string.Create(
            CultureInfo.InvariantCulture,
            $"{sample.Minutes,5:0.0} min {sample.Requests,6} requests  p50 {sample.P50:0.00} p99 {sample.P99:0.00} ms  hits {sample.HitShare:P0} {sample.CpuMicroseconds:0} µs  {sample.ResidentMiB:0} MiB  {sample.Handles} handles {sample.Threads} threads");

    public void Show(IAnsiConsole console)
    {
        if (samples.Count > 0)
        {
            console.Write(Table());
        }

        foreach (var line in _growth)
        {
            console.MarkupLineInterpolated($"[red]GREW[/] {line}");
        }

        foreach (var finding in report.Findings)
        {
            console.MarkupLineInterpolated($"[red]WRONG[/] {finding}");
        }

        console.WriteLine(Verdict);
    }

    public async Task SaveJsonAsync(FileInfo file, CancellationToken cancellation)
    {
        var content = new
        {
            Command = command,
            Machine = MachineFacts.Read(),
            Setup = setup,
            WasInterrupted = wasInterrupted,
            report.Checks,
            Wrong = report.FindingCount,
            report.Findings,
            report.Retries,
            report.Refusals,
            Cache = report.CacheOutcomes,
            Grew = _growth,
            Samples = samples,
        };
        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
    }

    public HtmlPage Page()
    {
        var page = new HtmlPage("proxy-bench soak", command, setup);
        page.Paragraph(Verdict);
        foreach (var line in _growth)
        {
            page.Paragraph($"Grew: {line}");
        }

        if (samples.Count > 1)
        {
            Image("Resident memory", "MiB", [("RSS", sample => sample.ResidentMiB), ("blocks in the memory tier", sample => sample.CachedBytes / (double)(1 << 20))]);
            Image("Handles and threads", "number", [("handles", sample => sample.Handles), ("threads", sample => sample.Threads)]);
            Image("Range reads", "milliseconds", [("p50", sample => sample.P50), ("p99", sample => sample.P99)]);
            Image("CPU of the proxy", "µs a request", [("CPU", sample => sample.CpuMicroseconds)]);
            Image("Reads answered without the backend", "percent", [("hits", sample => 100 * sample.HitShare)], top: 100);
        }

        return page;

        void Image(string title, string up, (string Name, Func<SoakSample, double> Figure)[] lines, double? top = null)
            => page.Image(
                Plots.Lines(title, "minutes", up, lines.Select(line => new PlotSeries(line.Name, [.. samples.Select(sample => sample.Minutes)], [.. samples.Select(line.Figure)])), top), title);
    }

    /// <summary>Compared with the last quarter. The first one fills the tiers and compiles the code.</summary>
    private static IReadOnlyList<SoakSample> Second(IReadOnlyList<SoakSample> samples) => [.. samples.Skip(samples.Count / 4).Take(samples.Count / 4)];

    private static IReadOnlyList<SoakSample> Last(IReadOnlyList<SoakSample> samples) => [.. samples.TakeLast(samples.Count / 4)];

    /// <summary>By sample, the most MiB of blocks that the memory tier had held until then: what it gives up keeps its pages.</summary>
    private static Dictionary<SoakSample, double> Filled(IReadOnlyList<SoakSample> samples)
    {
        var filled = new Dictionary<SoakSample, double>(ReferenceEqualityComparer.Instance);
        var most = 0L;
        foreach (var sample in samples)
        {
            most = Math.Max(most, sample.CachedBytes);
            filled[sample] = most / (double)(1 << 20);
        }

        return filled;
    }

    /// <summary>What grew from the second quarter to the last, beyond what medians differ by anyway and, for memory, what the tier that is to fill took in meanwhile.</summary>
    private static List<string> FindGrowth(IReadOnlyList<SoakSample> second, IReadOnlyList<SoakSample> last, Dictionary<SoakSample, double> filled)
    {
        var grown = new List<string>();
        var filling = Median(last, sample => filled[sample]) - Median(second, sample => filled[sample]);
        Compare("resident MiB", sample => sample.ResidentMiB, before => before + filling + Math.Max(16, before * 0.05));
        Compare("handles", sample => sample.Handles, before => before + 16);
        Compare("threads", sample => sample.Threads, before => before + 8);
        Compare("µs of CPU a request", sample => sample.CpuMicroseconds, before => before * 1.25);
        Compare("p50 ms", sample => sample.P50, before => (before * 1.25) + 0.1);
        return grown;

        void Compare(string what, Func<SoakSample, double> figure, Func<double, double> bound)
        {
            var (before, after) = (Median(second, figure), Median(last, figure));
            if (after > bound(before))
            {
                grown.Add(string.Create(CultureInfo.InvariantCulture, $"{what}: {before:0.##} in the second quarter, {after:0.##} in the last"));
            }
        }
    }

    private static double Median(IReadOnlyList<SoakSample> quarter, Func<SoakSample, double> figure)
    {
        var sorted = quarter.Select(figure).Order().ToList();
        return sorted[sorted.Count / 2];
    }

    private static string Text(IReadOnlyList<SoakSample> quarter, Func<SoakSample, double> figure, string format)
        => Median(quarter, figure).ToString(format, CultureInfo.InvariantCulture);

    private Table Table()
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("medians of");
        foreach (var title in (string[])["RSS MiB", "handles", "threads", "p50 ms", "p99 ms", "hits", "µs a request"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        (string, IReadOnlyList<SoakSample>)[] rows = samples.Count < LeastSamples ? [("all samples", samples)] : [("second quarter", Second(samples)), ("last quarter", Last(samples))];
        foreach (var (name, quarter) in rows)
        {
            table.AddRow(
                name, Text(quarter, sample => sample.ResidentMiB, "0.0"), Text(quarter, sample => sample.Handles, "0"), Text(quarter, sample => sample.Threads, "0"),
                Text(quarter, sample => sample.P50, "0.00"), Text(quarter, sample => sample.P99, "0.00"), Text(quarter, sample => sample.HitShare, "P1"),
                Text(quarter, sample => sample.CpuMicroseconds, "0"));
        }

        return table;
    }
}
