using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Proxy.Cache.Metadata;

/// <summary>Catalog entries by (bucket, key), bounded in bytes: found by spans without a lock or an allocation, thrown out by CLOCK.</summary>
/// <remarks>
/// Beneath <see cref="ObjectCatalog"/>, which adds what coherence needs. 256 shards, each a chained hash table in two arrays, so that growing moves one
/// shard (some 40,000 entries in a table of ten million) at a time. Writers hold their shard's lock, for a few instructions; readers walk the chain and,
/// when an entry was removed under them and they found nothing, look again under the lock. Thread-safe.
/// </remarks>
internal sealed class EntryTable
{
    private const int ShardBits = 8;
    private const int FirstSlots = 16;

    // Chains average one entry; a walk this long met slots that were being reused, and looks again under the lock.
    private const int LongestWalk = 64;

    // A new entry, which lies just behind the hand, is thrown out when it comes round; each use until then is worth one more round, at most three.
    private const int NewWorth = 0;
    private const int MostWorth = 3;

    // Which keys share a chain must not be computable by those who choose the keys.
    private readonly long _seed = BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8));
    private readonly Shard[] _shards = new Shard[1 << ShardBits];
    private readonly long _capacityBytes;
    private long _usedBytes;
    private long _count;
    private long _evictions;

    public EntryTable(long capacityBytes)
    {
        _capacityBytes = capacityBytes;
        foreach (ref var shard in _shards.AsSpan())
        {
            shard = new Shard();
        }
    }

    public long Count => Interlocked.Read(ref _count);

    /// <summary>Sum of the entries' <see cref="CatalogEntry.CostBytes"/>.</summary>
    public long UsedBytes => Interlocked.Read(ref _usedBytes);

    public long Evictions => Interlocked.Read(ref _evictions);

    public CatalogEntry? Find(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
    {
        var hash = Hash(bucket, key);
        var shard = ShardOf(hash);
        var entry = shard.Find(hash, bucket, key);
        if (entry is not null && entry.Worth < MostWorth)
        {
            entry.Worth++;
        }

        return entry;
    }

    /// <summary>Adds the entry, or puts it in its predecessor's place; then throws out what is too much.</summary>
    public void Set(CatalogEntry entry)
    {
        var hash = Hash(entry.Bucket, entry.Key);
        var shard = ShardOf(hash);
        entry.Worth = NewWorth;
        CatalogEntry? before;
        lock (shard.Gate)
        {
            before = shard.Set_NeedsLock(hash, entry);
        }

        Interlocked.Add(ref _usedBytes, entry.CostBytes - (before?.CostBytes ?? 0));
        if (before is null)
        {
            Interlocked.Increment(ref _count);
        }

        // From its own shard, so that shards keep the sizes that hashing gave them; from the next ones when that holds nothing else.
        // Bounded: an entry larger than the whole table goes in, and out again with the next one.
        var at = (int)(hash >> (64 - ShardBits));
        for (var looks = 0; UsedBytes > _capacityBytes && looks < _shards.Length; looks++)
        {
            while (UsedBytes > _capacityBytes && TryEvictOne(_shards[(at + looks) % _shards.Length], except: entry))
            {
            }
        }
    }

    /// <returns>What was removed; null when the key was not known.</returns>
    public CatalogEntry? Remove(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
    {
        var hash = Hash(bucket, key);
        var shard = ShardOf(hash);
        CatalogEntry? gone;
        lock (shard.Gate)
        {
            gone = shard.Remove_NeedsLock(hash, bucket, key);
        }

        if (gone is not null)
        {
            Forget(gone);
        }

        return gone;
    }

    /// <summary>Every entry there was while its shard was looked at.</summary>
    public IEnumerable<CatalogEntry> Enumerate()
    {
        foreach (var shard in _shards)
        {
            List<CatalogEntry> entries;
            lock (shard.Gate)
            {
                entries = shard.List_NeedsLock();
            }

            foreach (var entry in entries)
            {
                yield return entry;
            }
        }
    }

    private bool TryEvictOne(Shard shard, CatalogEntry except)
    {
        CatalogEntry? victim;
        lock (shard.Gate)
        {
            victim = shard.TakeVictim_NeedsLock(except);
            if (victim is not null)
            {
                shard.Remove_NeedsLock(Hash(victim.Bucket, victim.Key), victim.Bucket, victim.Key);
            }
        }

        if (victim is null)
        {
            return false;
        }

        Forget(victim);
        Interlocked.Increment(ref _evictions);
        return true;
    }

    private void Forget(CatalogEntry entry)
    {
        Interlocked.Add(ref _usedBytes, -entry.CostBytes);
        Interlocked.Decrement(ref _count);
    }

    private Shard ShardOf(ulong hash) => _shards[hash >> (64 - ShardBits)];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Hash(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
        => XxHash3.HashToUInt64(MemoryMarshal.AsBytes(key), (long)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(bucket), _seed));

    private struct Slot
    {
        public CatalogEntry? Entry;
        public uint Hash;

        /// <summary>Index of the next slot of the chain, or of the free list, plus 1; 0 ends it.</summary>
        public int Next;
    }

    /// <summary>Replaced as a whole when it is full; a reader that still walks the old one misses only what came after it began.</summary>
    private sealed class Table(int size)
    {
        public readonly int[] Heads = new int[size];
        public readonly Slot[] Slots = new Slot[size];
    }

    private sealed class Shard
    {
        private Table _table = new(FirstSlots);
        private int _removals;
        private int _used;
        private int _free;
        private int _hand;

        public Lock Gate { get; } = new();

        public CatalogEntry? Find(ulong hash, ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
        {
            var removals = Volatile.Read(ref _removals);
            if (Walk(Volatile.Read(ref _table), (uint)hash, bucket, key, out var whole) is { } entry)
            {
                return entry;
            }

            // Every read of the walk was a volatile one, so this one comes after them.
            if (whole && (removals & 1) == 0 && Volatile.Read(ref _removals) == removals)
            {
                return null;
            }

            lock (Gate)
            {
                return Walk(_table, (uint)hash, bucket, key, out _);
            }
        }

        /// <returns>The entry it replaces.</returns>
        public CatalogEntry? Set_NeedsLock(ulong hash, CatalogEntry entry)
        {
            var index = IndexOf_NeedsLock((uint)hash, entry.Bucket, entry.Key, out _);
            if (index != 0)
            {
                ref var there = ref _table.Slots[index - 1];
                var before = there.Entry;
                Volatile.Write(ref there.Entry, entry);
                return before;
            }

            if (_free == 0 && _used == _table.Slots.Length)
            {
                Grow_NeedsLock();
            }

            if (_free != 0)
            {
                index = _free;
                _free = _table.Slots[index - 1].Next;
            }
            else
            {
                index = ++_used;
            }

            ref var head = ref _table.Heads[(uint)hash & (uint)(_table.Heads.Length - 1)];
            ref var slot = ref _table.Slots[index - 1];
            slot.Hash = (uint)hash;
            slot.Next = head;
            Volatile.Write(ref slot.Entry, entry);
            // Last: from here on readers find it.
            Volatile.Write(ref head, index);
            return null;
        }

        public CatalogEntry? Remove_NeedsLock(ulong hash, ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
        {
            var index = IndexOf_NeedsLock((uint)hash, bucket, key, out var previous);
            if (index == 0)
            {
                return null;
            }

            ref var slot = ref _table.Slots[index - 1];
            var entry = slot.Entry;

            // Odd while chains change: a walk that ends in nothing meanwhile proves nothing.
            Interlocked.Increment(ref _removals);
            ref var link = ref previous == 0 ? ref _table.Heads[(uint)hash & (uint)(_table.Heads.Length - 1)] : ref _table.Slots[previous - 1].Next;
            Volatile.Write(ref link, slot.Next);
            Volatile.Write(ref slot.Entry, null);
            Volatile.Write(ref slot.Next, _free);
            _free = index;
            Interlocked.Increment(ref _removals);
            return entry;
        }

        /// <summary>CLOCK: the hand takes one from the worth of what it passes, and stops at what has none left.</summary>
        public CatalogEntry? TakeVictim_NeedsLock(CatalogEntry except)
        {
            for (var steps = (MostWorth + 1) * _used; steps > 0; steps--)
            {
                _hand = _hand >= _used ? 1 : _hand + 1;
                var entry = _table.Slots[_hand - 1].Entry;
                if (entry is null || ReferenceEquals(entry, except))
                {
                    continue;
                }

                if (entry.Worth == 0)
                {
                    return entry;
                }

                entry.Worth--;
            }

            return null;
        }

        public List<CatalogEntry> List_NeedsLock()
        {
            var entries = new List<CatalogEntry>(_used);
            foreach (ref var slot in _table.Slots.AsSpan(0, _used))
            {
                if (slot.Entry is { } entry)
                {
                    entries.Add(entry);
                }
            }

            return entries;
        }

        private static CatalogEntry? Walk(Table table, uint hash, ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, out bool whole)
        {
            var index = Volatile.Read(ref table.Heads[hash & (uint)(table.Heads.Length - 1)]);
            for (var steps = 0; index != 0 && steps < LongestWalk; steps++)
            {
                ref var slot = ref table.Slots[index - 1];
                if (slot.Hash == hash && Volatile.Read(ref slot.Entry) is { } entry && key.SequenceEqual(entry.Key) && bucket.SequenceEqual(entry.Bucket))
                {
                    whole = true;
                    return entry;
                }

                index = Volatile.Read(ref slot.Next);
            }

            whole = index == 0;
            return null;
        }

        private int IndexOf_NeedsLock(uint hash, ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, out int previous)
        {
            previous = 0;
            var index = _table.Heads[hash & (uint)(_table.Heads.Length - 1)];
            while (index != 0)
            {
                ref var slot = ref _table.Slots[index - 1];
                if (slot.Hash == hash && key.SequenceEqual(slot.Entry!.Key) && bucket.SequenceEqual(slot.Entry.Bucket))
                {
                    return index;
                }

                (previous, index) = (index, slot.Next);
            }

            return 0;
        }

        private void Grow_NeedsLock()
        {
            // Full, so every slot is in use and keeps its index.
            var larger = new Table(_table.Slots.Length * 2);
            _table.Slots.CopyTo(larger.Slots, 0);
            for (var index = 1; index <= _used; index++)
            {
                ref var slot = ref larger.Slots[index - 1];
                ref var head = ref larger.Heads[slot.Hash & (uint)(larger.Heads.Length - 1)];
                (slot.Next, head) = (head, index);
            }

            Volatile.Write(ref _table, larger);
        }
    }
}
