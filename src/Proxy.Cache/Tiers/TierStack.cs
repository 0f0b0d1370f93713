using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers.Memory;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.Cache.Tiers;

/// <summary>Memory before NVMe: finds blocks, takes in new ones, decides what is worth the disk and what comes back up.</summary>
/// <remarks>The only face of the tiers. A tier's trouble is never the caller's: it is a miss. Thread-safe.</remarks>
internal sealed partial class TierStack : IAsyncDisposable
{
    private readonly BlockPool _pool;
    private readonly MemoryTier _memory;
    private readonly INvmeStore? _nvme;
    private readonly PinnedContents _pins;
    private readonly Promotions _promotions = new();
    private readonly AdmissionDuel _duel;
    private readonly TurnedAway _turnedAway;

    private TierStack(BlockPool pool, MemoryTier memory, INvmeStore? nvme, PinnedContents pins, int blockBytes)
    {
        _duel = new AdmissionDuel(() => nvme?.CapacityBytes ?? 0, blockBytes, SegmentCleaner.ReinsertionBudget, seed: 1);
        _turnedAway = new TurnedAway(() => nvme?.CapacityBytes ?? 0, blockBytes);
        _pool = pool;
        _memory = memory;
        _nvme = nvme;
        _pins = pins;
        if (nvme is null)
        {
            // With a disk below, pinned blocks may leave memory: they are kept there.
            _memory.IsPinned = pins.Contains;
        }
        else
        {
            _memory.IsUnwritten = id => nvme.IsLate(id);
        }

        _memory.SecondHit = OnSecondHit;
        _memory.BroughtLeft = _promotions.Left;
    }

    /// <summary>Returns at once; NVMe directories open and recover in the background.</summary>
    public static TierStack Open(TierOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        var pool = new BlockPool(options.MemoryCapacityBytes);
        pool.Unmapped = reason => LogUnmapped(loggers.CreateLogger<TierStack>(), reason);
        pool.WarmAhead(options.MaxBlockBytes);
        var memory = new MemoryTier(pool, time);
        return new TierStack(pool, memory, NvmeStripes.Open(options with { StillInMemory = memory.Peek }, pool, time, loggers), options.Pins, options.MaxBlockBytes);
    }

    /// <summary>The memory tier itself, for pinning and for tests.</summary>
    internal MemoryTier Memory => _memory;

    internal BlockPool Pool => _pool;

    /// <summary>What an operator wants kept.</summary>
    internal PinnedContents Pins => _pins;

    internal INvmeStore? Nvme => _nvme;

    /// <summary>When blocks come up from NVMe, for tests.</summary>
    internal Promotions Promotions => _promotions;

    /// <inheritdoc cref="INvmeStore.Backlog"/>
    public double Backlog => _nvme?.Backlog ?? 0;

    /// <summary>The hit path: no lock, no allocation.</summary>
    public bool TryGetFromMemory(in BlockId id, out BlockLease lease) => _memory.TryGet(id, out lease);

    /// <summary>Whether a read would find it in memory: a look, no use.</summary>
    public bool IsInMemory(in BlockId id) => _memory.Contains(id);

    /// <inheritdoc cref="MemoryTier.CountLookups"/>
    public void CountInMemory(int hits, int misses) => _memory.CountLookups(hits, misses);

    /// <inheritdoc cref="INvmeStore.CountLookup"/>
    public void CountOnNvme(in BlockId id, bool found) => _nvme?.CountLookup(id, found);

    /// <summary>Memory, then NVMe.</summary>
    /// <param name="offset">Within the block.</param>
    /// <param name="length">Cut to the end of the block.</param>
    /// <returns>Not found for anything else than verified bytes; the lease is the caller's.</returns>
    public ValueTask<TierRead> ReadAsync(BlockId id, int offset, int length, CancellationToken cancellation)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        if (_memory.TryGet(id, out var lease))
        {
            if (offset >= lease.Length)
            {
                lease.Dispose();
                return default;
            }

            return ValueTask.FromResult(new TierRead(lease.Slice(offset, Math.Min(length, lease.Length - offset)), Tier.Memory));
        }

