using System.Diagnostics;
using System.Net.Sockets;
using Proxy.Bench.Peers;
using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W9 and W10: a backend that refuses, one that stops, a proxy that is killed, a cache file that is damaged.</summary>
internal static class FaultWorkloads
{
    private const int InFlight = 64;

    /// <summary>A load that failed is begun again for so long, as Milvus's coordinator does; its clients' own tries end after four seconds.</summary>
    private static readonly TimeSpan BeginAgainFor = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan CachedWithin = TimeSpan.FromSeconds(30);

    /// <summary>Three times the cache's own interval.</summary>
    private static readonly TimeSpan TableSaved = TimeSpan.FromSeconds(3);

    /// <summary>W9: a cold load of segments of its own while the backend answers one request in ten with 503; another while it takes no more than 200 a second.</summary>
    public static async Task ThrottledAsync(MilvusContext context, CancellationToken cancellation)
    {
        if (context.Endpoint.Backend is not { } backend)
        {
            context.Skip("the backend is not the bench's own, so it cannot be throttled");
            return;
        }

        await LoadThrottledAsync(context, "10 % refused", 500, backend.Profile with { RefusedShare = 0.1 }, cancellation);
        await LoadThrottledAsync(context, "200 requests/s", 510, backend.Profile with { RequestsPerSecond = 200 }, cancellation);
    }

    /// <summary>W10: kill -9 in a load, a stopped backend in a warm reload, damaged cache files: no wrong byte, and warm data stays readable.</summary>
    public static async Task FailuresAsync(MilvusContext context, CancellationToken cancellation)
    {
        if (context.IsWarmUp)
        {
            await LoadWorkloads.ColdLoadAsync(context, cancellation);
            return;
        }

        if (context.Endpoint is not { Cache: { } cache, Backend: { } backend, Proxy: not null })
        {
            context.Skip("only a proxy that the bench started is killed, and its backend stopped");
            return;
        }

        await context.EnsureLoadedAsync(cancellation);
        if (cache.Sizes.NvmeBytes == 0)
        {
            // Without cache files there is none to damage, and nothing outlives a kill.
            var loaded = context.Segments.Sum(MilvusContext.LoadedBytes);
            await context.RestartCacheAsync(new CacheSizes(Math.Min(cache.Sizes.MemoryBytes, 256 << 20), Math.Max(1L << 30, 2 * loaded)), cancellation);
            context.Note($"the run's proxy has no NVMe tier; here it had memory of {cache.Sizes.MemoryBytes >> 20} MiB and NVMe of {cache.Sizes.NvmeBytes >> 20} MiB");
        }

        await LoadWithKillAsync(context, context.Endpoint.Proxy, cancellation);
        await ReloadWithoutBackendAsync(context, backend, await CachedAsync(context, cache.Sizes.Bytes, cancellation), cancellation);
        await ReloadDamagedAsync(context, context.Endpoint.Proxy, cancellation);
        if (cache.Sizes != cache.FirstSizes)
        {
            await context.RestartCacheAsync(cache.FirstSizes, cancellation);
        }
    }

    private static async Task LoadThrottledAsync(MilvusContext context, string part, int apart, BackendProfile profile, CancellationToken cancellation)
    {
        var backend = context.Endpoint.Backend!;
        var small = Enumerable.Range(0, context.Scale.ThrottledObjects)
            .Select(number => context.Object($"delta_log/1001/1002/{(context.Generation * 1000) + apart}/{456_000_000_000 + number}", 10_000 + number, ObjectKind.DeltaLog));
        // The small ones among the slices: a load of slices alone is too few requests for a limit to be felt.
        var objects = context.NewSegments(1, apart, part: 4).Concat(small).OrderBy(item => item.Content.Choose(1, int.MaxValue)).ToList();
        await context.WriteAsync(objects, 32, cancellation, context.Endpoint.Origin);
        var (seen, refused) = (Seen(context), (await backend.OrderAsync(new RelayOrder(profile), cancellation)).Refused);
        try
        {
            await context.MeasureAsync(part, () => context.LoadAsync(objects, InFlight, cancellation));
        }
        finally
        {
            await backend.OrderAsync(new RelayOrder(backend.Profile), CancellationToken.None);
        }

        refused = (await backend.ReadAsync(cancellation)).Refused - refused;
        seen = Seen(context) - seen;
        context.Figures[$"{part} refused by the backend"] = refused;
        context.Figures[$"{part} 503s the client saw"] = seen;
        context.Expect($"{part}: the limit is felt", refused > 0, $"{refused} refused");
        if (!context.Endpoint.IsDirect)
        {
            context.Expect($"{part}: no error reaches a client", seen == 0, $"{seen} times 503");
        }
    }

    private static long Seen(MilvusContext context) => context.Report.Refusals.Where(pair => pair.Key.Contains(" 503", StringComparison.Ordinal)).Sum(pair => pair.Value);

