using System.Globalization;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;

namespace Proxy.Bench.Compare;

/// <summary>A comparison as a page: throughput and capacity by connections, latencies of every row, and every figure.</summary>
internal static class ComparePage
{
    private static readonly string[] Titles =
    [
        "work", "connections", "server", "requests", "req/s", "MiB/s", "p50 ms", "p99", "p99.9", "server µs", "client µs", "server s/GiB", "capacity", "lowest", "highest",
        "ratio", "RSS MiB", "beside, MiB/s", "others, cores", "to the origin", "of fio", "X-Cache",
    ];

    public static HtmlPage Make(string name, string title, string verdict, string commandLine, IReadOnlyList<BenchServer> servers, IReadOnlyList<CompareRow> rows)
    {
        var page = new HtmlPage(name, commandLine, [.. servers.Select(server => $"{server.Name}: {server.Description}")]);
        page.Paragraph(title).Paragraph(verdict);
        page.Paragraph("Capacity: requests a second of 2 cores, by the CPU time of server and client. Ratio: the first server's capacity over this one's. Latencies are of all rounds together, everything else is the median of the rounds.");
        foreach (var work in rows.GroupBy(row => row.Work))
        {
            page.Heading(work.Key.Name);
            var all = work.ToList();
            var hasBodies = work.Key.Operation != Load.LoadOperation.Head;
            AddBars(page, $"{work.Key.Name}: throughput by connections", hasBodies ? "MiB/s" : "requests/s", all, cell => hasBodies ? cell.MebibytesPerSecond : cell.RequestsPerSecond);
            AddBars(page, $"{work.Key.Name}: capacity by connections", "requests/s of 2 cores", all, cell => cell.Capacity);
            foreach (var row in all)
            {
                page.Latencies(string.Create(CultureInfo.InvariantCulture, $"{row.Work.Name}, {row.Connections} connections"), [.. row.Measured.Select(cell => cell.Curve)]);
            }
        }

        page.Heading("Every figure");
        page.Table(Titles, rows.SelectMany(row => row.Measured.Select(cell => Figures(row, cell))));
        return page;
    }

    private static void AddBars(HtmlPage page, string title, string up, List<CompareRow> rows, Func<CompareCell, double> figure)
        => page.Image(
            Plots.Bars(
                title, "connections", up, [.. rows.Select(row => row.Connections.ToString(CultureInfo.InvariantCulture))],
                [.. rows[0].Cells.Select((cell, index) => new BarSeries(cell.Server, [.. rows.Select(row => row.Cells[index].Capacity > 0 ? figure(row.Cells[index]) : double.NaN)]))]),
            title);

    private static string[] Figures(CompareRow row, CompareCell cell) =>
    [
        row.Work.Name, row.Connections.ToString(CultureInfo.InvariantCulture), cell.Server, cell.Requests.ToString("#,0", CultureInfo.InvariantCulture),
        CompareTable.Number(cell.RequestsPerSecond), CompareTable.Number(cell.MebibytesPerSecond),
        CompareTable.Number(cell.Milliseconds(50)), CompareTable.Number(cell.Milliseconds(99)), CompareTable.Number(cell.Milliseconds(99.9)),
        CompareTable.Number(cell.ServerMicroseconds), CompareTable.Number(cell.ClientMicroseconds), CompareTable.Number(cell.ServerSecondsPerGibibyte),
        CompareTable.Number(cell.Capacity), CompareTable.Number(cell.CapacityRange.Lowest), CompareTable.Number(cell.CapacityRange.Highest),
        row.Ratio(cell)?.ToString("0.00", CultureInfo.InvariantCulture) ?? "", (cell.ResidentBytes >> 20).ToString(CultureInfo.InvariantCulture),
        cell.BesideMebibytesPerSecond is { } beside ? CompareTable.Number(beside) : "",
        cell.ForeignCores.ToString("0.00", CultureInfo.InvariantCulture), cell.OriginRequests.ToString(CultureInfo.InvariantCulture),
        row.DiskShare(cell)?.ToString("0.00", CultureInfo.InvariantCulture) ?? "", cell.Outcomes,
    ];
}
