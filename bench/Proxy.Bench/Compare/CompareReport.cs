using System.Globalization;
using System.Text;
using System.Text.Json;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Compare;

/// <summary>Tells a comparison: on screen, and as JSON, CSV, a page and plots; ratios are the first server's to the others.</summary>
/// <param name="command">The command's name.</param>
/// <param name="tier">Where the proxy's bytes are.</param>
/// <param name="title">What is compared, in a line.</param>
/// <param name="commandLine">As it can be run again.</param>
internal sealed class CompareReport(IReadOnlyList<BenchServer> servers, CompareRun run, CompareGrid grid, string command, string tier, string title, string commandLine)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public string Command => command;

    public bool WasInterrupted { get; set; }

    public bool IsGood => run is { FindingCount: 0, OriginRequests: 0 };

    public string Verdict
        => $"{command}: {(WasInterrupted ? "INTERRUPTED" : IsGood ? "good" : "NOT GOOD")}: {run.CheckedBytes >> 20} MiB compared byte for byte, every status and length checked, {run.FindingCount} wrong; {(run.OriginRequests == 0 ? "no server asked the origin while it was measured" : $"{run.OriginRequests} requests reached the origin while something was measured")}";

    public void Show(IAnsiConsole console)
    {
        CompareTable.Show(console, run.Rows, title);
        foreach (var finding in run.Findings)
        {
            console.MarkupLineInterpolated($"[red]WRONG[/] {finding}");
        }

        console.WriteLine(Verdict);
    }

    public HtmlPage Page() => ComparePage.Make($"proxy-bench {command}", title, Verdict, commandLine, servers, run.Rows);

    public async Task SaveJsonAsync(FileInfo file, CancellationToken cancellation)
    {
        await using var stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, Content(), Json, cancellation);
    }

    public Task SaveCsvAsync(FileInfo file, CancellationToken cancellation) => File.WriteAllTextAsync(file.FullName, Csv(), cancellation);

    private object Content() => new
    {
        Command = commandLine,
        Machine = MachineFacts.Read(),
        Tier = tier,
        Title = title,
        WasInterrupted,
        grid.Rounds,
        SecondsPerTurn = grid.Duration.TotalSeconds,
        WarmupSeconds = grid.Warmup.TotalSeconds,
        ClientThreads = grid.Threads,
        grid.Beside,
        Servers = servers.Select(server => new { server.Name, server.Description }),
        run.CheckedBytes,
        Wrong = run.FindingCount,
        run.Findings,
        run.OriginRequests,
        Cells = run.Rows.SelectMany(row => row.Measured.Select(cell => new
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
            cell.BesideMebibytesPerSecond,
            cell.Outcomes,
            SubjectRatio = row.Ratio(cell),
            FioRequestsPerSecond = row.DiskRequestsPerSecond,
            FioShare = row.DiskShare(cell),
        })),
    };

    private string Csv()
    {
        var text = new StringBuilder("tier,work,connections,server,requests,req_per_s,mib_per_s,p50_ms,p99_ms,p999_ms,server_us,client_us,server_s_per_gib,capacity,capacity_low,capacity_high,rss_mib,other_cores,origin_requests,beside_mib_per_s,subject_ratio,fio_before,fio_after,fio_share,x_cache\n");
        foreach (var row in run.Rows)
        {
            var disk = row.DiskRequestsPerSecond;
            foreach (var cell in row.Measured)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"{tier},{cell.Work.Name},{cell.Connections},{cell.Server},{cell.Requests},{cell.RequestsPerSecond:0.0},{cell.MebibytesPerSecond:0.0},{cell.Milliseconds(50):0.0000},{cell.Milliseconds(99):0.0000},{cell.Milliseconds(99.9):0.0000},{cell.ServerMicroseconds:0.00},{cell.ClientMicroseconds:0.00},{cell.ServerSecondsPerGibibyte:0.0000},{cell.Capacity:0.0},{cell.CapacityRange.Lowest:0.0},{cell.CapacityRange.Highest:0.0},{cell.ResidentBytes >> 20},{cell.ForeignCores:0.00},{cell.OriginRequests},{cell.BesideMebibytesPerSecond:0.0},{row.Ratio(cell):0.000},{(disk.Count > 0 ? disk[0] : null):0.0},{(disk.Count > 1 ? disk[1] : null):0.0},{row.DiskShare(cell):0.000},\"{cell.Outcomes}\"");
            }
        }

        return text.ToString();
    }
}
