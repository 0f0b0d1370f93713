namespace Proxy.Bench.Milvus;

/// <summary>How much of everything a run has.</summary>
/// <param name="Bytes">Of the segments that are loaded (W5, W6), in all.</param>
/// <param name="WalLogs">Active logs of W1.</param>
/// <param name="WalBlocks">Blocks each of them writes.</param>
/// <param name="Batches">Query batches of W7, of <see cref="CellsPerBatch"/> cells.</param>
/// <param name="SmallObjects">Written, listed and deleted by W8.</param>
internal sealed record MilvusScale(string Name, long Bytes, int Segments, int WalLogs, int WalBlocks, TimeSpan WalPace, int WalBlockBytes, int Batches, int CellsPerBatch, int SmallObjects)
{
    private const long GiB = 1L << 30;

    // S and M are a small and a middling query node's share; XS has the same shapes and fits a laptop or a CI machine.
    public static MilvusScale Find(string name) => name switch
    {
        "XS" => new(name, GiB / 2, 1, 4, 20, TimeSpan.FromMilliseconds(50), 64 << 10, 4, 64, 400),
        "S" => new(name, 4 * GiB, 4, 4, 100, TimeSpan.FromMilliseconds(200), 256 << 10, 40, 64, 20_000),
        "M" => new(name, 30 * GiB, 30, 16, 1000, TimeSpan.FromMilliseconds(200), 256 << 10, 200, 64, 100_000),
        // For the tool's own tests: every step once.
        _ => new("T", 48 << 20, 1, 2, 4, TimeSpan.FromMilliseconds(20), 16 << 10, 1, 8, 20),
    };
}
