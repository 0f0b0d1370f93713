namespace Proxy.Bench.Milvus;

/// <summary>How much of everything a run has.</summary>
internal sealed record MilvusScale(string Name)
{
    private const long MiB = 1L << 20;
    private const long GiB = 1L << 30;

    /// <summary>Of the segments that <c>paper</c> loads, in all.</summary>
    public long Bytes { get; init; } = 48 * MiB;

    /// <summary>Sealed segments that are loaded (W5 to W8, W10).</summary>
    public int Segments { get; init; } = 1;

    /// <summary>Vectors of one of them; its index is a little more.</summary>
    public long SegmentBytes { get; init; } = 24 * MiB;

    /// <summary>What W3 writes and W4 builds an index over.</summary>
    public long CompactedBytes { get; init; } = 24 * MiB;

    /// <summary>Logs of W1 whose readers poll.</summary>
    public int WalLogs { get; init; } = 4;

    /// <summary>Those of them that are written to.</summary>
    public int ActiveLogs { get; init; } = 2;

    /// <summary>Blocks each of them gets.</summary>
    public int WalBlocks { get; init; } = 4;

    /// <summary>Between a log's blocks, and between a reader's polls.</summary>
    public TimeSpan WalPace { get; init; } = TimeSpan.FromMilliseconds(20);

    public int WalBlockBytes { get; init; } = 4 << 10;

    /// <summary>Query batches of W7.</summary>
    public int Batches { get; init; } = 1;

    /// <summary>Drawn for one batch.</summary>
    public int CellsPerBatch { get; init; } = 8;

    /// <summary>Small objects of W8: written and listed.</summary>
    public int ListedObjects { get; init; } = 20;

    /// <summary>Those of them that are deleted.</summary>
    public int DeletedObjects { get; init; } = 20;

    /// <summary>How long W8's reads are measured by themselves, before anything disturbs them.</summary>
    public TimeSpan Undisturbed { get; init; } = TimeSpan.FromSeconds(0.3);

    /// <summary>Small objects of W9 beside its segment: enough that a limit of 200 requests a second is passed.</summary>
    public int ThrottledObjects { get; init; } = 400;

    /// <summary>
    /// S and M are a small and a middling query node's share, as the sizes and counts of a 768-dimensional collection come out; XS has the same shapes and fits a laptop
    /// or a CI machine; T, which no help names, is every step once.
    /// </summary>
    public static MilvusScale Find(string name) => name switch
    {
        "XS" => new(name)
        {
            Bytes = GiB / 2,
            SegmentBytes = GiB / 4,
            CompactedBytes = GiB / 8,
            WalLogs = 16,
            ActiveLogs = 4,
            WalBlocks = 20,
            WalPace = TimeSpan.FromMilliseconds(50),
            WalBlockBytes = 256 << 10,
            Batches = 4,
            CellsPerBatch = 64,
            ListedObjects = 400,
            DeletedObjects = 400,
            Undisturbed = TimeSpan.FromSeconds(2),
            ThrottledObjects = 1000,
        },
        "S" => Full(name) with { Bytes = 4 * GiB, Segments = 4, WalBlocks = 100, Batches = 40, ListedObjects = 20_000 },
        "M" => Full(name) with { Bytes = 30 * GiB, Segments = 30, WalBlocks = 1000, Batches = 200, ListedObjects = 100_000 },
        _ => new("T"),
    };

    /// <summary>What a warm-up asks for, of every kind a few.</summary>
    public MilvusScale ForWarmUp() => new($"{Name}, warm-up") { WalBlockBytes = WalBlockBytes, ListedObjects = 50, DeletedObjects = 50, ThrottledObjects = 20 };

    private static MilvusScale Full(string name) => new(name)
    {
        SegmentBytes = GiB,
        CompactedBytes = GiB,
        WalLogs = 16,
        ActiveLogs = 4,
        WalPace = TimeSpan.FromMilliseconds(200),
        WalBlockBytes = 256 << 10,
        CellsPerBatch = 64,
        DeletedObjects = 20_000,
        Undisturbed = TimeSpan.FromSeconds(5),
        ThrottledObjects = 2000,
    };
}
