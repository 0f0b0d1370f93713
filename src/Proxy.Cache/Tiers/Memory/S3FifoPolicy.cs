namespace Proxy.Cache.Tiers.Memory;

/// <summary>Who goes first: S3-FIFO (Yang et al., SOSP 2023) over bytes, with a third queue for small blocks.</summary>
/// <remarks>
/// New blocks wait in <c>probation</c>, a thirteenth of the room (smaller helps Zipf traces, larger Milvus's loads: bench/results/hit-ratio): a scan passes through there and leaves the rest alone. Touched twice they move
/// to <c>main</c>, a CLOCK. Blocks that left probation untouched are remembered by hash (the ghost) and go straight to main when they return.
/// Blocks up to 64 KiB (SLICE_META, footers) have a queue of their own, an eighth of the room, that others do not push out.
/// Pinned blocks leave their queue for <c>kept</c> when a search meets them: they count in nobody's share and are in no search's way.
/// Not thread-safe: every method runs under <see cref="MemoryTier"/>'s lock.
/// </remarks>
/// <param name="isBusy">Cannot go now: leased, say.</param>
/// <param name="isPinned">Must not go, however long.</param>
internal sealed class S3FifoPolicy(long capacityBytes, Func<MemoryEntry, bool> isBusy, Func<MemoryEntry, bool> isPinned)
{
    public const int MaxFrequency = 3;
    private const int SmallBlockBytes = 64 << 10;

    // Leased blocks met in one look through one queue before giving it up: bounds the time under the lock when nearly everything is leased.
    private const int MaxBusy = 256;

    // Kept blocks asked in each search whether they are pinned still.
    private const int UnpinnedLook = 4;

    private readonly EntryQueue _probation = new();
    private readonly EntryQueue _main = new();
    private readonly EntryQueue _small = new();
    private readonly EntryQueue _kept = new();
    private readonly GhostList _ghost = new();
    private readonly long _probationBytes = capacityBytes * 3 / 40;
    private readonly long _smallBytes = capacityBytes / 8;

    public long Bytes => _probation.Bytes + _main.Bytes + _small.Bytes + _kept.Bytes;

    public int Count => _probation.Count + _main.Count + _small.Count + _kept.Count;

    /// <returns>True when the block had been here before and was thrown out untouched.</returns>
    public bool Add(MemoryEntry entry)
    {
        var seenBefore = _ghost.Remove(entry.Id);
        if (seenBefore && !IsSmall(entry))
        {
            _main.Append(entry);
        }
        else
        {
            AppendAsNew(entry);
        }

        return seenBefore;
    }

    public static void Remove(MemoryEntry entry) => entry.Queue?.Remove(entry);

    /// <summary>Takes the next block to go out of its queue; null when all that remain are busy or pinned.</summary>
    public MemoryEntry? TakeVictim()
    {
        LetGoUnpinned(UnpinnedLook);
        if (_small.Bytes > _smallBytes && Sweep(_small) is { } small)
        {
            _ghost.Add(small.Id, Count);
            return small;
        }

        if ((_probation.Bytes > _probationBytes || _main.Count == 0) && FromProbation() is { } scanned)
        {
            return scanned;
        }

        return FromAnywhere() ?? (LetGoUnpinned(MaxBusy) ? FromAnywhere() : null);
    }

    // When main has only busy blocks, or none, probation goes below its share before giving up. What is hot there moves to main, so main comes once more.
    private MemoryEntry? FromAnywhere() => Sweep(_main) ?? FromProbation() ?? Sweep(_main) ?? Sweep(_small);

    private static bool IsSmall(MemoryEntry entry) => entry.Block.Capacity <= SmallBlockBytes;

    private void AppendAsNew(MemoryEntry entry) => (IsSmall(entry) ? _small : _probation).Append(entry);

    private void Keep(EntryQueue queue, MemoryEntry entry)
    {
        queue.Remove(entry);
        _kept.Append(entry);
    }

    /// <summary>What is no longer pinned begins anew; nobody says when a pin goes, so some of the kept are asked in turn.</summary>
    private bool LetGoUnpinned(int look)
    {
        var any = false;
        for (var left = Math.Min(look, _kept.Count); left > 0; left--)
        {
            var entry = _kept.Oldest!;
            if (isPinned(entry))
            {
                _kept.MoveToTail(entry);
            }
            else
            {
                _kept.Remove(entry);
                AppendAsNew(entry);
                any = true;
            }
        }

        return any;
    }

    private MemoryEntry? FromProbation()
    {
        var busy = 0;
        for (var left = _probation.Count; left > 0 && busy < MaxBusy; left--)
        {
            var entry = _probation.Oldest!;
            if (isPinned(entry))
            {
                Keep(_probation, entry);
            }
            else if (isBusy(entry))
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
        for (var left = queue.Count * (MaxFrequency + 1L); left > 0 && queue.Count > 0 && busy < MaxBusy; left--)
        {
            var entry = queue.Oldest!;
            if (isPinned(entry))
            {
                Keep(queue, entry);
            }
            else if (isBusy(entry))
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
