using Proxy.Cache.Admin;
using Proxy.Cache.Blocks;

namespace Proxy.UnitTests.Admin;

/// <summary>The estimated curve against what a full LRU of each size really hits on the same reads.</summary>
public sealed class GhostCacheTests
{
    private const int BlockBytes = 1 << 20;
    private static readonly double[] Factors = [0.25, 0.5, 1, 2, 4, 8];

    [Theory]
    [InlineData("zipf", 200_000, 400_000)]
    [InlineData("scan", 200_000, 400_000)]
    [InlineData("small", 500, 60_000)]
    public void Curve_AgainstFullSimulation_IsWithinTwoPoints(string trace, int blocks, int reads)
    {
        var sampler = new ReadSampler();
        var ghost = new GhostCache();
        var capacities = Factors.Select(factor => (int)(blocks / 10 * factor)).ToArray();
        var full = capacities.Select(capacity => new Lru(capacity)).ToArray();
        foreach (var (number, at) in Reads(trace, blocks, reads).Select((number, at) => (number, at)))
        {
            sampler.Observe(BlockOf(number), BlockBytes);
            Array.ForEach(full, lru => lru.Read(number));
            if (at % 5000 == 0)
            {
                ghost.Count(sampler.Drain(ghost.Read));
                sampler.Threshold = ghost.Threshold;
            }
        }

        ghost.Count(sampler.Drain(ghost.Read));
        for (var i = 0; i < capacities.Length; i++)
        {
            var estimate = ghost.HitRatio((double)capacities[i] * BlockBytes);
            TestContext.Current.TestOutputHelper?.WriteLine($"{trace} {Factors[i]}x: full {full[i].HitRatio:0.000}, sampled {estimate:0.000}, {ghost.Samples} samples");
            Assert.InRange(estimate - full[i].HitRatio, -0.02, 0.02);
        }

        // The control: sizes differ in what they hit, so a flat curve would not pass.
        Assert.True(full[^1].HitRatio - full[0].HitRatio > 0.1);
        Assert.InRange(ghost.Samples, 1, blocks > 10_000 ? reads / 4 : reads);
    }

    [Fact]
    public void Sampler_DrainedTooLate_LosesTheOldestOnly()
    {
        var sampler = new ReadSampler();
        for (var i = 0; i < 200_000; i++)
        {
            sampler.Observe(BlockOf(i), BlockBytes);
        }

        var seen = 0;
        sampler.Drain((_, bytes) => seen += bytes == BlockBytes ? 1 : 0);
        Assert.InRange(seen, 60_000, 65_536);
        sampler.Drain((_, _) => Assert.Fail("drained twice"));
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
