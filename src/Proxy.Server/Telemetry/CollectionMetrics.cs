using System.Globalization;
using Prometheus;
using Proxy.Cache;

namespace Proxy.Server.Telemetry;

/// <summary>Bytes read by Milvus collection: the largest ones by name, the rest as <c>other</c>, so that a thousand collections cost no thousand series.</summary>
/// <remarks>
/// What a collection was read since the last scrape is added to its own series if it has one, else to <c>other</c>: all series only grow and always sum
/// to everything. A collection that falls out of the largest loses its series; should it return, it starts from 0 as after a restart. One thread at a time.
/// </remarks>
internal sealed class CollectionMetrics(MetricFactory metrics, int named)
{
    private const string Other = "other";

    private readonly Counter _bytes = metrics.CreateCounter(
        "s3_proxy_collection_read_bytes_total", "Bytes of object reads by Milvus collection (the largest; other is the rest) and where they came from.",
        RequestMetrics.Plain("collection", "source"));

    private readonly Dictionary<long, CollectionBytes> _last = [];
    private HashSet<long> _named = [];

    public void Show(IReadOnlyList<CollectionBytes> collections)
    {
        HashSet<long> largest = [.. collections.Where(one => one.Collection != 0).OrderByDescending(one => one.Cached + one.Backend).Take(named).Select(one => one.Collection)];
        foreach (var gone in _named.Where(id => !largest.Contains(id)))
        {
            _bytes.RemoveLabelled(Name(gone), "cache");
            _bytes.RemoveLabelled(Name(gone), "backend");
        }

        _named = largest;
        _bytes.WithLabels(Other, "cache");
        _bytes.WithLabels(Other, "backend");
        foreach (var now in collections)
        {
            var before = _last.GetValueOrDefault(now.Collection) ?? new CollectionBytes(now.Collection, 0, 0);
            var name = _named.Contains(now.Collection) ? Name(now.Collection) : Other;

            // Bytes of a partition whose collection has just become known move over; what other was told of them stays there.
            _bytes.WithLabels(name, "cache").Inc(Math.Max(0, now.Cached - before.Cached));
            _bytes.WithLabels(name, "backend").Inc(Math.Max(0, now.Backend - before.Backend));
            _last[now.Collection] = now;
        }
    }

    private static string Name(long collection) => collection.ToString(CultureInfo.InvariantCulture);
}
