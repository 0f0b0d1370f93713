using System.Collections.Concurrent;

namespace Proxy.Cache.Policy;

/// <summary>How many bytes of each Milvus collection were read, and from where.</summary>
/// <remarks>
/// A tally is looked up once per catalog entry and kept there, so that a hit costs one addition. Index files name a partition but no collection:
/// theirs are tallied by partition and joined to the collection as soon as any other key has told whose partition it is. Bounded; thread-safe.
/// </remarks>
internal sealed class CollectionTable(ClassRules rules)
{
    /// <summary>Far above what one Milvus serves (65,536 is its own limit of collections); at some 100 bytes each.</summary>
    private const int MaxTallies = 1 << 16;

    private readonly ConcurrentDictionary<long, CollectionTally> _collections = new();
    private readonly ConcurrentDictionary<long, CollectionTally> _partitions = new();
    private readonly ConcurrentDictionary<long, long> _owners = new();
    private readonly CollectionTally _other = new();

    /// <summary>Where the bytes of a key are to be counted.</summary>
    public CollectionTally TallyOf(string key)
    {
        if (!rules.TryParseMilvus(key, out var milvus))
        {
            return _other;
        }

        Learn(milvus);
        return milvus.Collection != 0 ? Get(_collections, milvus.Collection)
            : milvus.Partition != 0 ? Get(_partitions, milvus.Partition)
            : _other;
    }

    /// <summary>A key that is written tells as much as one that is read.</summary>
    public void Learn(string key)
    {
        if (rules.TryParseMilvus(key, out var milvus))
        {
            Learn(milvus);
        }
    }

    /// <summary>Totals so far; collection 0 is everything that belongs to none or to one not known.</summary>
    public IReadOnlyList<CollectionBytes> Snapshot()
    {
        var sums = new Dictionary<long, (long Cached, long Backend)>();
        Add(0, _other);
        foreach (var (collection, tally) in _collections)
        {
            Add(collection, tally);
        }

        foreach (var (partition, tally) in _partitions)
        {
            Add(_owners.GetValueOrDefault(partition), tally);
        }

        return [.. sums.Select(sum => new CollectionBytes(sum.Key, sum.Value.Cached, sum.Value.Backend))];

        void Add(long collection, CollectionTally tally)
        {
            var (cached, backend) = sums.GetValueOrDefault(collection);
            sums[collection] = (cached + tally.CachedBytes, backend + tally.BackendBytes);
        }
    }

    private void Learn(in MilvusKey key)
    {
        // Counting takes every lock of the table: only for what is new.
        if (key is { Collection: not 0, Partition: not 0 } && !_owners.ContainsKey(key.Partition) && _owners.Count < MaxTallies)
        {
            _owners.TryAdd(key.Partition, key.Collection);
        }
    }

    private CollectionTally Get(ConcurrentDictionary<long, CollectionTally> tallies, long id)
        => tallies.TryGetValue(id, out var tally) ? tally : tallies.Count < MaxTallies ? tallies.GetOrAdd(id, static _ => new CollectionTally()) : _other;
}

/// <summary>Running totals of one collection (or partition). Thread-safe.</summary>
internal sealed class CollectionTally
{
    private long _cached;
    private long _backend;

    public long CachedBytes => Interlocked.Read(ref _cached);

    public long BackendBytes => Interlocked.Read(ref _backend);

    public void Add(long cached, long backend)
    {
        if (cached != 0)
        {
            Interlocked.Add(ref _cached, cached);
        }

        if (backend != 0)
        {
            Interlocked.Add(ref _backend, backend);
        }
    }
}
