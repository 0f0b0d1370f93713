using System.ComponentModel.DataAnnotations;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>What writes the NVMe tier's log.</summary>
public enum NvmeEngine
{
    /// <summary>FASTER's log.</summary>
    Faster,

    /// <summary>Our own pages and positional writes: same files on disk, nothing of FASTER running.</summary>
    Plain,
}

/// <summary>Whether NVMe files go past the page cache.</summary>
public enum DirectIo
{
    /// <summary>O_DIRECT where the file system allows it, else buffered.</summary>
    Auto,

    /// <summary>Always buffered.</summary>
    Off,
}

/// <summary>Section Cache:Tiers.</summary>
public sealed record TierOptions
{
    /// <summary>Payload memory in all: cached blocks, fills, captures, NVMe reads.</summary>
    /// <remarks>
    /// Not in it, per NVMe directory: up to 32 MiB of log pages, half a MiB for each of <see cref="ReadThreads"/>, up to 2 MiB for moving blocks, and 20 to 54 bytes of index a block; of all
    /// directories together six bytes a block for what was turned away, at most 32 MiB.
    /// </remarks>
    /// <value>1 GiB.</value>
    [Range(8L << 20, 16L << 40)]
    public long MemoryCapacityBytes { get; init; } = 1L << 30;

    /// <summary>One directory per device; blocks are spread over them by hash. Empty: no NVMe tier.</summary>
    public IReadOnlyList<string> NvmeDirectories { get; init; } = [];

    /// <summary>Disk space of the NVMe tier in all, divided evenly over the directories.</summary>
    /// <value>100 GiB.</value>
    [Range(64L << 20, 1L << 50)]
    public long NvmeCapacityBytes { get; init; } = 100L << 30;

    public NvmeEngine NvmeEngine { get; init; } = NvmeEngine.Faster;

    /// <summary>Bytes held in memory until they are on the disk; what does not fit waits in the memory tier, and is not written if it leaves that first.</summary>
    /// <value>128 MiB, at most a quarter of the memory capacity.</value>
    [Range(1L << 20, 1L << 40)]
    public long WriteQueueBytes { get; init; } = 128L << 20;

    /// <summary>Free space of a directory's file system that the cache leaves alone.</summary>
    /// <value>1 GiB.</value>
    [Range(0, 1L << 50)]
    public long FreeSpaceReserveBytes { get; init; } = 1L << 30;

    public DirectIo DirectIo { get; init; } = DirectIo.Auto;

    /// <summary>Largest block that will be published: sizes the pages of the NVMe log.</summary>
    /// <value>1 MiB.</value>
    [Range(64 << 10, 16 << 20)]
    public int MaxBlockBytes { get; init; } = 1 << 20;

    /// <summary>Blocking reads in flight per directory, each on a thread of its own.</summary>
    /// <value>16: with 2 the p99 at 64 KiB and 32 readers was nine times higher.</value>
    [Range(1, 256)]
    public int ReadThreads { get; init; } = 16;

    /// <summary>What is not to be thrown out; shared with whoever decides it.</summary>
    internal PinnedContents Pins { get; init; } = new();

    /// <summary>A lease of a block that the memory tier has, without counting as a use.</summary>
    internal Func<BlockId, BlockLease>? StillInMemory { get; init; }
}
