using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Http;
using Proxy.Bench.Load;
using Spectre.Console;

namespace Proxy.Bench.Report;

/// <summary>Shows a <see cref="LoadResult"/> on the terminal and, when asked, writes it as JSON.</summary>
internal static class LoadReport
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static void Show(LoadResult result, IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("operation");
        foreach (var title in (string[])["requests", "req/s", "MiB/s", "p50 ms", "p99", "p99.9", "max"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        table.AddColumn("X-Cache");
        foreach (var (operation, counts) in result.Operations)
        {
            table.AddRow(
                operation.ToString().ToUpperInvariant(), counts.Requests.ToString(CultureInfo.InvariantCulture),
                Text(counts.Requests / result.Seconds), Text(counts.Bytes / result.Seconds / (1 << 20)),
                Text(counts.Milliseconds(50)), Text(counts.Milliseconds(99)), Text(counts.Milliseconds(99.9)), Text(counts.Milliseconds(100)),
                Outcomes(counts));
        }

        console.Write(table);
        foreach (var finding in result.Findings)
        {
            console.MarkupLineInterpolated($"[red]WRONG[/] {finding}");
        }
    }

    /// <summary>As "Memory 99.8 %, Miss 0.2 %"; "-" for a server that does not say.</summary>
    public static string Outcomes(OperationCounts counts)
    {
        var parts = Enum.GetValues<CacheOutcome>()
            .Where(outcome => outcome != CacheOutcome.None && counts.Outcomes[(int)outcome] > 0)
            .Select(outcome => string.Create(CultureInfo.InvariantCulture, $"{outcome} {100.0 * counts.Outcomes[(int)outcome] / counts.Requests:0.#} %"));
        var text = string.Join(", ", parts);
        return text.Length > 0 ? text : "-";
    }

    public static async Task SaveAsync(LoadResult result, LoadPlan plan, S3Target target, LoadOptions load, FileInfo file, CancellationToken cancellation)
    {
        var content = new
        {
            Command = "load",
            Machine = MachineFacts.Read(),
            target.Endpoint,
            Objects = plan.Objects.Count,
            load.Connections,
            load.Threads,
            plan.RangeBytes,
            result.WasInterrupted,
            result.Seconds,
            result.ClientCpuSeconds,
            result.ServerCpuSeconds,
            result.ForeignCores,
            result.CheckedBytes,
            Wrong = result.FindingCount,
            result.Findings,
            Operations = result.Operations.ToDictionary(
                pair => pair.Key.ToString(),
                pair => new
                {
                    pair.Value.Requests,
                    pair.Value.Bytes,
                    P50 = pair.Value.Milliseconds(50),
                    P99 = pair.Value.Milliseconds(99),
                    P999 = pair.Value.Milliseconds(99.9),
                    Cache = Outcomes(pair.Value),
                }),
        };
        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
    }

    private static string Text(double value) => value.ToString(value < 10 ? "0.000" : "0.0", CultureInfo.InvariantCulture);
}
