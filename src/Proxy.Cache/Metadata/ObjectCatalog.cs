using System.Diagnostics.CodeAnalysis;
using Proxy.Cache.Invalidation;
using Proxy.S3.Objects;

namespace Proxy.Cache.Metadata;

/// <summary>Which version each key has, as far as the cache knows: the only part of it that needs coherence.</summary>
/// <remarks>
/// The entries lie in an <see cref="EntryTable"/>, looked up by spans. Every change of a key goes through
/// <see cref="Invalidate"/>, every new version through <see cref="TryPublish"/>, and both through the key's gate in <see cref="Generations"/>:
/// an entry learned before a mutation can never stand after it. Thread-safe.
/// </remarks>
internal sealed class ObjectCatalog(long capacityBytes, Generations generations, CatalogJournal? journal = null)
{
    private readonly EntryTable _entries = new(capacityBytes);

    public long Count => _entries.Count;

    /// <summary>Estimated bytes held.</summary>
    public long UsedBytes => _entries.UsedBytes;

    /// <summary>Entries thrown out for room.</summary>
    public long Evictions => _entries.Evictions;

    public bool TryGet(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, [NotNullWhen(true)] out CatalogEntry? entry)
    {
        entry = _entries.Find(bucket, key);
        return entry is not null;
    }

    /// <summary>Takes the key's generation, before a request about it leaves.</summary>
    public GenerationToken Take(ObjectId id) => generations.Take(Generations.StripeOf(id.Bucket, id.Key));

    public bool Holds(in GenerationToken token) => generations.Holds(token);

    /// <summary>Makes <paramref name="entry"/> the key's version, unless the key was touched since <paramref name="token"/> was taken.</summary>
    public bool TryPublish(CatalogEntry entry, in GenerationToken token)
    {
        lock (generations.Gate(token.Stripe))
        {
            if (!generations.Holds(token))
            {
                return false;
            }

            _entries.Set(entry);
            // Under the gate, so that the journal has one key's changes in the order they happened.
            journal?.Put(entry);
        }

        return true;
    }

    /// <summary>The one way by which anything becomes unknown: raises the generation and drops the entry.</summary>
    /// <param name="isWrite">Before a write leaves, which is told of by <see cref="EndWrite"/>.</param>
    /// <returns>The generation from here on; one that never holds when another write of the key is on its way.</returns>
    public GenerationToken Invalidate(ObjectId id, bool isWrite = false)
    {
        var stripe = Generations.StripeOf(id.Bucket, id.Key);
        GenerationToken token;
        lock (generations.Gate(stripe))
        {
            token = isWrite ? generations.BeginWrite_NeedsLock(stripe) : generations.Raise_NeedsLock(stripe);
            _entries.Remove(id.Bucket, id.Key);
            // Also when nothing was known: an entry that was thrown out for room still stands in the journal.
            journal?.Remove(id.ToString());
        }

        return token;
    }

    /// <summary>The write that <paramref name="begun"/> was taken for is over.</summary>
    public void EndWrite(in GenerationToken begun) => generations.EndWrite(begun.Stripe);

    /// <summary>Drops this very entry if it still stands, because the backend has another version or none; later ones stay.</summary>
    public void Drop(CatalogEntry entry)
    {
        if (TryGet(entry.Bucket, entry.Key, out var current) && ReferenceEquals(current.Layout, entry.Layout))
        {
            Invalidate(entry.Id);
        }
    }

    /// <summary>Same for an entry that may be on its way still: what was asked under <paramref name="token"/> is not published any more.</summary>
    public void Drop(CatalogEntry entry, in GenerationToken token)
    {
        if (Holds(token))
        {
            Invalidate(entry.Id);
        }
        else
        {
            Drop(entry);
        }
    }

    /// <summary>Raises and publishes in one step: the caller's change was acknowledged and nothing else touched the key since <paramref name="begun"/>.</summary>
    /// <returns>False when something did; then the key is only invalidated.</returns>
    public bool InvalidateAndPublish(CatalogEntry entry, in GenerationToken begun)
    {
        lock (generations.Gate(begun.Stripe))
        {
            var alone = generations.Holds(begun);
            generations.Raise_NeedsLock(begun.Stripe);
            if (alone)
            {
                _entries.Set(entry);
                journal?.Put(entry);
            }
            else
            {
                _entries.Remove(entry.Bucket, entry.Key);
                journal?.Remove(entry.Id.ToString());
            }

            return alone;
        }
    }

    /// <summary>For what a journal brings back, which may be of many more keys than the catalog holds: as large as that, and those that took their place first go first.</summary>
    public EntryTable NewTable() => new(capacityBytes);

    /// <summary>Puts back an entry of the journal, unless its key was touched or learned since the start.</summary>
    public void Recover(CatalogEntry entry)
    {
        var stripe = Generations.StripeOf(entry.Bucket, entry.Key);
        lock (generations.Gate(stripe))
        {
            if (generations.Take(stripe).Number == 0 && _entries.Find(entry.Bucket, entry.Key) is null)
            {
                _entries.Set(entry);
            }
        }
    }

    /// <summary>Keys (as <c>bucket/key</c>) that begin with <paramref name="prefix"/>. Walks everything: for the admin API.</summary>
    public IEnumerable<CatalogEntry> Enumerate(string prefix)
    {
        var slash = prefix.IndexOf('/');
        return _entries.Enumerate().Where(entry => slash < 0
            ? entry.Bucket.StartsWith(prefix, StringComparison.Ordinal)
            : entry.Bucket.AsSpan().SequenceEqual(prefix.AsSpan(0, slash)) && entry.Key.AsSpan().StartsWith(prefix.AsSpan(slash + 1)));
    }
}
