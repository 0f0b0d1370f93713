using System.Numerics;
using System.Runtime.InteropServices;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Where a block lies in the log.</summary>
/// <param name="Uses">Reads since it was written, 0 … 3.</param>
internal readonly record struct BlockLocation(long Address, int Length, int Uses);

/// <summary>The map from block to log address, outside the GC heap: 20 bytes a slot.</summary>
/// <remarks>
/// Keeps a 64-bit fingerprint for the 20-byte id: two ids with one fingerprint (about one in 10⁵ caches of 10⁷ blocks has such a pair) cost a
/// miss, since the checksums on disk are seeded with the whole id. Open addressing, 64 shards, a short lock each. Entries of evicted
/// segments need no removal: they are swept when a shard fills, before it grows. Thread-safe.
/// </remarks>
internal sealed unsafe class BlockIndex : IDisposable
{
    public const int MaxUses = 3;
    private const int ShardBits = 6;
    private readonly Shard[] _shards = new Shard[1 << ShardBits];
    private long _begin;

    public BlockIndex()
    {
        for (var i = 0; i < _shards.Length; i++)
        {
            _shards[i] = new Shard(this);
        }
    }

    /// <summary>Addresses below are gone: their entries are not found any more.</summary>
    public long BeginAddress
    {
        get => Volatile.Read(ref _begin);
        set => Volatile.Write(ref _begin, value);
    }

    /// <summary>Entries, some of which may be gone already.</summary>
    public long Count => _shards.Sum(shard => (long)shard.Count);

    public long MemoryBytes => _shards.Sum(shard => shard.MemoryBytes);

    public bool TryGet(in BlockId id, bool touch, out BlockLocation location)
    {
        var print = Fingerprint(id);
        return ShardOf(print).TryGet(print, touch, out location);
    }

    /// <summary>The newest write wins.</summary>
    /// <returns>Where the block was until now, or -1.</returns>
    public long Set(in BlockId id, long address, int length)
    {
        var print = Fingerprint(id);
        ShardOf(print).Set(print, address, length, onlyNew: false, expected: -1, out var before);
        return before;
    }

    /// <summary>Recovery: what is known already is newer.</summary>
    public bool TryAdd(in BlockId id, long address, int length)
    {
        var print = Fingerprint(id);
        return ShardOf(print).Set(print, address, length, onlyNew: true, expected: -1, out _);
    }

    /// <summary>The cleaner moved a block: only if nobody else did or removed it meanwhile.</summary>
    public bool TryMove(in BlockId id, long from, long to, int length)
    {
        var print = Fingerprint(id);
        return ShardOf(print).Set(print, to, length, onlyNew: false, expected: from, out _);
    }

    /// <param name="address">Only if it is still there.</param>
    public bool Remove(in BlockId id, long address)
    {
        var print = Fingerprint(id);
        return ShardOf(print).Remove(print, ref address);
    }

    /// <param name="address">Where it was.</param>
    public bool Remove(in BlockId id, out long address)
    {
        var print = Fingerprint(id);
        address = -1;
        return ShardOf(print).Remove(print, ref address);
    }

    public void Dispose()
    {
        foreach (var shard in _shards)
        {
            shard.Free();
        }
    }

    private static ulong Fingerprint(in BlockId id)
    {
        var mixed = (id.Content.Low ^ BitOperations.RotateLeft(id.Content.High, 29) ^ ((ulong)(uint)id.Number * 0x9E3779B97F4A7C15)) * 0xD6E8FEB86659FD93;
        mixed ^= mixed >> 32;
        mixed *= 0xD6E8FEB86659FD93;
        mixed ^= mixed >> 32;
        return mixed == 0 ? 1 : mixed;
    }

    private Shard ShardOf(ulong print) => _shards[print >> (64 - ShardBits)];

    /// <summary>Address and uses share a word: 62 bits of address are 4 exabytes of writes.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Slot
    {
        public ulong Print;
        public ulong AddressAndUses;
        public int Length;

        public readonly long Address => (long)(AddressAndUses >> 2);

        public readonly int Uses => (int)(AddressAndUses & 3);
    }

    private sealed class Shard(BlockIndex index)
    {
        private const int InitialSlots = 64;
        private readonly Lock _lock = new();
        private Slot* _slots;
        private int _capacity;
        private int _count;

        public int Count => Volatile.Read(ref _count);

