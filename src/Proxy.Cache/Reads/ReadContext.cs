using System.Collections.Concurrent;
using Proxy.Cache.Fills;
using Proxy.Cache.Policy;
using Proxy.Cache.Tiers;

namespace Proxy.Cache.Reads;

/// <summary>What every open read needs of the cache, and the pool its objects come from. Thread-safe.</summary>
#pragma warning disable CA1001 // A SemaphoreSlim whose wait handle nobody takes holds nothing, and a read may end after the cache.
internal sealed class ReadContext(CacheOptions options, TierStack tiers, FillCoordinator fills, CacheCounters counters, CollectionTable collections)
#pragma warning restore CA1001
{
    /// <summary>Blocks one read may hold from its start on.</summary>
    public const int MaxLeases = 32;

    private const int MaxPooled = 4096;
    private readonly ConcurrentQueue<CachedRead> _pool = new();
    private readonly long _maxLeasedBytes = options.Memory.CapacityBytes / 2;
    private readonly SemaphoreSlim _passes = new(options.Fills.MaxPassThrough);
    private long _leasedBytes;

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

    /// <summary>One more stream past the tiers, if the bound allows within <paramref name="patience"/>. Who waits goes before who comes later.</summary>
    /// <remarks>
    /// To be waited for by who holds nothing, neither memory nor a stream: who has a stream needs nothing more of us to come to its end, so that no two wait for each other.
    /// </remarks>
    public async ValueTask<bool> TryPassAsync(TimeSpan patience, CancellationToken cancellation)
    {
        var passes = await _passes.WaitAsync(patience, cancellation);
        Interlocked.Increment(ref passes ? ref Counters.PassedThrough : ref Counters.PassRefused);
        return passes;
    }

    public void EndPass() => _passes.Release();
}
