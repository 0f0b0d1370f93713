using System.Globalization;
using System.Text;
using System.Text.Json;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Milvus;

/// <summary>A Milvus run on the screen and as JSON; <see cref="MilvusPage"/> has it with plots.</summary>
/// <param name="setup">How the endpoints were set up, in words.</param>
internal sealed class MilvusReport(IReadOnlyList<MilvusResult> results, string command, IReadOnlyList<string> setup)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private static readonly double[] Percentiles = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100];

    /// <summary>What the workloads were held to, and the targets against the direct endpoint.</summary>
    private readonly IReadOnlyList<(MilvusResult Of, Expectation Expectation)> _expectations =
        [.. results.SelectMany(result => result.Expectations.Select(expectation => (result, expectation))), .. Targets.Of(results)];

    public bool IsGood => results.All(result => result.Wrong == 0);

    /// <summary>Latencies by operation, everything the run was held to, and the verdict.</summary>
    public void Show(IAnsiConsole console, bool wasInterrupted)
    {
        ShowLatencies(console);
        foreach (var (of, expectation) in _expectations)
        {
            console.MarkupLineInterpolated($"{of.Workload.Name,-4}{of.Endpoint.Name,-8} [{(expectation.IsMet ? "green" : "red")}]{expectation}[/]");
        }

        foreach (var result in results)
        {
            foreach (var finding in result.Findings)
            {
                console.MarkupLineInterpolated($"[red]WRONG[/] {result.Workload.Name} {result.Endpoint.Name}: {finding}");
            }
        }

        var skipped = results.Where(result => result.Skipped is not null).Select(result => $"{result.Workload.Name} on {result.Endpoint.Name}").ToList();
        var verdict = wasInterrupted ? "INTERRUPTED" : IsGood ? "good" : "NOT GOOD";
        console.WriteLine(
            $"milvus: {verdict}: {results.Sum(result => result.Checks)} checks, {results.Sum(result => result.Wrong)} wrong; {_expectations.Count(pair => pair.Expectation.IsMet)} of {_expectations.Count} expectations met{(skipped.Count > 0 ? $"; skipped: {string.Join(", ", skipped)}" : "")}");
    }

    /// <summary>A result's own figures, a line a part, and what it was held to.</summary>
    public static string Lines(MilvusResult result)
    {
        var text = new StringBuilder($"{result.Workload.Name,-4}{result.Endpoint.Name,-8} {Verdict(result)}");
        // A figure belongs to the part with the longest name that it begins with.
        var figures = result.Figures.ToLookup(pair => result.Parts.Where(part => pair.Key.StartsWith(part + " ", StringComparison.Ordinal)).MaxBy(part => part.Length) ?? "");
        foreach (var part in result.Parts.Append(""))
        {
            var own = figures[part].Select(pair => $"{pair.Key[part.Length..].TrimStart()} {Text(pair.Value)}").ToList();
            if (own.Count > 0)
            {
                text.Append($"\n      {(part.Length > 0 ? part + ": " : "")}{string.Join(", ", own)}");
            }
        }

        foreach (var line in Remarks(result))
        {
            text.Append($"\n      {line}");
        }

        return text.ToString();
    }

    /// <summary>What a result was held to, and what a reader of its figures must know.</summary>
    public static IEnumerable<string> Remarks(MilvusResult result) => result.Expectations.Select(expectation => expectation.ToString()).Concat(result.Notes.Select(note => $"note: {note}"));

    /// <param name="isComplete">False while workloads are still to come, and for a run that was interrupted.</param>
    public async Task SaveJsonAsync(FileInfo file, bool isComplete)
    {
        var content = new
        {
            Command = command,
            Machine = MachineFacts.Read(),
            Setup = setup,
            IsComplete = isComplete,
            Expectations = _expectations.Select(pair => new { pair.Of.Workload.Name, Endpoint = pair.Of.Endpoint.Name, pair.Expectation.What, pair.Expectation.IsMet, pair.Expectation.Saw }),
            Results = results.Select(result => new
            {
                result.Workload.Name,
                result.Workload.Title,
                Endpoint = result.Endpoint.Name,
                result.Skipped,
                result.Figures,
                result.Checks,
                result.Wrong,
                result.Findings,
                result.Notes,
                Operations = result.Operations.ToDictionary(pair => pair.Key, pair => new
                {
                    Requests = pair.Value.Count,
                    pair.Value.Bytes,
                    Milliseconds = Percentiles.ToDictionary(percentile => "p" + percentile.ToString(CultureInfo.InvariantCulture), pair.Value.MillisecondsAt),
                }),
                Rounds = result.Rounds.Select(round => new
                {
                    round.Number,
                    Seconds = round.Report.Elapsed.TotalSeconds,
                    round.Figures,
                    round.Expectations,
                    round.Report.Retries,
                    round.Report.Refusals,
                    Cache = round.Report.CacheOutcomes,
                    HitRate = round.HitRate.Select(sample => new[] { sample.Seconds, sample.Share }),
                }),
            }),
        };

        // In one piece: an error while it is made must not cost what the file has of the workloads before.
        await File.WriteAllBytesAsync(file.FullName, JsonSerializer.SerializeToUtf8Bytes(content, Json), CancellationToken.None);
    }

    public static string Text(double value) => value.ToString(Math.Abs(value) switch { < 10 => "0.###", _ => "0.#" }, CultureInfo.InvariantCulture);

    private void ShowLatencies(IAnsiConsole console)
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
            foreach (var (name, operation) in result.Operations)
            {
                table.AddRow(
                    result.Workload.Name, Markup.Escape(result.Endpoint.Name), Markup.Escape(name), operation.Count.ToString(CultureInfo.InvariantCulture),
                    (operation.Bytes >> 20).ToString(CultureInfo.InvariantCulture),
                    Text(operation.MillisecondsAt(50)), Text(operation.MillisecondsAt(99)), Text(operation.MillisecondsAt(99.9)));
            }
        }

        console.Write(table);
    }

    private static string Verdict(MilvusResult result) => result switch
    {
        { Wrong: > 0 } => $"{result.Wrong} WRONG of {result.Checks} checks, {result.Retries} retries",
        { Skipped: { } why } => $"skipped: {why}",
        _ => $"good, {result.Checks} checks, {result.Retries} retries",
    };
}
