using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>A level of the cache.</summary>
public enum Tier
{
    None,
    Memory,
    Nvme,
}

/// <summary>When a published block is also written to NVMe.</summary>
internal enum Admission
{
    /// <summary>Stays in memory only.</summary>
    MemoryOnly,

    /// <summary>When it is wanted a second time, in memory or after that (<see cref="TurnedAway"/>): what scans bring in does not wear the disk.</summary>
    SecondHit,

    /// <summary>With the read that brought it: index files, which are read whole and by every replica.</summary>
    FirstHit,

    /// <summary>Whatever else is wanted of the disk: captures, warming.</summary>
    Always,
}

/// <summary>What a tier read gave: a lease and where it came from, or nothing and <see cref="Tier.None"/>.</summary>
internal readonly record struct TierRead(BlockLease Lease, Tier Tier)
{
    public bool Found => Tier != Tier.None;
}