        public long MemoryBytes => (long)Volatile.Read(ref _capacity) * sizeof(Slot);

        public bool TryGet(ulong print, bool touch, out BlockLocation location)
        {
            lock (_lock)
            {
                var at = Find_NeedsLock(print);
                if (at >= 0 && _slots[at].Address >= index.BeginAddress)
                {
                    location = new BlockLocation(_slots[at].Address, _slots[at].Length, _slots[at].Uses);
                    if (touch && location.Uses < MaxUses)
                    {
                        _slots[at].AddressAndUses++;
                    }

                    return true;
                }
            }

            location = default;
            return false;
        }

        public bool Set(ulong print, long address, int length, bool onlyNew, long expected, out long before)
        {
            lock (_lock)
            {
                var at = Find_NeedsLock(print);
                before = at >= 0 ? _slots[at].Address : -1;
                if (expected >= 0 && before != expected)
                {
                    return false;
                }

                if (at >= 0)
                {
                    if (onlyNew && before >= index.BeginAddress)
                    {
                        return false;
                    }

                    _slots[at] = new Slot { Print = print, AddressAndUses = (ulong)address << 2, Length = length };
                    return true;
                }

                if ((_count + 1) * 5L > _capacity * 4L)
                {
                    MakeRoom_NeedsLock();
                }

                Insert_NeedsLock(new Slot { Print = print, AddressAndUses = (ulong)address << 2, Length = length });
                return true;
            }
        }

        /// <param name="address">-1: wherever it is.</param>
        public bool Remove(ulong print, ref long address)
        {
            lock (_lock)
            {
                var at = Find_NeedsLock(print);
                if (at < 0 || (address >= 0 && _slots[at].Address != address))
                {
                    return false;
                }

                address = _slots[at].Address;
                RemoveAt_NeedsLock(at);
                return true;
            }
        }

        public void Free()
        {
            lock (_lock)
            {
                NativeMemory.Free(_slots);
                _slots = null;
                _capacity = _count = 0;
            }
        }

        private int Home(ulong print) => (int)(((print & uint.MaxValue) * (ulong)_capacity) >> 32);

        private int Find_NeedsLock(ulong print)
        {
            if (_capacity == 0)
            {
                return -1;
            }

            for (var at = Home(print); _slots[at].Print != 0; at = at + 1 == _capacity ? 0 : at + 1)
            {
                if (_slots[at].Print == print)
                {
                    return at;
                }
            }

            return -1;
        }

        private void Insert_NeedsLock(in Slot slot)
        {
            var at = Home(slot.Print);
            while (_slots[at].Print != 0)
            {
                at = at + 1 == _capacity ? 0 : at + 1;
            }

            _slots[at] = slot;
            _count++;
        }

        /// <summary>Closes the gap by moving later entries of the same run back, so that no tombstones are needed.</summary>
        private void RemoveAt_NeedsLock(int gap)
        {
            for (var next = gap + 1 == _capacity ? 0 : gap + 1; _slots[next].Print != 0; next = next + 1 == _capacity ? 0 : next + 1)
            {
                var home = Home(_slots[next].Print);
                var staysBehindGap = gap <= next ? home > gap && home <= next : home > gap || home <= next;
                if (!staysBehindGap)
                {
                    _slots[gap] = _slots[next];
                    gap = next;
                }
            }

            _slots[gap] = default;
            _count--;
        }

        /// <summary>Leaves the entries of evicted segments behind; grows by half only if that was not enough.</summary>
        private void MakeRoom_NeedsLock()
        {
            var begin = index.BeginAddress;
            var live = 0;
            for (var i = 0; i < _capacity; i++)
            {
                live += _slots[i].Print != 0 && _slots[i].Address >= begin ? 1 : 0;
            }

            var old = _slots;
            var oldCapacity = _capacity;
            _capacity = Math.Max(InitialSlots, live * 5L > oldCapacity * 3L ? oldCapacity + (oldCapacity / 2) : oldCapacity);
            _slots = (Slot*)NativeMemory.AllocZeroed((nuint)_capacity, (nuint)sizeof(Slot));
            _count = 0;
            for (var i = 0; i < oldCapacity; i++)
            {
                if (old[i].Print != 0 && old[i].Address >= begin)
                {
                    Insert_NeedsLock(old[i]);
                }
            }

            NativeMemory.Free(old);
        }
    }
}
