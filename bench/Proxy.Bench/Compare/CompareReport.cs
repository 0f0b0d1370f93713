using System.Globalization;
using System.Text;
using System.Text.Json;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Compare;

/// <summary>Shows a comparison as a table, and keeps it as JSON and CSV; ratios are to the first server.</summary>
internal sealed class CompareReport(IReadOnlyList<BenchServer> servers, IReadOnlyList<CompareCell> cells, string tier, CompareGrid grid)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private readonly BenchServer _subject = servers[0];

    public void Show(IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Simple).Title(Markup.Escape($"{tier}-hot; capacity = 2 cores ÷ (server + client CPU a request)"));
        table.AddColumn("work");
        table.AddColumn(new TableColumn("conns").RightAligned());
        table.AddColumn("server");
        foreach (var title in (string[])["req/s", "MiB/s", "p50 ms", "p99", "p99.9", "srv µs", "cli µs", "srv s/GiB", "capacity", "RSS MiB", "others"])
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (var server in servers)
        {
            table.AddColumn(new TableColumn(Markup.Escape("÷ " + server.Name)).RightAligned());
        }

        table.AddColumn("X-Cache");
        foreach (var row in cells.GroupBy(cell => (cell.Work, cell.Connections)))
        {
            foreach (var cell in row)
            {
                table.AddRow(Cells(cell, row));
            }

            table.AddEmptyRow();
        }

        console.Write(table);
    }

    public async Task SaveAsync(FileInfo? json, FileInfo? csv, string command, CompareRun run, CancellationToken cancellation)
    {
        if (json is not null)
        {
            await using var stream = json.Create();
            await JsonSerializer.SerializeAsync(stream, Content(command, run), Json, cancellation);
        }

        if (csv is not null)
        {
            await File.WriteAllTextAsync(csv.FullName, Csv(), cancellation);
        }
    }

    private string[] Cells(CompareCell cell, IEnumerable<CompareCell> row) =>
    [
        Markup.Escape(cell.Work.Name),
        cell.Connections.ToString(CultureInfo.InvariantCulture),
        Markup.Escape(cell.Server),
        Text(cell.RequestsPerSecond), Text(cell.MebibytesPerSecond),
        Text(cell.Milliseconds(50)), Text(cell.Milliseconds(99)), Text(cell.Milliseconds(99.9)),
        Text(cell.ServerMicroseconds), Text(cell.ClientMicroseconds), Text(cell.ServerSecondsPerGibibyte),
        Text(cell.Capacity), Text(cell.ResidentBytes / (double)(1 << 20)), Text(cell.ForeignCores),
        .. servers.Select(server => row.First(other => other.Server == server.Name) is { Capacity: > 0 } other && server.Name != cell.Server
            ? (cell.Capacity / other.Capacity).ToString("0.00", CultureInfo.InvariantCulture) : ""),
        Markup.Escape(cell.OriginRequests > 0 ? $"{cell.Outcomes}; origin asked {cell.OriginRequests}" : cell.Outcomes),
    ];

    private object Content(string command, CompareRun run) => new
    {
        Command = command,
        Machine = MachineFacts.Read(),
        Tier = tier,
        grid.Rounds,
        SecondsPerTurn = grid.Duration.TotalSeconds,
        WarmupSeconds = grid.Warmup.TotalSeconds,
        ClientThreads = grid.Threads,
        Servers = servers.Select(server => new { server.Name, server.Description }),
        run.CheckedBytes,
        Wrong = run.FindingCount,
        run.Findings,
        Cells = cells.Select(cell => new
        {
            Work = cell.Work.Name,
            cell.Connections,
            cell.Server,
            cell.Requests,
            cell.RequestsPerSecond,
            cell.MebibytesPerSecond,
            P50 = cell.Milliseconds(50),
            P99 = cell.Milliseconds(99),
            P999 = cell.Milliseconds(99.9),
            cell.ServerMicroseconds,
            cell.ClientMicroseconds,
            cell.ServerSecondsPerGibibyte,
            cell.Capacity,
            CapacityLowest = cell.CapacityRange.Lowest,
            CapacityHighest = cell.CapacityRange.Highest,
            cell.ResidentBytes,
            cell.ForeignCores,
            cell.OriginRequests,
            cell.Outcomes,
            SubjectRatio = Ratio(cell),
        }),
    };

    private string Csv()
    {
        var text = new StringBuilder("tier,work,connections,server,requests,req_per_s,mib_per_s,p50_ms,p99_ms,p999_ms,server_us,client_us,server_s_per_gib,capacity,capacity_low,capacity_high,rss_mib,other_cores,origin_requests,subject_ratio\n");
        foreach (var cell in cells)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{tier},{cell.Work.Name},{cell.Connections},{cell.Server},{cell.Requests},{cell.RequestsPerSecond:0.0},{cell.MebibytesPerSecond:0.0},{cell.Milliseconds(50):0.0000},{cell.Milliseconds(99):0.0000},{cell.Milliseconds(99.9):0.0000},{cell.ServerMicroseconds:0.00},{cell.ClientMicroseconds:0.00},{cell.ServerSecondsPerGibibyte:0.0000},{cell.Capacity:0.0},{cell.CapacityRange.Lowest:0.0},{cell.CapacityRange.Highest:0.0},{cell.ResidentBytes >> 20},{cell.ForeignCores:0.00},{cell.OriginRequests},{Ratio(cell):0.000}");
        }

        return text.ToString();
    }

    /// <summary>The first server's capacity over this one's.</summary>
    private double Ratio(CompareCell cell)
        => cells.First(other => other.Server == _subject.Name && other.Work == cell.Work && other.Connections == cell.Connections).Capacity / Math.Max(1e-9, cell.Capacity);

    private static string Text(double value)
        => value.ToString(value switch { < 1 => "0.000", < 100 => "0.0", _ => "0" }, CultureInfo.InvariantCulture);
}
