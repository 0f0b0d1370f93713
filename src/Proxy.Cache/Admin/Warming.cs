namespace Proxy.Cache.Admin;

/// <summary>What became of one object that was to be warmed.</summary>
public enum WarmEnd
{
    /// <summary>All of it is in the cache: on NVMe where there is such a tier.</summary>
    Warm,

    /// <summary>Its class is bypass.</summary>
    Bypassed,

    /// <summary>Gone from the backend.</summary>
    Missing,

    /// <summary>Some blocks are not there: it changed meanwhile, memory or the disk's queue were full, or a block left again.</summary>
    Partly,
}

/// <param name="Bytes">The object's size.</param>
/// <param name="FetchedBytes">Read from the backend for it.</param>
public sealed record WarmResult(WarmEnd End, long Bytes, long FetchedBytes);

/// <summary>Asked before bytes are fetched: completes when they may be. Bounds a job's bytes per second.</summary>
public delegate ValueTask WarmPace(long bytes, CancellationToken cancellation);
