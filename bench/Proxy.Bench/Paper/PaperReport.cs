using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Paper;

/// <summary>The paper's table, as medians of the rounds: on screen, as JSON and as a page with plots.</summary>
internal sealed class PaperReport(PaperRun run, PaperPlan plan, string commandLine)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private static readonly string[] Rows =
    [
        "insert MiB/s", "index build s", "index build GiB I/O", "cold load s", "warm load s", "random read p50 ms", "random read p99 ms", "stored MiB", "cache on disk MiB",
    ];

    public bool WasInterrupted { get; set; }

    public bool IsGood => run.Columns.All(column => column.FindingCount == 0);

    private string Verdict
    {
        get
        {
            var reads = run.Columns.Where(column => column.Rounds.Count > 0).Select(column => string.Create(CultureInfo.InvariantCulture, $"{column.Name} {column.Median("random read p50 ms"):0.00} ms"));
            return $"paper: {(WasInterrupted ? "INTERRUPTED" : IsGood ? "good" : "NOT GOOD")}: {run.Columns.Sum(column => column.Checks)} checks, {run.Columns.Sum(column => column.FindingCount)} wrong; random reads at p50: {string.Join(", ", reads)}";
        }
    }

    public void Show(IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Simple).Title(Markup.Escape($"scale {plan.Scale.Name}, medians of {Rounds()}"));
        table.AddColumn("");
        foreach (var column in run.Columns)
        {
            table.AddColumn(new TableColumn(Markup.Escape(column.Name.Replace(" + ", "\n+ ", StringComparison.Ordinal))).RightAligned());
        }

        foreach (var row in Rows)
        {
            table.AddRow([row, .. run.Columns.Select(column => column.Median(row) is { } value ? Number(value) : "")]);
        }

        console.Write(table);
        foreach (var column in run.Columns)
        {
            foreach (var finding in column.Findings)
            {
                console.MarkupLineInterpolated($"[red]WRONG[/] {column.Name}: {finding}");
            }
        }

        console.WriteLine(Verdict);
    }

    public async Task SaveJsonAsync(FileInfo file, CancellationToken cancellation)
    {
        var content = new
        {
            Command = commandLine,
            Machine = MachineFacts.Read(),
            WasInterrupted,
            plan.Rounds,
            WarmupSeconds = plan.Warmup.TotalSeconds,
            Profiles = plan.Profiles.Select(profile => profile.ToString()),
            Columns = run.Columns.Select(column => new
            {
                column.Name,
                Figures = column.Rounds.SelectMany(round => round.Keys).Distinct().ToDictionary(figure => figure, figure => column.Median(figure)),
                column.Checks,
                Wrong = column.FindingCount,
                column.Findings,
                column.Rounds,
            }),
        };
        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
    }

    public HtmlPage Page()
    {
        var page = new HtmlPage("proxy-bench paper", commandLine, [.. plan.Profiles.Select(profile => $"Backend: the local store behind {profile}"), $"Scale {plan.Scale.Name}; medians of {Rounds()}, lowest and highest in brackets; every endpoint warmed for {plan.Warmup.TotalSeconds:0.#} s with other objects"]);
        page.Paragraph(Verdict);
        page.Table(["", .. run.Columns.Select(column => column.Name)], Rows.Select(row => (string[])[row, .. run.Columns.Select(column => Text(column, row))]));
        if (run.Columns.All(column => column.Rounds.Count == 0))
        {
            return page;
        }

        page.Latencies("Random reads of loaded data", [.. run.Columns.Where(column => column.Rounds.Count > 0).Select(column => column.RandomReads.Curve(column.Name))]);
        Bars("Random reads at p50", "milliseconds", "random read p50 ms");
        Bars("Cold load", "seconds", "cold load s");
        Bars("Warm load", "seconds", "warm load s");
        Bars("Insert", "MiB/s", "insert MiB/s");
        Bars("Index build", "seconds", "index build s");
        Bars("Stored on the backend's disk", "MiB", "stored MiB");
        return page;

        void Bars(string title, string up, string figure)
            => page.Image(
                Plots.Bars(
                    title, "", up, [.. plan.Profiles.Select(profile => profile.Name)],
                    [.. ((bool[])[false, true]).Select(isProxied => new BarSeries(isProxied ? "with the proxy" : "directly", [.. run.Columns.Where(column => column.IsProxied == isProxied).Select(column => column.Median(figure) ?? double.NaN)]))]),
                title);
    }

    private string Rounds()
    {
        var (least, most) = (run.Columns.Min(column => column.Rounds.Count), run.Columns.Max(column => column.Rounds.Count));
        return least == most ? $"{most} round{(most == 1 ? "" : "s")}" : $"{least} to {most} rounds";
    }

    private static string Text(PaperColumn column, string row)
        => column.Median(row) is not { } median ? ""
         : column.Range(row) is { } range && range.Lowest != range.Highest ? $"{Number(median)} ({Number(range.Lowest)}–{Number(range.Highest)})" : Number(median);

    private static string Number(double value) => value.ToString(value < 10 ? "0.###" : "0.#", CultureInfo.InvariantCulture);
}
