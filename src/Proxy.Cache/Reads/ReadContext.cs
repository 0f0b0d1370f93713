using System.Collections.Concurrent;
using Proxy.Cache.Fills;
using Proxy.Cache.Policy;
using Proxy.Cache.Tiers;

namespace Proxy.Cache.Reads;

/// <summary>What every open read needs of the cache, and the pool its objects come from. Thread-safe.</summary>
internal sealed class ReadContext(CacheOptions options, TierStack tiers, FillCoordinator fills, CacheCounters counters, CollectionTable collections)
{
    /// <summary>Blocks one read may hold from its start on.</summary>
    public const int MaxLeases = 32;

    private const int MaxPooled = 4096;
    private readonly ConcurrentQueue<CachedRead> _pool = new();
    private readonly long _maxLeasedBytes = options.Memory.CapacityBytes / 2;
    private long _leasedBytes;
    private int _passing;

    public TierStack Tiers { get; } = tiers;

    public FillCoordinator Fills { get; } = fills;

    public CacheCounters Counters { get; } = counters;

    public CollectionTable Collections { get; } = collections;

    public CacheOptions Options { get; } = options;

    public CachedRead Rent() => _pool.TryDequeue(out var read) ? read : new CachedRead(this);

    public void Return(CachedRead read)
    {
        if (_pool.Count < MaxPooled)
        {
            _pool.Enqueue(read);
        }
    }

    /// <summary>Whether a read may hold so many bytes of memory blocks until it is done; slow clients must not pin the whole tier.</summary>
    public bool TryHold(long bytes)
    {
        if (Interlocked.Add(ref _leasedBytes, bytes) <= _maxLeasedBytes)
        {
            return true;
        }

        Interlocked.Add(ref _leasedBytes, -bytes);
        return false;
    }

    public void Unhold(long bytes) => Interlocked.Add(ref _leasedBytes, -bytes);

    /// <summary>One more stream past the tiers, if the bound allows.</summary>
    public bool TryPass()
    {
        if (Interlocked.Increment(ref _passing) <= Options.Fills.MaxPassThrough)
        {
            Interlocked.Increment(ref Counters.PassedThrough);
            return true;
        }

        Interlocked.Decrement(ref _passing);
        Interlocked.Increment(ref Counters.PassRefused);
        return false;
    }

    public void EndPass() => Interlocked.Decrement(ref _passing);
}
