using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Blocks on disk. Everything it says may be forgotten at any moment; nothing it gives is ever wrong.</summary>
/// <remarks>Behind <see cref="TierStack"/>. Never throws for what a disk does. Thread-safe.</remarks>
internal interface INvmeStore : IAsyncDisposable
{
    /// <summary>Known, on disk or on its way there.</summary>
    bool Contains(in BlockId id);

    /// <summary>Whether the directory of its home is open and has not stepped aside. Fast; any thread.</summary>
    bool Serves(in BlockId id);

    /// <summary>Whether a block written now pushes nothing out: second-hit admission protects what is there, and nothing is there yet.</summary>
    bool HasRoom(in BlockId id);

    /// <summary>Of all directories that serve.</summary>
    long CapacityBytes { get; }

    /// <summary>To be written, found the queue full or the directory not yet open, and only memory has it: what is thrown out of there now is lost. Fast; any thread.</summary>
    bool IsLate(in BlockId id);

    /// <summary>What is late, as a share of the memory tier that holds it: what comes faster than the disk for much longer is lost to the cache. Fast; any thread.</summary>
    double Backlog { get; }

    /// <summary>The whole block's length.</summary>
    bool TryGetLength(in BlockId id, out int length);

    /// <summary>Queues a block for writing; until it is on disk its bytes are served from the lease.</summary>
    /// <param name="lease">A whole block; taken over, whatever the answer.</param>
    /// <returns>False when it is not queued: the queue is full or the directory not yet open (then it follows, if memory still has it), the device stepped aside, or it is there already.</returns>
    bool TryWrite(in BlockId id, BlockLease lease);

    /// <summary>Reads exactly the chunks that the range touches and checks each.</summary>
    /// <param name="length">Cut to the end of the block.</param>
    /// <returns>The bytes, or an empty lease: unknown, gone, damaged, no memory, or a device that stepped aside.</returns>
    ValueTask<BlockLease> ReadAsync(BlockId id, int offset, int length, CancellationToken cancellation);

    void Remove(in BlockId id);

    /// <summary>A block that a read came to and memory had not. Counted by who hands it out, as <see cref="Memory.MemoryTier.CountLookups"/> is: what is read here may be read in vain, or twice.</summary>
    void CountLookup(in BlockId id, bool found);

    IReadOnlyList<NvmeSnapshot> Snapshot();
}
