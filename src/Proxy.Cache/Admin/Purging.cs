using Proxy.Cache.Captures;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.Cache.Admin;

/// <summary>Forgets what an operator or a changed configuration says: entries and their blocks.</summary>
/// <remarks>Walks the catalog, so not for a request. Thread-safe.</remarks>
internal sealed class Purging(ObjectCatalog catalog, Generations generations, ClassRules rules, TierStack tiers, WriteThrough writes)
{
    /// <summary>What a backend was asked before the operator spoke may be what he wants to be rid of: it is not published.</summary>
    public void KeepBackWhatIsOnItsWay() => generations.RaiseAll();

    /// <summary>Forgets every key that begins with <paramref name="prefix"/> (as <c>bucket/key…</c>).</summary>
    /// <returns>How many keys were forgotten.</returns>
    public int Purge(string prefix)
    {
        KeepBackWhatIsOnItsWay();
        var count = 0;
        foreach (var entry in catalog.Enumerate(prefix))
        {
            Purge(entry);
            count++;
        }

        return count;
    }

    /// <summary>
    /// Forgets every known key that <paramref name="isMeant"/> picks, and keeps what is being filled now from being published. Walks the whole catalog: for a
    /// changed configuration, not for a request.
    /// </summary>
    /// <returns>How many keys were forgotten.</returns>
    public int PurgeWhere(Func<ObjectId, bool> isMeant)
    {
        KeepBackWhatIsOnItsWay();
        var count = 0;
        foreach (var entry in catalog.Enumerate("").Where(entry => isMeant(entry.Id)))
        {
            Purge(entry);
            count++;
        }

        return count;
    }

    /// <summary>Takes rules, Milvus profile and revalidation time of <paramref name="options"/> into use; forgets the keys they judge otherwise.</summary>
    public void UpdateRules(CacheOptions options)
    {
        // In this order: what was asked for under the old rules is not published, what is found by the walk was published before that.
        rules.Replace(options);
        KeepBackWhatIsOnItsWay();
        foreach (var entry in catalog.Enumerate("").Where(entry => entry.Policy != rules.Find(entry.Bucket, entry.Key)))
        {
            Purge(entry);
        }
    }

    public void Purge(CatalogEntry entry)
    {
        writes.Invalidate(entry.Id);
        for (long at = 0; at < entry.Size;)
        {
            var place = entry.Layout.BlockAt(at);
            tiers.Remove(place.Id);
            at = place.End;
        }

        for (long at = 0; at < entry.Size; at += ObjectLayout.GranuleBytes)
        {
            tiers.Remove(entry.Layout.GranuleAt(at).Id);
        }
    }
}
