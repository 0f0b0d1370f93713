namespace Proxy.Cache.Tiers;

/// <summary>The tiers' state at one moment. Counters only grow.</summary>
public sealed record TierSnapshot
{
    public required MemorySnapshot Memory { get; init; }

    /// <summary>One per directory.</summary>
    public required IReadOnlyList<NvmeSnapshot> Nvme { get; init; }

    /// <summary>More is read round and round than NVMe holds: of what reads bring only a part is written, so that some stays.</summary>
    public bool TakesPart { get; init; }

    /// <summary>Blocks not written for that.</summary>
    public long Declined { get; init; }
}

public sealed record MemorySnapshot
{
    public required long CapacityBytes { get; init; }

    /// <summary>Behind live blocks: cached, filling, captured, being read or written.</summary>
    public required long UsedBytes { get; init; }

    /// <summary>Held by the tier itself.</summary>
    public required long CachedBytes { get; init; }

    public required long Blocks { get; init; }

    public required long Hits { get; init; }

    public required long Misses { get; init; }

    public required long Evictions { get; init; }

    /// <summary>Rents refused because everything was leased.</summary>
    public required long Refusals { get; init; }
}

public enum NvmeState
{
    /// <summary>Being opened; reads miss, writes are dropped.</summary>
    Opening,

    /// <summary>Rebuilding its index from disk while serving what is known already.</summary>
    Recovering,
    Healthy,

    /// <summary>Stepped aside after errors; probed until it comes back.</summary>
    Suspended,
}

public sealed record NvmeSnapshot
{
    public required string Directory { get; init; }

    public required NvmeState State { get; init; }

    /// <summary>Why it is suspended, for the operator; empty otherwise.</summary>
    public string Reason { get; init; } = "";

    public long CapacityBytes { get; init; }

    /// <summary>Log bytes between the oldest and the newest block.</summary>
    public long UsedBytes { get; init; }

    public long Blocks { get; init; }

    public long IndexBytes { get; init; }

    /// <summary>Waiting for the disk; bounded by <see cref="TierOptions.WriteQueueBytes"/>.</summary>
    public long QueueBytes { get; init; }

    public long Hits { get; init; }

    public long Misses { get; init; }

    public long ReadBytes { get; init; }

    /// <summary>Sum of the times of all device reads; divide by <see cref="Reads"/>.</summary>
    public double ReadSeconds { get; init; }

    /// <summary>Upper bounds in seconds of <see cref="ReadLatency"/>; one more bucket follows for what is slower.</summary>
    /// <value>From a read that the device's own cache answers to one given up as hung.</value>
    public static IReadOnlyList<double> ReadLatencyBounds { get; } = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

    /// <summary>Device reads by how long they took; not cumulative.</summary>
    public IReadOnlyList<long> ReadLatency { get; init; } = [];

    /// <summary>Device reads.</summary>
    public long Reads => ReadLatency.Sum();

    public long BlocksWritten { get; init; }

    /// <summary>Bytes written to the device, re-insertions and padding included.</summary>
    public long WrittenBytes { get; init; }

    /// <summary>Blocks not written because the queue was full or the device had stepped aside.</summary>
    public long WritesDropped { get; init; }

    public long SegmentsEvicted { get; init; }

    public long BlocksEvicted { get; init; }

    public long BlocksReinserted { get; init; }

    /// <summary>Blocks whose checksum did not match: dropped, counted, never served.</summary>
    public long Corrupt { get; init; }

    public long IoErrors { get; init; }

    public long Suspensions { get; init; }

    public long BlocksRecovered { get; init; }

    public double RecoverySeconds { get; init; }
}
