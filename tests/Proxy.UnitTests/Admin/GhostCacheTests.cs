using Proxy.Cache.Admin;
using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Admin;

/// <summary>The estimated curve against what a full LRU of each size really hits on the same reads.</summary>
public sealed class GhostCacheTests
{
    private const int BlockBytes = 1 << 20;
    private static readonly double[] Factors = [0.25, 0.5, 1, 2, 4, 8];

    [Theory]
    [InlineData("zipf", 200_000, 400_000, 5000, 0.02)]
    [InlineData("scan", 200_000, 400_000, 5000, 0.02)]
    [InlineData("small", 500, 60_000, 5000, 0.02)]

    // More is read between two drains than the sampler takes.
    [InlineData("zipf", 100_000, 2_000_000, 100_000, 0.02)]
    [InlineData("zipf", 200_000, 2_000_000, 100_000, 0.025)] // half as many blocks are followed as above: which ones shows
    [InlineData("few", 3000, 2_000_000, 100_000, 0.02)]
    [InlineData("small", 500, 1_000_000, 60_000, 0.02)]
    public void Curve_AgainstFullSimulation_IsWithinItsError(string trace, int blocks, int reads, int readsADrain, double error)
    {
        var sampler = new ReadSampler();
        var ghost = new GhostCache();
        var capacities = Factors.Select(factor => (int)(blocks / 10 * factor)).ToArray();
        var full = capacities.Select(capacity => new Lru(capacity)).ToArray();
        foreach (var (number, at) in Reads(trace, blocks, reads).Select((number, at) => (number, at)))
        {
            sampler.Observe(BlockOf(number), BlockBytes);
            Array.ForEach(full, lru => lru.Read(number));
            if (at % readsADrain == 0)
            {
                ghost.Follow(sampler);
            }
        }

        ghost.Follow(sampler);
        for (var i = 0; i < capacities.Length; i++)
        {
            var estimate = ghost.HitRatio((double)capacities[i] * BlockBytes);
            TestContext.Current.TestOutputHelper?.WriteLine($"{trace} {Factors[i]}x: full {full[i].HitRatio:0.000}, sampled {estimate:0.000}, {ghost.Samples} samples");
            Assert.InRange(estimate - full[i].HitRatio, -error, error);
        }

        // The control: sizes differ in what they hit, so a flat curve would not pass.
        Assert.True(full[^1].HitRatio - full[0].HitRatio > 0.1);
        Assert.InRange(ghost.Samples, 1, blocks > 10_000 ? reads / 4 : reads);

        // The bound on the hot path: never more than so many reads a drain, however many there are.
        Assert.InRange(ghost.Samples, 1, (long)ReadSampler.MostReads * ((reads / readsADrain) + 2));
    }

    /// <summary>The last of them finds the order's numbers used up: it stood at its old place and at its new one in the tree that is built then.</summary>
    [Theory]
    [InlineData(4094)]
    [InlineData(4095)]
    [InlineData(4096)]
    public void Distance_OverABlockReadAgainAndAgain_CountsItOnce(int reads)
    {
        var sampler = new ReadSampler();
        var ghost = new GhostCache();
        sampler.Observe(BlockOf(1), BlockBytes);
        for (var i = 0; i < reads; i++)
        {
            sampler.Observe(BlockOf(2), BlockBytes);
        }

        sampler.Observe(BlockOf(1), BlockBytes);
        ghost.Follow(sampler);

        // Two blocks are all there are: a cache of a little more than two misses nothing but the first read of each.
        Assert.Equal(1 - ghost.ColdRatio, ghost.HitRatio(2.5 * BlockBytes), 1e-9);
        Assert.Equal(2.0 / (reads + 2), ghost.ColdRatio, 1e-9);
    }

