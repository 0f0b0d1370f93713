using System.Diagnostics;
using System.Reflection;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.S3.Objects;
using Proxy.Server.Routing;

namespace Proxy.Server.Admin;

/// <summary>Everything an operator can ask or do, once for the API and the console.</summary>
/// <remarks>Thread-safe. Whoever calls has been let in by <see cref="AdminAccess"/>.</remarks>
internal sealed partial class AdminService(ObjectCache cache, BackendRouter router, IReadOnlyList<string> milvusRoots, TimeProvider time, ILogger<AdminService> logger) : IAsyncDisposable
{
    private readonly long _started = Stopwatch.GetTimestamp();

    public ObjectCache Cache => cache;

    public BackendRouter Router => router;

    public KeyLister Lister { get; } = new(cache, router, milvusRoots);

    public WarmJobs Jobs { get; } = new(cache, router, new KeyLister(cache, router, milvusRoots), time);

    public static string Version { get; } = typeof(AdminService).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    public AdminStats Stats() => new()
    {
        Version = Version,
        UptimeSeconds = Stopwatch.GetElapsedTime(_started).TotalSeconds,
        Cache = cache.Snapshot(),
        Tiers = cache.TierSnapshot(),
        Pins = cache.Admin.PinState,
        Backends = [.. router.All.Select(BackendView.Of)],
    };

    public async ValueTask<PurgeResult> PurgeAsync(KeySelection selection, string who, CancellationToken cancellation)
    {
        // The catalog may not know an index file's collection; the backend's folders do. Unreachable, it must not keep anybody from purging.
        IReadOnlySet<long> partitions;
        try
        {
            partitions = await Lister.PartitionsAsync(selection, cancellation);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            partitions = cache.Admin.PartitionsOf(selection.Bucket, selection.Collection);
        }

        var (objects, bytes) = await cache.Admin.PurgeAsync(selection, partitions, cancellation);
        LogPurged(who, selection.ToString(), objects);
        return new PurgeResult(selection.ToString(), objects, bytes);
    }

    public WarmJobView? Warm(KeySelection selection, long? bytesPerSecond, int concurrency, string who)
    {
        var job = Jobs.Start(selection, bytesPerSecond, concurrency);
        LogWarming(who, selection.ToString(), job?.Id ?? "refused");
        return job;
    }

    public Pin Pin(KeySelection selection, string who)
    {
        var pin = cache.Admin.AddPin(selection);
        LogPinned(who, selection.ToString(), pin.Id);
        return pin;
    }

    public bool Unpin(string id, string who)
    {
        var removed = cache.Admin.RemovePin(id);
        if (removed)
        {
            LogUnpinned(who, id);
        }

        return removed;
    }

    /// <summary>How much of what the backend has under a selection is cached, in its current version.</summary>
    public async ValueTask<CheckResult> CheckAsync(KeySelection selection, CancellationToken cancellation)
    {
        var result = new CheckResult { Target = selection.ToString() };
        await foreach (var listed in Lister.ListAsync(selection, cancellation))
        {
            var found = cache.Admin.Find(new ObjectId(selection.Bucket, listed.Key));
            var same = found is not null && found.Size == listed.Size && found.ETag.Trim('"') == listed.ETag.Trim('"');
            result = result with
            {
                Objects = result.Objects + 1,
                Bytes = result.Bytes + listed.Size,
                KnownObjects = result.KnownObjects + (same ? 1 : 0),
                CachedObjects = result.CachedObjects + (same && found!.CachedBytes == listed.Size ? 1 : 0),
                MemoryBytes = result.MemoryBytes + (same ? found!.MemoryBytes : 0),
                NvmeBytes = result.NvmeBytes + (same ? found!.NvmeBytes : 0),
            };
        }

        return result;
    }

    public ExplainResult Explain(ObjectId id) => new(id.Bucket, id.Key, router.Resolve(id.Bucket, id.Key).Name, cache.Explain(id), cache.Admin.Find(id));

    public ValueTask DisposeAsync() => Jobs.DisposeAsync();

    [LoggerMessage(4601, LogLevel.Information, "{Who} purged {Target}: {Objects} objects forgotten")]
    private partial void LogPurged(string who, string target, int objects);

    [LoggerMessage(4602, LogLevel.Information, "{Who} warms {Target}: job {Job}")]
    private partial void LogWarming(string who, string target, string job);

    [LoggerMessage(4603, LogLevel.Information, "{Who} pinned {Target}: pin {Pin}")]
    private partial void LogPinned(string who, string target, string pin);

    [LoggerMessage(4604, LogLevel.Information, "{Who} removed pin {Pin}")]
    private partial void LogUnpinned(string who, string pin);
}
