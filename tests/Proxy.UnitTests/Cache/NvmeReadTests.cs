using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache;

namespace Proxy.UnitTests.Cache;

public sealed class NvmeReadTests : IDisposable
{
    private const int MiB = CacheFixture.MiB;
    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-cache-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("Faster")]
    [InlineData("Plain")]
    public async Task Upload_LargerThanMemory_IsReadBackWithoutTheBackend(string engine)
    {
        var source = new FakeSource();
        var options = new CacheOptions
        {
            Memory = { CapacityBytes = 16 * MiB },
            Nvme = { Directories = { _folder }, CapacityBytes = 512L * MiB, Engine = engine },
        };
        await using var cache = ObjectCache.Open(options, TimeProvider.System, NullLoggerFactory.Instance);
        await WaitAsync(() => cache.TierSnapshot().Nvme.All(nvme => nvme.State == Proxy.Cache.Tiers.NvmeState.Healthy));
        const int PartBytes = (3 * MiB) + 4096 + 17;
        var bytes = CacheFixture.Random(8 * PartBytes);
        for (var i = 0; i < 8; i++)
        {
            using (var capture = cache.TryBeginPartCapture(CacheFixture.Log, "u", i + 1, PartBytes)!)
            {
                capture.Append(bytes.AsSpan(i * PartBytes, PartBytes));
                cache.KeepPart(CacheFixture.Log, "u", i + 1, $"{i}", capture);
            }

            // As slow as the disk, so that the write queue has no reason to drop.
            await WaitAsync(() => cache.TierSnapshot().Nvme.All(nvme => nvme.QueueBytes == 0));
        }

        using (var mutation = cache.BeginMutation(CacheFixture.Log))
        {
            var info = source.Put(CacheFixture.Log, bytes);
            mutation.Completed("u", [.. Enumerable.Range(0, 8).Select(i => (i + 1, $"{i}"))], info.ETag, info, source);
        }

        await using (var read = await cache.OpenAsync(CacheFixture.Log, default, source, default))
        {
            Assert.Equal(CacheOutcome.HitNvme, read.Outcome);
            var whole = await CacheFixture.DrainAsync(read);
            Assert.True(bytes.AsSpan().SequenceEqual(whole));
        }

        var random = new Random(11);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => random.Next()).ToArray().Select(seed => Task.Run(async () =>
        {
            var own = new Random(seed);
            for (var i = 0; i < 12; i++)
            {
                var first = own.Next(bytes.Length);
                var last = Math.Min(bytes.Length - 1, first + own.Next(3 * MiB));
                await using var read = await cache.OpenAsync(CacheFixture.Log, CacheFixture.Range(first, last), source, default);
                var got = await CacheFixture.DrainAsync(read);
                Assert.True(bytes.AsSpan(first, last - first + 1).SequenceEqual(got));
            }
        })));
        Assert.Equal(0, source.Requests);
        Assert.True(cache.Snapshot().Served.Nvme > 0);
    }

    private static async Task WaitAsync(Func<bool> condition)
    {
        while (!condition())
        {
            // The tier has no event for this; a spin would take the pool's threads from it.
            await Task.Delay(2);
        }
    }
}
