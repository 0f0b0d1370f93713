namespace Proxy.Cache.Tiers.Nvme;

/// <summary>What one directory's store has done; survives the store being reopened. Fields are added to by <see cref="Interlocked"/>.</summary>
internal sealed class NvmeCounters
{
    public readonly StripedCounter Hits = new();
    public readonly StripedCounter Misses = new();
    public readonly ReadLatency ReadLatency = new();
    public long ReadBytes;
    public long BlocksWritten;
    public long WritesDropped;
    public long SegmentsEvicted;
    public long BlocksEvicted;
    public long BlocksReinserted;
    public long Corrupt;
    public long IoErrors;
    public long Suspensions;
    public long BlocksRecovered;
    public long RecoveryTicks;
}
