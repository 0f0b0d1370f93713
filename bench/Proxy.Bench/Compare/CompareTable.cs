using System.Globalization;
using Spectre.Console;

namespace Proxy.Bench.Compare;

/// <summary>A comparison on a terminal of 100 columns; what has no room here is in the files.</summary>
internal static class CompareTable
{
    /// <summary>Cores of a row that others used, above which its absolute figures are not to be trusted.</summary>
    private const double QuietCores = 0.3;

    public static void Show(IAnsiConsole console, IReadOnlyList<CompareRow> rows, string title)
    {
        var table = new Table().Border(TableBorder.Simple).Title(Markup.Escape(title));
        AddColumn("work", right: false);
        AddColumn("conns");
        AddColumn("server", right: false);
        var subject = rows.SelectMany(row => row.Cells).FirstOrDefault()?.Server ?? "";
        foreach (var name in (string[])["req/s", "MiB/s", "p50 ms", "p99", "p99.9", "srv µs", "s/GiB", "capacity", $"{subject} ÷"])
        {
            AddColumn(name);
        }

        foreach (var row in rows)
        {
            foreach (var cell in row.Measured)
            {
                var isFirst = cell == row.Measured.First();
                table.AddRow(Cells(row, cell, isFirst));
            }

            table.AddEmptyRow();
        }

        console.Write(table);
        console.WriteLine("capacity: requests a second of 2 cores, by the CPU time of server and client; srv µs, s/GiB: the server's CPU time of a request, of a GiB");
        ShowNotes(console, rows);

        void AddColumn(string name, bool right = true)
        {
            var column = new TableColumn(Markup.Escape(name)).PadLeft(0).PadRight(1);
            table.AddColumn(right ? column.RightAligned() : column);
        }
    }

    /// <summary>One row, as it is told while the others are still measured.</summary>
    public static string Line(CompareRow row)
        => $"{row.Work.Name,-8} {row.Connections,4} connections: {string.Join(", ", row.Measured.Select(cell => string.Create(CultureInfo.InvariantCulture, $"{cell.Server} {cell.RequestsPerSecond:0} req/s")))}";

    public static string Number(double value)
        => value.ToString(value switch { < 1 => "0.000", < 10 => "0.00", < 100 => "0.0", _ => "0" }, CultureInfo.InvariantCulture);

    private static string[] Cells(CompareRow row, CompareCell cell, bool isFirst) =>
    [
        isFirst ? Markup.Escape(row.Work.Name) : "", isFirst ? row.Connections.ToString(CultureInfo.InvariantCulture) : "", Markup.Escape(cell.Server),
        Number(cell.RequestsPerSecond), cell.MebibytesPerSecond > 0 ? Number(cell.MebibytesPerSecond) : "",
        Number(cell.Milliseconds(50)), Number(cell.Milliseconds(99)), Number(cell.Milliseconds(99.9)),
        Number(cell.ServerMicroseconds), cell.ServerSecondsPerGibibyte > 0 ? Number(cell.ServerSecondsPerGibibyte) : "", Number(cell.Capacity),
        cell == row.Cells[0] ? "" : row.Ratio(cell)?.ToString("0.00", CultureInfo.InvariantCulture) ?? "",
    ];

    /// <summary>What is the same in most cells, told once or where it is not.</summary>
    private static void ShowNotes(IAnsiConsole console, IReadOnlyList<CompareRow> rows)
    {
        var cells = rows.SelectMany(row => row.Measured).ToList();
        if (cells.Count == 0)
        {
            console.WriteLine("nothing was measured");
            return;
        }

        console.WriteLine($"resident memory at most: {string.Join(", ", cells.GroupBy(cell => cell.Server).Select(group => $"{group.Key} {group.Max(cell => cell.ResidentBytes) >> 20} MiB"))}");
        foreach (var group in cells.Where(cell => cell.Outcomes != "-").GroupBy(cell => (cell.Server, cell.Outcomes)))
        {
            console.WriteLine($"X-Cache of {group.Key.Server}: {group.Key.Outcomes}{(group.Count() == cells.Count(cell => cell.Server == group.Key.Server) ? "" : $" ({Where(group)})")}");
        }

        foreach (var cell in cells.Where(cell => cell.OriginRequests > 0))
        {
            console.MarkupLineInterpolated($"[red]NOT HOT[/] {cell.Server}, {cell.Work.Name}, {cell.Connections} connections: {cell.OriginRequests} requests reached the origin");
        }

        foreach (var row in rows.Where(row => row.DiskRequestsPerSecond.Count > 0))
        {
            var shares = row.Measured.Select(cell => string.Create(CultureInfo.InvariantCulture, $"{cell.Server} {row.DiskShare(cell):0.00}"));
            console.WriteLine($"fio {row.Work.Name} × {row.Connections}: {string.Join(" before and ", row.DiskRequestsPerSecond.Select(Number))} req/s after; share of their mean: {string.Join(", ", shares)}");
        }

        foreach (var row in rows.Where(row => row.Measured.Any(cell => cell.BesideMebibytesPerSecond is not null)))
        {
            var read = row.Measured.Select(cell => $"{cell.Server} {Number(cell.BesideMebibytesPerSecond ?? 0)}");
            console.WriteLine($"read beside {row.Work.Name} × {row.Connections}, MiB/s: {string.Join(", ", read)}; CPU time and capacity are of both");
        }

        if (cells.Max(cell => cell.ForeignCores) is > QuietCores and var most)
        {
            console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"others used up to {most:0.0} cores of this machine meanwhile: ratios tell more than rates"));
        }
    }

    private static string Where(IEnumerable<CompareCell> cells) => string.Join("; ", cells.Select(cell => $"{cell.Work.Name} × {cell.Connections}"));
}