    /// <summary>Killed in a load and started again: loads that fail are begun again, and every byte is right.</summary>
    private static async Task LoadWithKillAsync(MilvusContext context, ProxyServer proxy, CancellationToken cancellation)
    {
        var retries = context.Report.Retries.Values.Sum();
        await context.MeasureAsync("load with a kill", async () =>
        {
            using var isUpAgain = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            using var isOver = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var load = LoadUntilAsync(context, isUpAgain.Token, isOver.Token);
            try
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancellation);
                await proxy.KillAsync();
                await proxy.StartAsync(cancellation);
            }
            catch
            {
                // Without the proxy nothing would end the load.
                await isOver.CancelAsync();
                await load.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                throw;
            }

            await isUpAgain.CancelAsync();
            await load;
        });
        retries = context.Report.Retries.Values.Sum() - retries;
        context.Expect("the kill falls into a load", retries > 0, $"{retries} requests were tried again");
    }

    /// <summary>Loads again and again, and a last time once it is said to be enough: some of it is under way whenever the kill comes.</summary>
    private static async Task LoadUntilAsync(MilvusContext context, CancellationToken enough, CancellationToken cancellation)
    {
        bool isLast;
        do
        {
            isLast = enough.IsCancellationRequested;
            await MilvusContext.ForEachAsync(context.Segments, 16, (item, token) => LoadPersistentlyAsync(context, item, token), cancellation);
        }
        while (!isLast);
    }

    private static async Task LoadPersistentlyAsync(MilvusContext context, DatasetObject item, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                await context.LoadAsync(item, cancellation);
                return;
            }
            catch (Exception error) when (error is IOException or SocketException && Stopwatch.GetElapsedTime(started) < BeginAgainFor)
            {
                context.Report.CountRetry("load begun again");
            }
        }
    }

    /// <summary>Index slices, as much as surely fits, that the cache says it has; asked until it has them all, for the disk is slower than the load.</summary>
    private static async Task<IReadOnlyList<DatasetObject>> CachedAsync(MilvusContext context, long cacheBytes, CancellationToken cancellation)
    {
        var left = cacheBytes / 2;
        var slices = context.Segments.Where(item => item.Kind == ObjectKind.IndexSlice).TakeWhile(item => (left -= item.Size) > 0).ToList();
        RunFailedException.Unless(slices.Count > 0, "the proxy's tiers do not hold two index slices");
        var started = Stopwatch.GetTimestamp();
        List<DatasetObject> cached;
        do
        {
            cached = [];
            context.Suffix = " untimed";
            foreach (var slice in slices)
            {
                if (await context.GetAsync(slice, cancellation) is "HIT-MEMORY" or "HIT-NVME")
                {
                    cached.Add(slice);
                }
            }
        }
        while (cached.Count < slices.Count && Stopwatch.GetElapsedTime(started) < CachedWithin);

        context.Suffix = "";
        context.Figures["slices cached"] = cached.Count;
        context.Expect("what was loaded, half of the cache's size, comes to be cached", cached.Count == slices.Count, $"{cached.Count} of {slices.Count} slices after {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s");
        return cached;
    }

    /// <summary>The backend stops: what is immutable and cached is served.</summary>
    private static async Task ReloadWithoutBackendAsync(MilvusContext context, RelayServer backend, IReadOnlyList<DatasetObject> cached, CancellationToken cancellation)
    {
        await backend.OrderAsync(new RelayOrder(IsDown: true), cancellation);
        try
        {
            var load = await context.MeasureAsync("reload without backend", () => context.LoadAsync(cached, 16, cancellation));
            context.Expect("cached slices are served without the backend", cached.Count > 0 && load.BackendRequests == 0, $"{cached.Count} slices, {load.BackendRequests} requests");
        }
        finally
        {
            await backend.OrderAsync(new RelayOrder(IsDown: false), CancellationToken.None);
        }
    }

    /// <summary>Cache files damaged while the proxy is down: found out, and read from the backend again.</summary>
    private static async Task ReloadDamagedAsync(MilvusContext context, ProxyServer proxy, CancellationToken cancellation)
    {
        await WaitForNvmeAsync(proxy, "s3_proxy_nvme_write_queue_bytes", isZero: true, cancellation);

        // What a kill may lose of the cache is what its table of contents, saved once a second, does not name yet: nothing of that could be damaged.
        await Task.Delay(TableSaved, cancellation);
        await proxy.KillAsync();
        var flipped = Damage(Path.Combine(proxy.Folder, "cache"));
        await proxy.StartAsync(cancellation);
        await WaitForNvmeAsync(proxy, "s3_proxy_nvme_recovery_seconds", isZero: false, cancellation);
        var load = await context.MeasureAsync("reload with damaged cache", () => context.LoadAsync(context.Segments, 16, cancellation));
        var found = await proxy.ReadMetricAsync("s3_proxy_nvme_corrupt_blocks_total", cancellation);
        context.Figures["reload with damaged cache from the cache %"] = 100 * load.HitShare ?? double.NaN;
        context.Figures["bytes flipped"] = flipped;
        context.Figures["damaged blocks that the proxy found"] = found;
        context.Expect("bytes that are flipped in the cache's files are found out", found > 0, $"{flipped} flipped, {found} damaged blocks");
        context.Expect("after a kill what is whole is read from the cache", load.HitShare > 0, $"{load.HitShare:P0} of the bytes");
    }

    /// <summary>Until a figure of the NVMe tier is as it must be for what comes next; or not, which the expectations tell.</summary>
    private static async Task WaitForNvmeAsync(ProxyServer proxy, string metric, bool isZero, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        while (await proxy.ReadMetricAsync(metric, cancellation) is var value && (isZero ? value != 0 : !(value > 0)) && Stopwatch.GetElapsedTime(started) < CachedWithin)
        {
            // What another process does in the background has no event to wait on.
            await Task.Delay(50, cancellation);
        }
    }

    /// <summary>Flips one byte in every 3.2 MiB of every file, at no power of two: blocks are laid out by those, with gaps between them.</summary>
    private static int Damage(string folder)
    {
        var flipped = 0;
        foreach (var file in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories) : [])
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite);
            for (var offset = 1_111_111L; offset < stream.Length; offset += 3_333_333)
            {
                stream.Position = offset;
                var value = stream.ReadByte();
                stream.Position = offset;
                stream.WriteByte((byte)(value ^ 0x10));
                flipped++;
            }
        }

        return flipped;
    }
}
