namespace Proxy.Bench.Compare;

/// <summary>One work at one number of connections: a cell of every server, and what the disk gave beside them.</summary>
/// <param name="Cells">In the order of the servers; the first is the one the others are compared with.</param>
internal sealed record CompareRow(CompareWork Work, int Connections, IReadOnlyList<CompareCell> Cells)
{
    /// <summary>fio's random reads of the same size and depth, before the row and after it; empty without.</summary>
    public List<double> DiskRequestsPerSecond { get; } = [];

    /// <summary>Cells that had a turn.</summary>
    public IEnumerable<CompareCell> Measured => Cells.Where(cell => cell.Capacity > 0);

    /// <summary>The first server's capacity over this one's; null when either has none.</summary>
    public double? Ratio(CompareCell cell) => cell.Capacity > 0 && Cells[0].Capacity > 0 ? Cells[0].Capacity / cell.Capacity : null;

    /// <summary>This server's requests a second over the mean of the disk's; null without a disk.</summary>
    public double? DiskShare(CompareCell cell) => DiskRequestsPerSecond.Count > 0 ? cell.RequestsPerSecond / DiskRequestsPerSecond.Average() : null;
}