        return _nvme is not null && _nvme.TryGetLength(id, out var whole) && offset < whole
            ? ReadNvmeAsync(_nvme, id, offset, Math.Min(length, whole - offset), whole, cancellation)
            : default;
    }

    /// <summary>Memory for a block to be filled; evicts if need be.</summary>
    /// <returns>False when everything is leased: the caller does without the cache.</returns>
    public bool TryRent(int length, [NotNullWhen(true)] out Block? block) => _pool.TryRent(length, out block);

    /// <summary>Makes a filled block known: in memory at once, on NVMe as <paramref name="admission"/> says.</summary>
    /// <param name="block">The caller's reference is taken over. Its content is complete and never changes again.</param>
    public void Publish(in BlockId id, Block block, Admission admission)
    {
        block = Fitted(block);
        if (_nvme is null || admission == Admission.MemoryOnly)
        {
            _memory.Insert(id, block, awaitsSecondHit: false);
            return;
        }

        // Before the insert: afterwards the reference is the tier's and may be gone.
        var forNvme = block.Lease();
        var isFree = _nvme.HasRoom(id) || _pins.Contains(id.Content);
        var waits = admission == Admission.SecondHit && !isFree;
        var seenBefore = _memory.Insert(id, block, awaitsSecondHit: waits);
        if (admission == Admission.Always)
        {
            _duel.Written(id, forNvme.Length);
        }
        else
        {
            _duel.Read(id);
        }

        var isWanted = !waits || seenBefore || _turnedAway.ComesAgain(id, forNvme.Length);
        if (admission == Admission.Always || (isWanted && IsOffered(id, forNvme.Length, isFree)))
        {
            _nvme.TryWrite(id, forNvme);
        }
        else
        {
            forNvme.Dispose();
        }
    }

    /// <summary>Whether a read would find it, without reading.</summary>
    public bool Contains(in BlockId id, out Tier tier)
    {
        tier = _memory.Contains(id) ? Tier.Memory : _nvme is not null && _nvme.Contains(id) ? Tier.Nvme : Tier.None;
        return tier != Tier.None;
    }

    /// <summary>Sees to it that a block that is in memory is also on NVMe, where there is such a tier.</summary>
    /// <returns>False when it is in neither, or the disk cannot take it now.</returns>
    public bool TryKeepOnNvme(in BlockId id)
    {
        if (_nvme is null)
        {
            return _memory.Contains(id);
        }

        return _nvme.Contains(id) || (_memory.Peek(id) is { HasValue: true } lease && _nvme.TryWrite(id, lease));
    }

    /// <summary>Whether the directory that a block belongs to takes blocks now.</summary>
    public bool ServesNvme(in BlockId id) => _nvme is not null && _nvme.Serves(id);

    /// <summary>Forgets a block in every tier.</summary>
    public void Remove(in BlockId id)
    {
        _memory.Remove(id);
        _nvme?.Remove(id);
    }

    public TierSnapshot Snapshot() => new()
    {
        Memory = new MemorySnapshot
        {
            CapacityBytes = _pool.CapacityBytes,
            UsedBytes = _pool.RentedBytes,
            CachedBytes = _memory.Bytes,
            Blocks = _memory.Count,
            Hits = _memory.Hits,
            Misses = _memory.Misses,
            Evictions = _memory.Evictions,
            Refusals = _pool.Refusals,
        },
        Nvme = _nvme?.Snapshot() ?? [],
        TakesPart = _duel.TakesPart,
        Declined = _duel.Declined,
    };

    /// <summary>Writes what is queued and leaves NVMe ready for the next start. Leases should be back by now.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_nvme is not null)
        {
            await _nvme.DisposeAsync().ConfigureAwait(false);
        }

        _memory.Dispose();

        // With a lease still out its memory must stay mapped: leaking it at exit is better than a fault.
        if (_pool.RentedBlocks == 0)
        {
            _pool.Dispose();
        }
    }

    // Pooled: a read from NVMe allocates its Block and nothing else.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<TierRead> ReadNvmeAsync(INvmeStore nvme, BlockId id, int offset, int length, int whole, CancellationToken cancellation)
    {
        // A block whose parts are read again and again is cheaper as the whole block in memory.
        var promote = length == whole || _promotions.IsDue(id, length, whole);
        var lease = promote
            ? await nvme.ReadAsync(id, 0, whole, cancellation).ConfigureAwait(false)
            : await nvme.ReadAsync(id, offset, length, cancellation).ConfigureAwait(false);
        if (!lease.HasValue)
        {
            return default;
        }

        _duel.Read(id);
        _duel.Offered(id, whole);
        if (!promote)
        {
            return new TierRead(lease, Tier.Nvme);
        }

        if (lease.Length == lease.Block!.Length && lease.Block.TryAcquire())
        {
            _memory.Insert(id, lease.Block, awaitsSecondHit: false, broughtFor: length == whole ? 0 : length);
        }

        return new TierRead(lease.Slice(offset, length), Tier.Nvme);
    }

    private void OnSecondHit(BlockId id, Block block)
    {
        if (_nvme is not null && IsOffered(id, block.Length, isFree: _nvme.HasRoom(id)) && block.TryAcquire())
        {
            _nvme.TryWrite(id, new BlockLease(block));
        }
    }

    private bool IsOffered(in BlockId id, int bytes, bool isFree)
    {
        _duel.Offered(id, bytes);
        return isFree || _duel.Admits();
    }

    /// <summary>A block that came out much shorter than rented moves to memory of its own size.</summary>
    private Block Fitted(Block block)
    {
        if (block.Capacity <= 2 * SizeClasses.SizeOf(SizeClasses.IndexOf(block.Length)) || !_pool.TryRent(block.Length, out var fitted))
        {
            return block;
        }

        block.Span.CopyTo(fitted.Span);
        block.Release();
        return fitted;
    }

    [LoggerMessage(3220, LogLevel.Warning, "The memory tier stays smaller than configured: {Reason}")]
    private static partial void LogUnmapped(ILogger logger, string reason);
}
