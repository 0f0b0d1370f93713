using System.Collections.Concurrent;
using Proxy.Cache;
using Proxy.S3.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Telemetry;

/// <summary>What reads that the cache answered spared each backend: requests, by their price, and bytes.</summary>
/// <remarks>Told by <see cref="RequestMetrics"/> when a request is over, for the backend that its key is routed to then. A hit of one backend looks nothing up and allocates nothing. Thread-safe.</remarks>
internal sealed class SavedReads(BackendRouter router)
{
    private readonly ConcurrentDictionary<string, Row> _rows = new(StringComparer.OrdinalIgnoreCase);
    private volatile Single? _single;

    /// <summary>One for each backend that was spared anything.</summary>
    public IEnumerable<Row> Rows => _rows.Values;

    public void Count(CacheOutcome outcome, in RequestRecord request)
    {
        if (outcome is CacheOutcome.Bypass or CacheOutcome.Miss)
        {
            return;
        }

        var isHead = request.Operation == S3Operation.HeadObject;
        RowOf(request.Target).Add(RequestMetrics.IsSaved(outcome, isHead), isHead, request.CachedBytes ?? request.BytesSent);
    }

    private Row RowOf(in S3Target target)
    {
        var model = router.Model;
        if (!model.IsSingle)
        {
            return RowOf(model.Resolve(target.BucketSpan, target.KeySpan));
        }

        if (_single is { } single && ReferenceEquals(single.Model, model))
        {
            return single.Row;
        }

        var row = RowOf(model.Default);
        _single = new Single(model, row);
        return row;
    }

    private Row RowOf(Backend backend) => _rows.GetOrAdd(backend.Name, static (name, of) => new Row(name, of is RemoteS3Backend), backend);

    private sealed record Single(RoutingModel Model, Row Row);

    /// <param name="IsBilled">It is somebody else's; nobody bills for the embedded store.</param>
    internal sealed record Row(string Backend, bool IsBilled)
    {
        private long _gets;
        private long _heads;
        private long _bytes;

        public long Gets => Volatile.Read(ref _gets);

        public long Heads => Volatile.Read(ref _heads);

        public long Bytes => Volatile.Read(ref _bytes);

        public void Add(bool isRequestSaved, bool isHead, long bytes)
        {
            if (isRequestSaved)
            {
                Interlocked.Increment(ref isHead ? ref _heads : ref _gets);
            }

            if (bytes > 0)
            {
                Interlocked.Add(ref _bytes, bytes);
            }
        }
    }
}
