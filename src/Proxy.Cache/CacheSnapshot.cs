using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;

namespace Proxy.Cache;

/// <summary>Every counter of the cache at one moment, for metrics and the console. Counters only grow; levels are named as such.</summary>
public sealed record CacheSnapshot
{
    /// <summary>Object reads by how they were answered and what they were of; pairs never seen are left out.</summary>
    public required IReadOnlyList<ReadCount> Reads { get; init; }

    /// <summary>Bytes handed to clients, by where they came from.</summary>
    public ServedBytes Served => new(ServedByKind.Sum(of => of.Memory), ServedByKind.Sum(of => of.Nvme), ServedByKind.Sum(of => of.Backend));

    /// <summary>The same by what it was of; kinds never read are left out.</summary>
    public required IReadOnlyList<KindBytes> ServedByKind { get; init; }

    /// <summary>Reads of outcome miss or partial, by reason: the three add up to them.</summary>
    public required MissCount Misses { get; init; }

    public required FillCount Fills { get; init; }

    public required CaptureCount Captures { get; init; }

    /// <summary>Validations asked of the backend, and how many found the same version.</summary>
    public long Revalidations { get; init; }

    public long RevalidationsUnchanged { get; init; }

    /// <summary>Times a key was made unknown: mutations, deletions seen, other versions seen.</summary>
    public long Invalidations { get; init; }

    /// <summary>First reads of what was written through this proxy that were hits.</summary>
    public long FirstReadAfterWriteHits { get; init; }

    public long FirstReadAfterWriteMisses { get; init; }

    /// <summary>Level: keys known.</summary>
    public long CatalogEntries { get; init; }

    /// <summary>Level: estimated bytes of the catalog.</summary>
    public long CatalogBytes { get; init; }

    /// <summary>Index slices asked for because the one before them was read; some of them the backend may not have.</summary>
    public long SiblingsAhead { get; init; }

    /// <summary>Of them, those that a reader then came for.</summary>
    public long SiblingsAheadUsed { get; init; }

    /// <summary>Ranges asked for because the one before them was read by a sequential reader.</summary>
    public long RangesAhead { get; init; }

    /// <summary>Of them, those that the reader then came for.</summary>
    public long RangesAheadUsed { get; init; }

    /// <summary>Either of them left undone because half of the fill budget was in use.</summary>
    public long AheadRefused { get; init; }

    /// <summary>Level: reads open now.</summary>
    public long OpenReads { get; init; }
}

/// <param name="Heads">Of <paramref name="Requests"/>, those without a body.</param>
/// <param name="Bytes">Handed to clients.</param>
public sealed record ReadCount(CacheOutcome Outcome, MilvusKind Kind, long Requests, long Heads, long Bytes);

public sealed record ServedBytes(long Memory, long Nvme, long Backend);

/// <summary>What was read of one Milvus collection.</summary>
/// <param name="Collection">0: all that belongs to none, or to one not known.</param>
/// <param name="Cached">Handed out from memory and NVMe.</param>
/// <param name="Backend">Handed out as they came from the backend.</param>
public sealed record CollectionBytes(long Collection, long Cached, long Backend);

public sealed record KindBytes(MilvusKind Kind, long Memory, long Nvme, long Backend);

/// <param name="Unknown">The key was not in the catalog.</param>
/// <param name="Expired">The catalog's entry had to be validated and the version had changed.</param>
/// <param name="Evicted">The key was known, but (some of) its blocks were not held.</param>
public sealed record MissCount(long Unknown, long Expired, long Evicted);

/// <param name="Started">Ranges asked of the backend.</param>
/// <param name="Joined">Reads that waited for a fill another one had begun.</param>
/// <param name="Retried">Requests made again from where the last one stopped.</param>
/// <param name="Failed">Fills whose readers were told of an error.</param>
/// <param name="Cancelled">Fills nobody waited for any more.</param>
/// <param name="Superseded">Fills not published because the key changed meanwhile.</param>
/// <param name="PassedThrough">Reads streamed past the tiers because a budget was spent.</param>
/// <param name="Refused">Reads answered 503 SlowDown because even passing through was at its bound.</param>
/// <param name="BackendBytes">Read from the backend by fills and passed-through reads.</param>
/// <param name="AskedBytes">What the clients of misses had asked for: BackendBytes over this is the amplification.</param>
/// <param name="BytesInFlight">Level: reserved now.</param>
public sealed record FillCount(
    long Started, long Joined, long Retried, long Failed, long Cancelled, long Superseded, long PassedThrough, long Refused, long BackendBytes, long AskedBytes, long BytesInFlight);

/// <param name="Kept">Uploads and parts whose bytes were published.</param>
/// <param name="Dropped">Captures given up for want of memory.</param>
/// <param name="Abandoned">Captures of uploads that failed, or whose key changed meanwhile.</param>
/// <param name="Refused">Uploads not captured at all: class, size or memory.</param>
/// <param name="Layouts">Multipart objects published as a layout over captured parts.</param>
/// <param name="BytesHeld">Level: memory of captures not yet acknowledged.</param>
/// <param name="Parts">Level: parts remembered.</param>
/// <param name="Waited">Uploads were held back for, all together, because the disk was behind.</param>
public sealed record CaptureCount(long Kept, long Dropped, long Abandoned, long Refused, long Layouts, long BytesHeld, long Parts, TimeSpan Waited);

/// <summary>What the cache knows of one key, for the admin API.</summary>
public sealed record KeyReport
{
    public required ObjectClass Class { get; init; }

    public required MilvusKey Milvus { get; init; }

    /// <summary>Whether the catalog has the key; the fields below are null or 0 when not.</summary>
    public bool Known { get; init; }

    public string? ETag { get; init; }

    public long Size { get; init; }

    /// <summary>Whether it would be served now without asking the backend.</summary>
    public bool Fresh { get; init; }

    /// <summary>More than one for a multipart object kept in its parts.</summary>
    public int Extents { get; init; }

    public long MemoryBytes { get; init; }

    public long NvmeBytes { get; init; }

    /// <summary>When its bytes came, and by what; null when none came since this version is known: what is cached all the same was there before.</summary>
    public FillNote? Filled { get; init; }
}
