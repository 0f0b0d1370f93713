using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Trace;

/// <summary>A replay as a table and as JSON, with a verdict.</summary>
/// <param name="lines">Reads of the trace.</param>
internal sealed class TraceReport(TraceReplay replay, int lines, string command)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Timers and the scheduler alone make less of it.</summary>
    private static readonly TimeSpan BehindTold = TimeSpan.FromMilliseconds(50);

    public bool WasInterrupted { get; set; }

    public long WrongCount => replay.Endpoints.Sum(endpoint => endpoint.Report.FindingCount);

    public void Show(IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("endpoint");
        table.AddColumn("operation");
        foreach (var title in (string[])["requests", "MiB", "p50 ms", "p99", "p99.9", "max"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (var endpoint in replay.Endpoints)
        {
            foreach (var (name, operation) in endpoint.Report.Operations.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                table.AddRow(
                    Markup.Escape(endpoint.Name), name, operation.Count.ToString(CultureInfo.InvariantCulture), (operation.Bytes >> 20).ToString(CultureInfo.InvariantCulture),
                    Text(operation.MillisecondsAt(50)), Text(operation.MillisecondsAt(99)), Text(operation.MillisecondsAt(99.9)), Text(operation.MillisecondsAt(100)));
            }
        }

        console.Write(table);
        foreach (var endpoint in replay.Endpoints)
        {
            ReportWriter.ShowNotes(endpoint.Report, console, $"{endpoint.Name}: ");
            if (endpoint.MostBehind > BehindTold)
            {
                console.WriteLine($"{endpoint.Name}: up to {Text(endpoint.MostBehind.TotalMilliseconds)} ms behind the trace's pace, which is in no latency: more --concurrency, or a lower --speed");
            }
        }

        var medians = replay.Endpoints.Where(endpoint => endpoint.Report.Operations.Count > 0)
            .Select(endpoint => $"{endpoint.Name} {string.Join(", ", endpoint.Report.Operations.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key} {Text(pair.Value.MillisecondsAt(50))} ms"))} at p50");
        var done = WasInterrupted ? $"{replay.Endpoints.Sum(endpoint => endpoint.Report.Operations.Values.Sum(operation => operation.Count))} of " : "";
        console.WriteLine(
            $"replay: {(WasInterrupted ? "INTERRUPTED" : WrongCount == 0 ? "good" : "NOT GOOD")}: {done}{(long)lines * replay.Endpoints.Count} reads at {replay.Endpoints.Count} endpoint{(replay.Endpoints.Count == 1 ? "" : "s")}, {replay.Endpoints.Sum(endpoint => endpoint.Report.Checks)} checks, {WrongCount} wrong; {string.Join("; ", medians)}");
    }

    public async Task SaveAsync(FileInfo file, CancellationToken cancellation)
    {
        var content = new
        {
            Command = command,
            Machine = MachineFacts.Read(),
            Reads = lines,
            replay.Speed,
            replay.Bucket,
            WasInterrupted,
            Wrong = WrongCount,
            Endpoints = replay.Endpoints.Select(endpoint => new
            {
                endpoint.Name,
                endpoint.Target.Endpoint,
                MostBehindMilliseconds = endpoint.MostBehind.TotalMilliseconds,
                Result = ReportWriter.Content(endpoint.Report, endpoint.Busy.TotalSeconds),
            }),
        };
        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
    }

    private static string Text(double value) => value.ToString(value < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
}