    [Fact]
    public void Sampler_DrainedTooLate_TakesNoMore()
    {
        var sampler = new ReadSampler();
        for (var i = 0; i < 200_000; i++)
        {
            sampler.Observe(BlockOf(i), BlockBytes);
        }

        var seen = 0;
        Assert.False(sampler.Drain((_, bytes) => seen += bytes == BlockBytes ? 1 : 0, out var reads));
        Assert.Equal(ReadSampler.MostReads, seen);
        Assert.Equal(ReadSampler.MostReads + 1, reads);
        Assert.True(sampler.Drain((_, _) => Assert.Fail("drained twice"), out reads));
        Assert.Equal(0, reads);

        sampler.Observe(BlockOf(1), BlockBytes);
        Assert.True(sampler.Drain((_, _) => seen++, out reads));
        Assert.Equal((ReadSampler.MostReads + 1, 1), (seen, reads));
    }

    [Fact]
    public void Sampler_ReadOfManyBlocks_LooksAtSixtyFourAndAllocatesNothing()
    {
        var sampler = new ReadSampler();
        var layout = ObjectLayout.Single(new ContentId(1, 2), 1L << 40, BlockBytes);
        var all = new ByteSpan(0, layout.Size);
        sampler.Observe(layout, all);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 1; i < 1000; i++)
        {
            sampler.Observe(layout, all);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        sampler.Drain((_, _) => { }, out var reads);
        Assert.InRange(reads, ReadSampler.MostReads, ReadSampler.MostReads + 64);

        sampler.Observe(layout, all);
        sampler.Drain((_, _) => { }, out reads);
        Assert.Equal(64, reads);
    }

    [Fact]
    public async Task Sampler_ReadersAtOnceWithADrainer_CountsAllThatFit()
    {
        var sampler = new ReadSampler();
        long seen = 0, counted = 0;
        using var done = new CancellationTokenSource();
        var draining = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                sampler.Drain((_, _) => seen++, out var reads);
                counted += reads;
            }
        });
        await Task.WhenAll(Enumerable.Range(0, 4).Select(reader => Task.Run(() =>
        {
            for (var i = 0; i < 100_000; i++)
            {
                sampler.Observe(BlockOf((reader * 100_000) + i), BlockBytes);
            }
        })));
        await done.CancelAsync();
        await draining;
        sampler.Drain((_, _) => seen++, out var rest);
        Assert.InRange(seen, 1, counted + rest);
        Assert.InRange(counted + rest, 1, 400_000);
    }

    /// <summary>Eight blocks to an object, objects named as the cache names them: by XxHash128.</summary>
    private static BlockId BlockOf(int number)
    {
        var hash = System.IO.Hashing.XxHash128.HashToUInt128(BitConverter.GetBytes(number / 8));
        return new BlockId(new ContentId((ulong)(hash >> 64), (ulong)hash), number % 8);
    }

    private static IEnumerable<int> Reads(string trace, int blocks, int reads)
    {
        var random = new Random(3);
        var cumulative = new double[blocks];
        double sum = 0;
        for (var i = 0; i < blocks; i++)
        {
            cumulative[i] = sum += 1 / Math.Pow(i + 1, 0.9);
        }

        for (var i = 0; i < reads; i++)
        {
            // Every fourth read is a scan's: a block that comes back only after all others.
            if (trace == "scan" && i % 4 == 0)
            {
                yield return blocks + (i % (blocks / 2));
                continue;
            }

            var at = Array.BinarySearch(cumulative, random.NextDouble() * sum);
            yield return at < 0 ? Math.Min(~at, blocks - 1) : at;
        }
    }

    private sealed class Lru(int capacity)
    {
        private readonly LinkedList<int> _order = new();
        private readonly Dictionary<int, LinkedListNode<int>> _nodes = [];
        private int _reads;
        private int _hits;

        public double HitRatio => (double)_hits / _reads;

        public void Read(int block)
        {
            _reads++;
            if (_nodes.TryGetValue(block, out var node))
            {
                _hits++;
                _order.Remove(node);
                _order.AddFirst(node);
                return;
            }

            if (_nodes.Count >= capacity)
            {
                _nodes.Remove(_order.Last!.Value);
                _order.RemoveLast();
            }

            _nodes[block] = _order.AddFirst(block);
        }
    }
}
