using Proxy.Cache.Policy;
using Proxy.Cache.Reads;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.Cache;

// What the cache says of itself, for metrics, the console and operators. Nothing here changes anything.
public sealed partial class ObjectCache
{
    /// <summary>Every counter at this moment.</summary>
    public CacheSnapshot Snapshot() => new()
    {
        Reads = _counters.Reads(),
        ServedByKind = _counters.Served(),
        Misses = _counters.Misses(),
        Fills = _counters.Fills(_fillBudget.UsedBytes),
        Captures = _counters.Captures(_captureBudget.UsedBytes, _parts.Count),
        Revalidations = _counters.Revalidations,
        RevalidationsUnchanged = _counters.RevalidationsUnchanged,
        Invalidations = _counters.Invalidations,
        FirstReadAfterWriteHits = _counters.FirstReadHits,
        FirstReadAfterWriteMisses = _counters.FirstReadMisses,
        CatalogEntries = _catalog.Count,
        CatalogBytes = _catalog.UsedBytes,
        OpenReads = _counters.OpenReads,
        SiblingsAhead = _counters.SiblingsAhead,
        SiblingsAheadUsed = _counters.SiblingsAheadUsed,
        RangesAhead = _counters.RangesAhead,
        RangesAheadUsed = _counters.RangesAheadUsed,
        AheadRefused = _counters.AheadRefused,
    };

    /// <summary>Bytes read so far of each Milvus collection. Walks them all: for a scrape, not for a request.</summary>
    public IReadOnlyList<CollectionBytes> Collections() => _collections.Snapshot();

    /// <summary>The tiers' own counters and levels.</summary>
    public TierSnapshot TierSnapshot() => _tiers.Snapshot();

    /// <summary>What of Milvus's a key is: for metrics of reads that pass by the cache.</summary>
    public MilvusKind KindOf(ReadOnlySpan<char> key) => _rules.TryParseMilvus(key, out var milvus) ? milvus.Kind : MilvusKind.Other;

    /// <summary>What is known of one key.</summary>
    public KeyReport Explain(ObjectId id)
    {
        _ = _rules.TryParseMilvus(id.Key, out var milvus);
        var policy = _rules.Find(id.Bucket, id.Key);
        if (!_catalog.TryGet(id.Bucket, id.Key, out var entry))
        {
            return new KeyReport { Class = policy.Class, Milvus = milvus };
        }

        var (memory, nvme) = Whereabouts.BytesOf(_tiers, entry);
        return new KeyReport
        {
            Class = policy.Class,
            Milvus = milvus,
            Known = true,
            ETag = entry.ETag,
            Size = entry.Size,
            Fresh = _versions.IsFresh(entry),
            Extents = entry.Layout.Extents.Length,
            MemoryBytes = memory,
            NvmeBytes = nvme,
            Filled = entry.Layout.Filled,
        };
    }
}
