using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Memory;

/// <summary>The blocks in memory: found without a lock, thrown out when <see cref="BlockPool"/> runs full.</summary>
/// <remarks>
/// Holds one reference to each of its blocks; readers take their own. It has no bound of its own: the pool's bound is the bound, and the
/// pool asks here for room. One lock guards the policy's queues, never held across a callback or a release. Thread-safe.
/// </remarks>
internal sealed class MemoryTier : IDisposable
{
    private static readonly TimeSpan EpochLength = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<BlockId, MemoryEntry> _map = new();
    private readonly Lock _lock = new();
    private readonly S3FifoPolicy _policy;
    private readonly long _epochBytes;
    private readonly ITimer _timer;
    private readonly StripedCounter _hits = new();
    private readonly StripedCounter _misses = new();
    private bool _sparesUnwritten = true;
    private long _insertedInEpoch;
    private long _evictions;
    private int _epoch = 1;

    public MemoryTier(BlockPool pool, TimeProvider time)
    {
        _policy = new S3FifoPolicy(pool.CapacityBytes, IsBusy, entry => IsPinned is { } pinned && pinned(entry.Id.Content));
        _epochBytes = Math.Max(1, pool.CapacityBytes / 64);
        _timer = time.CreateTimer(static tier => ((MemoryTier)tier!).AdvanceEpoch(), this, EpochLength, EpochLength);
        pool.Evictor = Evict;
    }

    /// <summary>Contents that must stay. Asked under the lock: fast, and never back into the tiers.</summary>
    public Func<ContentId, bool>? IsPinned { get; set; }

    /// <summary>Blocks that are to go to disk and have not: thrown out only when there is nothing else. Asked under the lock, as <see cref="IsPinned"/>.</summary>
    public Func<BlockId, bool>? IsUnwritten { get; set; }

    /// <summary>Called on the reader's thread, outside the lock, when a block added with <c>awaitsSecondHit</c> is wanted again. Must not block.</summary>
    public Action<BlockId, Block>? SecondHit { get; set; }

    /// <summary>Called outside the lock when a block added with <c>broughtFor</c> was thrown out: its length, that, and how often it was found here. Must not block.</summary>
    public Action<int, int, int>? BroughtLeft { get; set; }

    public long Hits => _hits.Value;

    public long Misses => _misses.Value;

    public long Evictions => Interlocked.Read(ref _evictions);

    public long Bytes
    {
        get
        {
            lock (_lock)
            {
                return _policy.Bytes;
            }
        }
    }

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _policy.Count;
            }
        }
    }

    /// <summary>The hit path: no lock, no allocation. A use, but not yet a hit: <see cref="CountLookups"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGet(in BlockId id, out BlockLease lease)
    {
        if (_map.TryGetValue(id, out var entry) && entry.Block.TryAcquire())
        {
            // Touches within one epoch are one use: sixteen 64 KiB reads of a block in a row do not make it hot.
            if (entry.Epoch != _epoch)
            {
                Touch(entry);
            }

            if (entry.BroughtFor != 0)
            {
                entry.Hits++;
            }

            lease = new BlockLease(entry.Block);
            return true;
        }

        lease = default;
        return false;
    }

    /// <summary>Blocks that reads came to. Counted by who hands them out: one read may look several times for a block, here and in other sizes, before it has it.</summary>
    public void CountLookups(int hits, int misses)
    {
        if (hits > 0)
        {
            _hits.Add(hits);
        }

        if (misses > 0)
        {
            _misses.Add(misses);
        }
    }

    /// <summary>A lease that does not count as a use; nothing when it is not here.</summary>
    public BlockLease Peek(BlockId id) => _map.TryGetValue(id, out var entry) && entry.Block.TryAcquire() ? new BlockLease(entry.Block) : default;

    public bool Contains(in BlockId id) => _map.ContainsKey(id);

    /// <summary>Takes over the caller's reference, also when the block was there already (the new copy is then released).</summary>
    /// <param name="broughtFor">Bytes of it that were asked for when all of it was brought up from NVMe; 0 for all other blocks.</param>
    /// <returns>True when the block has been here before and left untouched.</returns>
    public bool Insert(in BlockId id, Block block, bool awaitsSecondHit, int broughtFor = 0)
    {
        block.Settle();
        var entry = new MemoryEntry(id, block) { Epoch = _epoch, AwaitsSecondHit = awaitsSecondHit ? 1 : 0, BroughtFor = broughtFor };
        bool added;
        var seenBefore = false;
        lock (_lock)
        {
            added = _map.TryAdd(id, entry);
            if (added)
            {
                seenBefore = _policy.Add(entry);
                _insertedInEpoch += block.Capacity;
                if (_insertedInEpoch >= _epochBytes)
                {
                    AdvanceEpoch();
                }
            }
        }

        if (!added)
        {
            block.Release();
        }

        return seenBefore;
    }

    public bool Remove(in BlockId id)
    {
        MemoryEntry? entry;
        lock (_lock)
        {
            if (!_map.TryRemove(id, out entry))
            {
                return false;
            }

            S3FifoPolicy.Remove(entry);
        }

        entry.Block.Release();
        return true;
    }

    /// <summary>Throws blocks out until <paramref name="bytes"/> are released or all that remain are leased.</summary>
    public long Evict(int bytes)
    {
        long freed = 0;
        while (freed < bytes)
        {
            MemoryEntry? victim;
            lock (_lock)
            {
                victim = _policy.TakeVictim();
                if (victim is null && IsUnwritten is not null)
                {
                    _sparesUnwritten = false;
                    victim = _policy.TakeVictim();
                    _sparesUnwritten = true;
                }

                if (victim is not null)
                {
                    _map.TryRemove(victim.Id, out _);
                }
            }

            if (victim is null)
            {
                break;
            }

            freed += victim.Block.Capacity;
            if (victim.BroughtFor != 0)
            {
                BroughtLeft?.Invoke(victim.Block.Length, victim.BroughtFor, victim.Hits);
            }

            victim.Block.Release();
            Interlocked.Increment(ref _evictions);
        }

        return freed;
    }

    /// <summary>Time as the policy sees it moves on: by inserted bytes, and by the clock when nothing is inserted.</summary>
    internal void AdvanceEpoch()
    {
        _insertedInEpoch = 0;
        Interlocked.Increment(ref _epoch);
    }

    public void Dispose()
    {
        _timer.Dispose();
        foreach (var id in _map.Keys)
        {
            Remove(id);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Touch(MemoryEntry entry)
    {
        entry.Epoch = _epoch;
        if (entry.Frequency < S3FifoPolicy.MaxFrequency)
        {
            entry.Frequency++;
        }

        if (Volatile.Read(ref entry.AwaitsSecondHit) == 1 && Interlocked.Exchange(ref entry.AwaitsSecondHit, 0) == 1)
        {
            SecondHit?.Invoke(entry.Id, entry.Block);
        }
    }

    private bool IsBusy(MemoryEntry entry)
        => !entry.Block.HasOneReference || (_sparesUnwritten && IsUnwritten is { } unwritten && unwritten(entry.Id));
}
