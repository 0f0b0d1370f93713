using Proxy.Cache.Admin;

namespace Proxy.Server.WebConsole;

/// <summary>What the catalog knows, sorted for pages; made once for all who look.</summary>
/// <remarks>
/// Walking a large catalog takes its time, a second or so for a million keys, and pages ask every second: after a walk there is none for a hundred times
/// as long, so that open pages cost at most a hundredth of one processor here, and show how old their picture is. Thread-safe: one walks, the others get
/// the last picture.
/// </remarks>
/// <param name="enumerate">Everything the catalog knows.</param>
internal sealed class CatalogView(Func<IEnumerable<CachedObject>> enumerate, TimeProvider time)
{
    /// <summary>Of a table on the Cache page.</summary>
    private const int MostShown = 8;

    private const int RestFactor = 100;
    private static readonly TimeSpan LeastRest = TimeSpan.FromSeconds(3);

    private readonly Lock _lock = new();
    private CatalogPicture? _picture;
    private TimeSpan _rest;

    public CatalogPicture Get()
    {
        var picture = Volatile.Read(ref _picture);
        if (picture is not null && (time.GetElapsedTime(picture.Timestamp) <= _rest || !_lock.TryEnter()))
        {
            return picture;
        }

        if (picture is null)
        {
            _lock.Enter();
        }

        try
        {
            return ReferenceEquals(picture, _picture) ? Make_NeedsLock() : _picture!;
        }
        finally
        {
            _lock.Exit();
        }
    }

    /// <summary>Somebody has just done something: walks at once.</summary>
    public void Renew()
    {
        lock (_lock)
        {
            Make_NeedsLock();
        }
    }

    /// <summary>How long ago <paramref name="picture"/> was made.</summary>
    public TimeSpan AgeOf(CatalogPicture picture) => time.GetElapsedTime(picture.Timestamp);

    private CatalogPicture Make_NeedsLock()
    {
        var started = time.GetTimestamp();
        List<CachedObject> objects = [.. enumerate()]; // not kept: a million of them are 200 MB
        var made = new CatalogPicture(
            MilvusTree.Build(objects),
            Most(objects, static found => found.Reads),
            Most(objects, static found => found.CachedBytes),
            [.. objects.Select(found => found.Bucket).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            time.GetTimestamp());
        var rest = RestFactor * time.GetElapsedTime(started);
        _rest = rest > LeastRest ? rest : LeastRest;
        Volatile.Write(ref _picture, made);
        return made;
    }

    private static List<CachedObject> Most(List<CachedObject> objects, Func<CachedObject, long> worth)
    {
        var most = new PriorityQueue<CachedObject, long>();
        foreach (var found in objects)
        {
            var value = worth(found);
            if (value > 0 && most.Count < MostShown)
            {
                most.Enqueue(found, value);
            }
            else if (value > 0)
            {
                most.EnqueueDequeue(found, value);
            }
        }

        return [.. most.UnorderedItems.OrderByDescending(item => item.Priority).ThenBy(item => item.Element.Key, StringComparer.Ordinal).Select(item => item.Element)];
    }
}

/// <param name="Hottest">The most read objects.</param>
/// <param name="Largest">The objects with the most cached bytes.</param>
/// <param name="Timestamp">When it was made, on <see cref="TimeProvider.GetTimestamp"/>'s clock.</param>
internal sealed record CatalogPicture(
    IReadOnlyList<MilvusNode> Milvus, IReadOnlyList<CachedObject> Hottest, IReadOnlyList<CachedObject> Largest, IReadOnlyList<string> Buckets, long Timestamp);
