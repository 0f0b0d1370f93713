namespace Proxy.Cache;

/// <summary>How one object read was answered: the X-Cache header, the counters and the access log all come from this one value.</summary>
public enum CacheOutcome
{
    /// <summary>Class bypass, or no cache: straight from the backend.</summary>
    Bypass,
    HitMemory,

    /// <summary>At least one block came from NVMe, none from the backend.</summary>
    HitNvme,

    /// <summary>Some blocks were cached, some had to be fetched.</summary>
    Partial,
    Miss,

    /// <summary>The backend confirmed that the cached version is current.</summary>
    Revalidated,

    /// <summary>The backend could not be asked and the class allows serving what is cached.</summary>
    Stale,
}
