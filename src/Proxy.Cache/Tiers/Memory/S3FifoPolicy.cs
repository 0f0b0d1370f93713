namespace Proxy.Cache.Tiers.Memory;

/// <summary>Who goes first: S3-FIFO (Yang et al., SOSP 2023) over bytes, with a third queue for small blocks.</summary>
/// <remarks>
/// New blocks wait in <c>probation</c>, a thirteenth of the room (smaller helps Zipf traces, larger Milvus's loads: bench/results/hit-ratio): a scan passes through there and leaves the rest alone. Touched twice they move
/// to <c>main</c>, a CLOCK. Blocks that left probation untouched are remembered by hash (the ghost) and go straight to main when they return.
/// Blocks up to 64 KiB (SLICE_META, footers) have a queue of their own, an eighth of the room, that others do not push out.
/// Not thread-safe: every method runs under <see cref="MemoryTier"/>'s lock.
/// </remarks>
internal sealed class S3FifoPolicy(long capacityBytes, Func<MemoryEntry, bool> isBusy)
{
    public const int MaxFrequency = 3;
    private const int SmallBlockBytes = 64 << 10;

    // Leased blocks met in one look through one queue before giving it up: bounds the time under the lock when nearly everything is leased.
    private const int MaxBusy = 256;

    private readonly EntryQueue _probation = new();
    private readonly EntryQueue _main = new();
    private readonly EntryQueue _small = new();
    private readonly GhostList _ghost = new();
    private readonly long _probationBytes = capacityBytes * 3 / 40;
    private readonly long _smallBytes = capacityBytes / 8;

    public long Bytes => _probation.Bytes + _main.Bytes + _small.Bytes;

    public int Count => _probation.Count + _main.Count + _small.Count;

    /// <returns>True when the block had been here before and was thrown out untouched.</returns>
    public bool Add(MemoryEntry entry)
    {
        var seenBefore = _ghost.Remove(entry.Id);
        var queue = entry.Block.Capacity <= SmallBlockBytes ? _small : seenBefore ? _main : _probation;
        queue.Append(entry);
        return seenBefore;
    }

    public static void Remove(MemoryEntry entry) => entry.Queue?.Remove(entry);

    /// <summary>Takes the next block to go out of its queue; null when all that remain are busy.</summary>
    public MemoryEntry? TakeVictim()
    {
        if (_small.Bytes > _smallBytes && Sweep(_small) is { } small)
        {
            _ghost.Add(small.Id, Count);
            return small;
        }

        if ((_probation.Bytes > _probationBytes || _main.Count == 0) && FromProbation() is { } scanned)
        {
            return scanned;
        }

        // Main had only busy blocks, or none: probation goes below its share before giving up. What is hot there moves to main, so main comes once more.
        return Sweep(_main) ?? FromProbation() ?? Sweep(_main) ?? Sweep(_small);
    }

    private MemoryEntry? FromProbation()
    {
        var busy = 0;
        for (var left = _probation.Count; left > 0 && busy < MaxBusy; left--)
        {
            var entry = _probation.Oldest!;
            if (isBusy(entry))
            {
                busy++;
                _probation.MoveToTail(entry);
            }
            else if (entry.Frequency > 1)
            {
                entry.Frequency = 0;
                _probation.Remove(entry);
                _main.Append(entry);
            }
            else
            {
                _probation.Remove(entry);
                _ghost.Add(entry.Id, Count);
                return entry;
            }
        }

        return null;
    }

    /// <summary>CLOCK: each touch buys one more round.</summary>
    private MemoryEntry? Sweep(EntryQueue queue)
    {
        var busy = 0;
        for (var left = queue.Count * (MaxFrequency + 1L); left > 0 && busy < MaxBusy; left--)
        {
            var entry = queue.Oldest!;
            if (isBusy(entry))
            {
                busy++;
                queue.MoveToTail(entry);
            }
            else if (entry.Frequency > 0)
            {
                entry.Frequency--;
                queue.MoveToTail(entry);
            }
            else
            {
                queue.Remove(entry);
                return entry;
            }
        }

        return null;
    }
}
