using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Memory;

/// <summary>One cached block and what the policy knows of it. Links and queue belong to the policy's lock.</summary>
internal sealed class MemoryEntry(BlockId id, Block block)
{
    public BlockId Id { get; } = id;

    public Block Block { get; } = block;

    public MemoryEntry? Previous { get; set; }

    public MemoryEntry? Next { get; set; }

    public EntryQueue? Queue { get; set; }

    /// <summary>Touches since the policy last looked, 0 … 3. Written without a lock: a lost touch costs nothing.</summary>
    public volatile byte Frequency;

    /// <summary>The epoch of the last touch that counted.</summary>
    public volatile int Epoch;

    /// <summary>Bytes of it that were asked for when all of it was brought up from NVMe; 0 for all other blocks.</summary>
    public int BroughtFor { get; init; }

    /// <summary>How often it was found, where it was brought so. Written without a lock, as <see cref="Frequency"/>.</summary>
    public int Hits;

    /// <summary>1 while a second hit should offer the block to NVMe.</summary>
    public int AwaitsSecondHit;
}

/// <summary>A FIFO of entries, linked through them, with its bytes. Not thread-safe.</summary>
internal sealed class EntryQueue
{
    private MemoryEntry? _head;
    private MemoryEntry? _tail;

    public long Bytes { get; private set; }

    public int Count { get; private set; }

    public MemoryEntry? Oldest => _head;

    public void Append(MemoryEntry entry)
    {
        entry.Queue = this;
        entry.Previous = _tail;
        entry.Next = null;
        if (_tail is null)
        {
            _head = entry;
        }
        else
        {
            _tail.Next = entry;
        }

        _tail = entry;
        Bytes += entry.Block.Capacity;
        Count++;
    }

    public void Remove(MemoryEntry entry)
    {
        if (entry.Previous is null)
        {
            _head = entry.Next;
        }
        else
        {
            entry.Previous.Next = entry.Next;
        }

        if (entry.Next is null)
        {
            _tail = entry.Previous;
        }
        else
        {
            entry.Next.Previous = entry.Previous;
        }

        entry.Previous = entry.Next = null;
        entry.Queue = null;
        Bytes -= entry.Block.Capacity;
        Count--;
    }

    public void MoveToTail(MemoryEntry entry)
    {
        Remove(entry);
        Append(entry);
    }
}
