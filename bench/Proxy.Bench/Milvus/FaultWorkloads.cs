using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W9 and W10: a backend that refuses, stops, and a proxy that is killed.</summary>
internal static class FaultWorkloads
{
    /// <summary>W9: a cold load of segments of its own while the backend answers one request in ten with 503 and no more than 200 a second.</summary>
    public static async Task ThrottledAsync(MilvusContext context, CancellationToken cancellation)
    {
        if (context.Endpoint.Backend is not { } backend)
        {
            context.Figures["skipped"] = 1;    // nothing to throttle: the endpoint's backend is not ours
            return;
        }

        var cold = MilvusDataset.Describe($"{context.Root}/throttled", context.Scale.Bytes / 4, 1, seed: 9);
        await context.WriteAsync(cold, 8, cancellation, context.Endpoint.Origin);
        var before = await backend.OrderAsync(new RelayOrder(backend.Profile with { RefusedShare = 0.1, RequestsPerSecond = 200 }), cancellation);
        try
        {
            await context.MeasureAsync("throttled load", () => context.LoadAsync(cold, 64, cancellation));
            context.Figures["refused by the backend"] = (await backend.ReadAsync(cancellation)).Refused - before.Refused;
            context.Figures["seen and retried by the client"] = context.Report.Retries.Values.Sum();
        }
        finally
        {
            await backend.OrderAsync(new RelayOrder(backend.Profile), CancellationToken.None);
        }
    }

    /// <summary>W10: kill -9 in a load, a stopped backend in a warm reload, damaged cache files: no wrong byte, and warm data stays readable.</summary>
    public static async Task FailuresAsync(MilvusContext context, CancellationToken cancellation)
    {
        await ReadWorkloads.EnsureLoadedAsync(context, cancellation);
        if (context.Endpoint.Proxy is not { } proxy || context.Endpoint.Backend is not { } backend)
        {
            context.Figures["skipped"] = 1;    // only what the bench started may be killed
            return;
        }

        // 1. Killed in a load and started again: the clients retry, as Milvus's do, and every byte is right.
        await context.MeasureAsync("load with a kill", async () =>
        {
            using var isUpAgain = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var load = LoadUntilAsync(context, isUpAgain.Token, cancellation);
            await Task.Delay(TimeSpan.FromMilliseconds(200), cancellation);
            await proxy.KillAsync();
            await proxy.StartAsync(cancellation);
            await isUpAgain.CancelAsync();
            await load;
        });

        // 2. Warm again, as much as surely stays in the cache; then the backend stops: what is immutable and cached is served.
        var left = proxy.CacheBytes / 2;
        var slices = context.Segments.Where(item => item.Kind == ObjectKind.IndexSlice).TakeWhile(item => (left -= item.Size) > 0).ToList();
        RunFailedException.Unless(slices.Count > 0, "the proxy's tiers do not hold two index slices");
        await context.LoadAsync(slices, 16, cancellation);
        await backend.OrderAsync(new RelayOrder(IsDown: true), cancellation);
        try
        {
            await context.MeasureAsync("warm reload without backend", () => context.LoadAsync(slices, 16, cancellation));
        }
        finally
        {
            await backend.OrderAsync(new RelayOrder(IsDown: false), CancellationToken.None);
        }

        // 3. Cache files damaged while it is down: found out, and read from the backend again.
        await proxy.KillAsync();
        context.Figures["bytes flipped"] = Damage(Path.Combine(proxy.Folder, "cache"));
        await proxy.StartAsync(cancellation);
        await context.MeasureAsync("reload with damaged cache", () => context.LoadAsync(context.Segments, 16, cancellation));
    }

    /// <summary>Loads again and again, and a last time once it is said to be enough: some of it is under way whenever the kill comes.</summary>
    private static async Task LoadUntilAsync(MilvusContext context, CancellationToken enough, CancellationToken cancellation)
    {
        bool isLast;
        do
        {
            isLast = enough.IsCancellationRequested;
            await context.LoadAsync(context.Segments, 16, cancellation);
        }
        while (!isLast);
    }

    /// <summary>Flips one byte in every 4 MiB of every large file.</summary>
    private static int Damage(string folder)
    {
        var flipped = 0;
        foreach (var file in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories) : [])
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite);
            for (var offset = 2L << 20; offset < stream.Length; offset += 4 << 20)
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
