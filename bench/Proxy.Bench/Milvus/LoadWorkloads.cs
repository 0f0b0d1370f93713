using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W5 and W6: segments loaded by query nodes.</summary>
internal static class LoadWorkloads
{
    /// <summary>W5: two replicas load the same segments, which the endpoint has not seen, at the same time.</summary>
    public static async Task ColdLoadAsync(MilvusContext context, CancellationToken cancellation)
    {
        await context.PutSegmentsAsync(context.NewSegments(context.Scale.Segments), cancellation);
        if (context.Endpoint.Origin is null)
        {
            context.Note("its segments were written through the endpoint, whose origin is not known (--origin): a cache may have kept them, so this load need not be a cold one");
        }

        var part = context.Endpoint.Origin is null ? "first load" : "cold load";
        var load = await context.MeasureAsync(part, () => Task.WhenAll(
            context.LoadAsync(context.Segments, 16, cancellation),
            context.LoadAsync(context.Segments, 16, cancellation)), isWatched: true);
        context.Figures[$"{part} GiB/s"] = GiBPerSecond(load);
        if (load.BackendBytes is { } bytes && !context.Endpoint.IsDirect)
        {
            ExpectOnce(context, load, bytes);
        }
    }

    /// <summary>W6: the same load again, at rising concurrency; a cache asks its backend nothing.</summary>
    public static async Task WarmReloadAsync(MilvusContext context, CancellationToken cancellation)
    {
        await context.EnsureLoadedAsync(cancellation);
        var asked = 0L;
        foreach (var connections in (int[])[16, 32, 64, 128])
        {
            context.Suffix = $" {connections}";
            var load = await context.MeasureAsync($"warm {connections}", () => context.LoadAsync(context.Segments, connections, cancellation), isWatched: true);
            context.Figures[$"warm {connections} GiB/s"] = GiBPerSecond(load);
            var excepted = load.Watched.Where(request => IsCompound(request.Path)).Sum(request => request.Requests);
            context.Figures[$"warm {connections} backend requests for stats_log/…/1"] = excepted;
            asked += (load.BackendRequests ?? 0) - excepted;
        }

        if (context.Endpoint is { Backend: not null, IsDirect: false })
        {
            context.Expect("a warm reload asks the backend for nothing but stats_log/…/1, which Milvus writes again and a cache must ask about", asked == 0, $"{asked} other requests");
        }
    }

    /// <summary>Each object is fetched once, though two ask for it.</summary>
    private static void ExpectOnce(MilvusContext context, Measured load, long bytes)
    {
        var index = context.Segments.Where(item => item.Kind is ObjectKind.IndexSlice or ObjectKind.SliceMeta).Select(item => $"/{context.Endpoint.Target.Bucket}/{item.Key}").ToHashSet(StringComparer.Ordinal);
        var gets = load.Watched.Where(request => request.Method == "GET" && index.Contains(request.Path)).ToList();
        context.Figures["cold load backend GETs of index objects"] = gets.Sum(request => request.Requests);
        if (context.Endpoint.Proxy is not null)
        {
            context.Expect(
                "each index object is fetched by one GET for both replicas", gets.Count == index.Count && gets.TrueForAll(request => request.Requests == 1),
                $"{gets.Sum(request => request.Requests)} GETs of {gets.Count} of {index.Count} objects");
        }

        var once = context.Segments.Sum(MilvusContext.LoadedBytes);
        context.Expect("the backend sends what is loaded once", bytes <= 1.02 * once, $"{bytes / (double)once:0.000} of {once >> 20} MiB");
    }

    private static double GiBPerSecond(Measured load) => load.Bytes / (double)(1L << 30) / load.Seconds;

    private static bool IsCompound(string path) => path.Contains("/stats_log/", StringComparison.Ordinal) && path.EndsWith("/1", StringComparison.Ordinal);
}
