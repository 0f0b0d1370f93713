using System.Runtime.CompilerServices;
using Microsoft.Extensions.Caching.Memory;
using Proxy.Cache.Invalidation;
using Proxy.S3.Objects;

namespace Proxy.Cache.Metadata;

/// <summary>Which version each key has, as far as the cache knows: the only part of it that needs coherence.</summary>
/// <remarks>
/// A byte-bounded <see cref="MemoryCache"/> of entries under <c>bucket/key</c>, looked up by spans. Every change of a key goes through
/// <see cref="Invalidate"/>, every new version through <see cref="TryPublish"/>, and both through the key's gate in <see cref="Generations"/>:
/// an entry learned before a mutation can never stand after it. Thread-safe.
/// </remarks>
internal sealed class ObjectCatalog : IDisposable
{
    // A bucket has at most 63 characters (255 in the oldest region of AWS), a key at most 1024 bytes.
    private const int MaxNameChars = 255 + 1 + 1024;

    private readonly MemoryCache _entries;
    private readonly Generations _generations;
    private readonly CatalogJournal? _journal;

    public ObjectCatalog(long capacityBytes, Generations generations, CatalogJournal? journal = null)
    {
        _generations = generations;
        _journal = journal;
        _entries = new MemoryCache(new MemoryCacheOptions
        {
            SizeLimit = capacityBytes,
            CompactionPercentage = 0.1,
            // Entries do not expire by time, so there is nothing to scan for.
            ExpirationScanFrequency = TimeSpan.FromDays(1),
            TrackStatistics = true,
        });
    }

    public long Count => _entries.Count;

    /// <summary>Estimated bytes held.</summary>
    public long UsedBytes => _entries.GetCurrentStatistics()?.CurrentEstimatedSize ?? 0;

    [SkipLocalsInit]
    public bool TryGet(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, out CatalogEntry entry)
    {
        entry = null!;
        var length = bucket.Length + 1 + key.Length;
        if (length > MaxNameChars)
        {
            return false;
        }

        Span<char> name = stackalloc char[MaxNameChars];
        bucket.CopyTo(name);
        name[bucket.Length] = '/';
        key.CopyTo(name[(bucket.Length + 1)..]);
        if (!_entries.TryGetValue(name[..length], out var found))
        {
            return false;
        }

        entry = (CatalogEntry)found!;
        return true;
    }

    /// <summary>Takes the key's generation, before a request about it leaves.</summary>
    public GenerationToken Take(ObjectId id) => _generations.Take(Generations.StripeOf(id.Bucket, id.Key));

    public bool Holds(in GenerationToken token) => _generations.Holds(token);

    /// <summary>Makes <paramref name="entry"/> the key's version, unless the key was touched since <paramref name="token"/> was taken.</summary>
    public bool TryPublish(CatalogEntry entry, in GenerationToken token)
    {
        var name = entry.Id.ToString();
        if (name.Length > MaxNameChars)
        {
            return false;
        }

        lock (_generations.Gate(token.Stripe))
        {
            if (!_generations.Holds(token))
            {
                return false;
            }

            _entries.Set(name, entry, new MemoryCacheEntryOptions { Size = entry.CostBytes });
            // Under the gate, so that the journal has one key's changes in the order they happened.
            _journal?.Put(entry);
        }

        return true;
    }

    /// <summary>The one way by which anything becomes unknown: raises the generation and drops the entry.</summary>
    /// <returns>The generation from here on.</returns>
    public GenerationToken Invalidate(ObjectId id)
    {
        var stripe = Generations.StripeOf(id.Bucket, id.Key);
        var name = id.ToString();
        GenerationToken token;
        lock (_generations.Gate(stripe))
        {
            token = _generations.Raise_NeedsLock(stripe);
            if (_entries.TryGetValue(name, out _))
            {
                _entries.Remove(name);
                _journal?.Remove(name);
            }
        }

        return token;
    }

    /// <summary>Drops this very entry if it still stands, because the backend has another version or none; later ones stay.</summary>
    public void Drop(CatalogEntry entry)
    {
        if (TryGet(entry.Bucket, entry.Key, out var current) && ReferenceEquals(current.Layout, entry.Layout))
        {
            Invalidate(entry.Id);
        }
    }

    /// <summary>Raises and publishes in one step: the caller's change was acknowledged and nothing else touched the key since <paramref name="begun"/>.</summary>
    /// <returns>False when something did; then the key is only invalidated.</returns>
    public bool InvalidateAndPublish(CatalogEntry entry, in GenerationToken begun)
    {
        var name = entry.Id.ToString();
        var published = false;
        lock (_generations.Gate(begun.Stripe))
        {
            // Two writes of one key at once: which of them the backend applied last is not knowable from the order of its answers.
            var alone = _generations.Holds(begun);
            _generations.Raise_NeedsLock(begun.Stripe);
            if (alone && name.Length <= MaxNameChars)
            {
                _entries.Set(name, entry, new MemoryCacheEntryOptions { Size = entry.CostBytes });
                _journal?.Put(entry);
                published = true;
            }
            else
            {
                _entries.Remove(name);
                _journal?.Remove(name);
            }
        }

        return published;
    }

    /// <summary>Puts back an entry of the journal, unless its key was touched or learned since the start.</summary>
    public void Recover(CatalogEntry entry)
    {
        var stripe = Generations.StripeOf(entry.Bucket, entry.Key);
        var name = entry.Id.ToString();
        lock (_generations.Gate(stripe))
        {
            if (name.Length <= MaxNameChars && _generations.Take(stripe).Number == 0 && !_entries.TryGetValue(name, out _))
            {
                _entries.Set(name, entry, new MemoryCacheEntryOptions { Size = entry.CostBytes });
            }
        }
    }

    /// <summary>Keys (as <c>bucket/key</c>) that begin with <paramref name="prefix"/>. Walks everything: for the admin API.</summary>
    public IEnumerable<CatalogEntry> Enumerate(string prefix)
    {
        foreach (var name in _entries.Keys)
        {
            if (((string)name).StartsWith(prefix, StringComparison.Ordinal) && _entries.TryGetValue(name, out var found))
            {
                yield return (CatalogEntry)found!;
            }
        }
    }

    public void Dispose() => _entries.Dispose();
}
