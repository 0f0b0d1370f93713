using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;
using Proxy.UnitTests.Tiers;

namespace Proxy.UnitTests.Cache;

/// <summary>Hits and misses of a tier are blocks that reads came to, each once: what an operator buys memory and disks by.</summary>
public sealed class LookupsTests
{
    private const int MiB = CacheFixture.MiB;
    private const int Part = 64 << 10;
    private static readonly ObjectId Other = new(CacheFixture.Log.Bucket, CacheFixture.Log.Key + "9");

    [Fact]
    public async Task MemoryAlone_EachBlockOnce()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random((3 * MiB) + 5));
        Assert.Equal(CacheOutcome.Miss, (await fixture.GetAsync(CacheFixture.Index)).Outcome);
        await fixture.Cache.IdleAsync();
        var seen = new Seen(fixture.Cache);
        Assert.Equal((0, 4), seen.Since().Memory);

        await fixture.GetAsync(CacheFixture.Index);
        Assert.Equal((4, 0), seen.Since().Memory);
        await fixture.GetAsync(CacheFixture.Index, CacheFixture.Range(MiB + 100, MiB + 100 + Part));
        Assert.Equal((1, 0), seen.Since().Memory);
        await fixture.GetAsync(CacheFixture.Index, CacheFixture.Range(MiB - 1, MiB));
        Assert.Equal((2, 0), seen.Since().Memory);
        await fixture.HeadAsync(CacheFixture.Index);
        Assert.Equal((0, 0), seen.Since().Memory);
    }

    [Fact]
    public async Task PartOfItCached_OnlyThatIsAHit()
    {
        await using var fixture = new CacheFixture(options => options.Fills.MaxRangeBytes = 2 * MiB);
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(9 * MiB));
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(4 * MiB, (5 * MiB) - 1));
        await fixture.Cache.IdleAsync();
        var seen = new Seen(fixture.Cache);
        Assert.Equal((0, 1), seen.Since().Memory);
        Assert.Equal(CacheOutcome.Partial, (await fixture.GetAsync(CacheFixture.Log)).Outcome);
        Assert.Equal((1, 8), seen.Since().Memory);
    }

    [Fact]
    public async Task Nvme_IsLookedInForWhatMemoryHasNot()
    {
        using var directory = new TestDirectory();
        var tiers = await OpenAsync(directory);
        await using var fixture = new CacheFixture(tiers: tiers);
        await FillAsync(fixture, tiers);
        var seen = new Seen(fixture.Cache);
        Assert.Equal(((0, 28), (0, 28)), seen.Since());

        // Parts of one block and of two, ahead of Kestrel; a whole block, which comes to memory; then one of each.
        Assert.Equal(CacheOutcome.HitNvme, (await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(2 * MiB, (2 * MiB) + Part - 1))).Outcome);
        Assert.Equal(((0, 1), (1, 0)), seen.Since());
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range((3 * MiB) - Part, (3 * MiB) + Part - 1));
        Assert.Equal(((0, 2), (2, 0)), seen.Since());
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(0, MiB - 1));
        Assert.Equal(((0, 1), (1, 0)), seen.Since());
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(MiB - Part, MiB + Part - 1));
        Assert.Equal(((1, 1), (1, 0)), seen.Since());

        // More than is brought at once, read ahead while it goes out.
        Assert.Equal(CacheOutcome.HitNvme, (await fixture.GetAsync(Other)).Outcome);
        var (memory, nvme) = seen.Since();
        Assert.Equal(24, memory.Hits + memory.Misses);
        Assert.Equal((memory.Misses, 0), nvme);
        Assert.True(nvme.Hits >= 8, $"{nvme.Hits} of 24 blocks from NVMe, and memory holds 16");
    }

    /// <summary>Its use is what the next promotions are decided by.</summary>
    [Fact]
    public async Task BlockBroughtUpForAPart_ReadWithItsNeighbourOnNvme_IsUsedOnceARead()
    {
        using var directory = new TestDirectory();
        var tiers = await OpenAsync(directory);
        await using var fixture = new CacheFixture(tiers: tiers);
        await FillAsync(fixture, tiers);
        for (var offset = 0; offset < MiB; offset += Part)
        {
            await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(offset, offset + Part - 1));
        }

        var uses = new List<int>();
        tiers.Memory.BroughtLeft = (_, _, hits) => uses.Add(hits);
        for (var i = 0; i < 5; i++)
        {
            await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(MiB - Part, MiB + Part - 1));
        }

        tiers.Memory.Evict(16 * MiB);
        Assert.Equal([5], uses);
    }

    private static async Task<TierStack> OpenAsync(TestDirectory directory)
    {
        var tiers = TierStack.Open(TierStacks.Options(directory.Path) with { NvmeCapacityBytes = 256 * MiB }, TimeProvider.System, NullLoggerFactory.Instance);
        await TierStacks.UntilAsync(() => tiers.Snapshot().Nvme[0].State == NvmeState.Healthy, tiers);
        return tiers;
    }

    /// <summary>Two objects on NVMe, block by block; memory has only blocks of the second, which is larger than it.</summary>
    private static async Task FillAsync(CacheFixture fixture, TierStack tiers)
    {
        foreach (var (id, blocks) in new[] { (CacheFixture.Log, 4), (Other, 24) })
        {
            fixture.Source.Put(id, CacheFixture.Random(blocks * MiB, seed: blocks));
            for (var block = blocks - 1; block >= 0; block--) // backwards: nothing is read ahead
            {
                var read = await fixture.GetAsync(id, CacheFixture.Range(block * MiB, ((block + 1) * MiB) - 1));
                Assert.True(read.Outcome == CacheOutcome.Miss, $"{id.Key} {block}: {read.Outcome}");
                await fixture.Cache.IdleAsync();
                await TierStacks.FlushedAsync(tiers);
            }
        }

        Assert.Equal(28, tiers.Snapshot().Nvme[0].BlocksWritten);
    }

    /// <summary>What was counted since the last look.</summary>
    private sealed class Seen(ObjectCache cache)
    {
        private (long Hits, long Misses) _memory;
        private (long Hits, long Misses) _nvme;

        public ((long Hits, long Misses) Memory, (long Hits, long Misses) Nvme) Since()
        {
            var now = cache.TierSnapshot();
            var (memory, nvme) = ((now.Memory.Hits, now.Memory.Misses), (now.Nvme.Sum(one => one.Hits), now.Nvme.Sum(one => one.Misses)));
            var since = (Memory: Less(memory, _memory), Nvme: Less(nvme, _nvme));
            Assert.Equal(now.Nvme.Count == 0 ? 0 : since.Memory.Misses, since.Nvme.Hits + since.Nvme.Misses);
            (_memory, _nvme) = (memory, nvme);
            return since;
        }

        private static (long Hits, long Misses) Less((long Hits, long Misses) one, (long Hits, long Misses) other) => (one.Hits - other.Hits, one.Misses - other.Misses);
    }
}
