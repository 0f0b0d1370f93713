using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.Cache;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Readers past the tiers are as slow as they like: a cache over a remote backend over HTTP.</summary>
public sealed class SlowReaderTests
{
    /// <summary>They held every turn at the backend while it idled, and all misses of others were told 503.</summary>
    [Fact]
    public async Task ReadersPastTheTiers_ThatStopReading_LeaveTurnsForOthers()
    {
        await using var faulty = await FaultyBackend.StartAsync(0, "data");
        ObjectId[] ids = [.. Enumerable.Range(0, 3).Select(static i => new ObjectId("data", $"some/{i}"))];
        var bytes = new byte[8 << 20];
        new Random(5).NextBytes(bytes);
        foreach (var id in ids)
        {
            faulty.Store.TryPut(id.Bucket, id.Key, FaultyObject.Of(bytes));
        }

        await using var backend = new RemoteBackend(
            "test",
            new RemoteOptions
            {
                Endpoints = [faulty.Url],
                AccessKey = "key",
                SecretKey = "secret",
                ReadTimeout = TimeSpan.FromMinutes(2),
                Health = new BackendHealthOptions { MaxConcurrency = 2, MinConcurrency = 1, MaxWait = TimeSpan.FromMinutes(1), HedgePercent = 0 },
            },
            TimeProvider.System,
            NullLoggerFactory.Instance);
        await using var cache = ObjectCache.Open(
            new CacheOptions { Memory = { CapacityBytes = 64 << 20 }, Fills = { MaxBytesInFlight = 64 << 10 } }, TimeProvider.System, NullLoggerFactory.Instance);
        var first = await cache.OpenAsync(ids[0], default, backend.Source, default);
        Assert.NotEqual(0, (await first.ReadNextAsync(default)).Length);
        var second = cache.OpenAsync(ids[1], default, backend.Source, default).AsTask();

        // Its version is learned, and then it wants a stream of its own.
        await Patience.UntilAsync(() => faulty.Count("GetObject") >= 3, () => $"{faulty.Count("GetObject")} of 3 GetObject; the second reader is {second.Status} {second.Exception}");

        await Task.WhenAny(second, Task.Delay(500));
        await using (var head = await cache.OpenAsync(ids[2], new ReadRequest { HeadOnly = true }, backend.Source, default).AsTask().WaitAsync(TimeSpan.FromSeconds(15)))
        {
            Assert.Equal(bytes.Length, head.Info.Size);
        }

        await first.DisposeAsync();
        await using var read = await second;
        var got = new MemoryStream();
        while (await read.ReadNextAsync(default) is { Length: > 0 } piece)
        {
            got.Write(piece.Span);
        }

        Assert.Equal(bytes, got.ToArray());
        Assert.Equal(2, cache.Snapshot().Fills.PassedThrough);
    }
}
