using System.Globalization;
using System.Text.Json;
using Spectre.Console;

namespace Proxy.Bench.Report;

/// <summary>Shows a <see cref="RunReport"/> on the terminal and, when asked, writes it as JSON.</summary>
internal static class ReportWriter
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private static readonly double[] Percentiles = [50, 90, 99, 99.9, 100];

    public static void Show(RunReport report, IAnsiConsole console)
    {
        var seconds = report.Elapsed.TotalSeconds;
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("operation");
        foreach (var title in (string[])["requests", "req/s", "MiB/s", "p50 ms", "p90", "p99", "p99.9", "max"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (var (name, operation) in Sorted(report.Operations))
        {
            string[] cells =
            [
                Markup.Escape(name),
                operation.Count.ToString(CultureInfo.InvariantCulture),
                Text(operation.Count / seconds),
                Text(operation.Bytes / seconds / (1 << 20)),
                .. Percentiles.Select(percentile => Text(operation.MillisecondsAt(percentile))),
            ];
            table.AddRow(cells);
        }

        console.Write(table);
        ShowNotes(report, console);
    }

    /// <summary>What is not latency: X-Cache, retries, refusals and findings.</summary>
    /// <param name="prefix">Of every line.</param>
    public static void ShowNotes(RunReport report, IAnsiConsole console, string prefix = "")
    {
        ShowCounters(console, prefix + "X-Cache", report.CacheOutcomes);
        ShowCounters(console, prefix + "retries", report.Retries);
        ShowCounters(console, prefix + "not 2xx", report.Refusals);
        foreach (var finding in report.Findings)
        {
            console.MarkupLineInterpolated($"[red]WRONG[/] {prefix}{finding}");
        }

        if (report.FindingCount > report.Findings.Count)
        {
            console.WriteLine($"… and {report.FindingCount - report.Findings.Count} more");
        }
    }

    /// <param name="subject">What the run was: values of the command line worth keeping beside the numbers; never a secret.</param>
    public static async Task SaveAsync(
        RunReport report, string command, IReadOnlyDictionary<string, object> subject, FileInfo file, TimeProvider time, CancellationToken cancellation)
    {
        var content = new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["command"] = command,
            ["at"] = time.GetUtcNow(),
            ["machine"] = MachineFacts.Read(),
            ["subject"] = subject,
        };
        foreach (var (name, value) in Content(report, report.Elapsed.TotalSeconds))
        {
            content.Add(name, value);
        }

        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
    }

    /// <summary>Everything a report counted, by its names in JSON.</summary>
    /// <param name="seconds">The measured time.</param>
    public static IReadOnlyDictionary<string, object> Content(RunReport report, double seconds) => new Dictionary<string, object>(StringComparer.Ordinal)
    {
        ["seconds"] = seconds,
        ["checks"] = report.Checks,
        ["wrong"] = report.FindingCount,
        ["findings"] = report.Findings,
        ["cache"] = report.CacheOutcomes,
        ["retries"] = report.Retries,
        ["refusals"] = report.Refusals,
        ["operations"] = report.Operations.ToDictionary(
            pair => pair.Key,
            pair => new
            {
                Requests = pair.Value.Count,
                pair.Value.Bytes,
                RequestsPerSecond = pair.Value.Count / seconds,
                MebibytesPerSecond = pair.Value.Bytes / seconds / (1 << 20),
                Milliseconds = Percentiles.ToDictionary(PercentileName, pair.Value.MillisecondsAt),
            }),
    };

    private static string PercentileName(double percentile)
        => percentile == 100 ? "max" : "p" + percentile.ToString(CultureInfo.InvariantCulture);

    private static void ShowCounters(IAnsiConsole console, string title, IReadOnlyDictionary<string, long> counters)
    {
        if (counters.Count > 0)
        {
            console.WriteLine($"{title}: {string.Join(", ", Sorted(counters).Select(pair => $"{pair.Key} {pair.Value}"))}");
        }
    }

    private static IEnumerable<KeyValuePair<string, T>> Sorted<T>(IReadOnlyDictionary<string, T> values)
        => values.OrderBy(pair => pair.Key, StringComparer.Ordinal);

    private static string Text(double value) => value.ToString(value < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
}
