using Proxy.Cache.Blocks;

namespace Proxy.UnitTests.Tiers;

/// <summary>What is resident of a pool whose memory changes its size again and again; run by hand, alone in its process (bench/results/soak).</summary>
public sealed class LargePageFigures
{
    private const int Small = 64 << 10;
    private const int Large = 1 << 20;
    private const int RentsEach = 20_000;

    // What khugepaged needs for all of it when it is told to hurry.
    private static readonly TimeSpan Left = TimeSpan.FromSeconds(20);

    private readonly List<Block> _held = [];
    private readonly Random _random = new(1);

    [Fact(Explicit = true)]
    public async Task Resident_SharesOfSmallBlocks()
    {
        var output = TestContext.Current.TestOutputHelper!;
        using var pool = new BlockPool(1 << 30) { Evictor = Evict };
        foreach (var share in (double[])[0, 0.5, 0.9, 0.97, 0.5, 0])
        {
            for (var i = 0; i < RentsEach; i++)
            {
                if (pool.TryRent(_random.NextDouble() < share ? Small : Large, out var block))
                {
                    block.Span.Fill(1);
                    _held.Add(block);
                }
            }

            var before = ProcessPages.ResidentKiB("nr") >> 10;
            await Task.Delay(Left);
            output.WriteLine($"{share:0.00} of the rents small: {_held.Where(block => block.Length == Small).Sum(block => (long)Small) >> 20} MiB in small blocks, counted {pool.ResidentBytes >> 20}, resident {before} and {ProcessPages.ResidentKiB("nr") >> 10} MiB");
        }

        _held.ForEach(block => block.Release());
    }

    private long Evict(int wanted)
    {
        long freed = 0;
        while (freed < wanted && _held.Count > 0)
        {
            var at = _random.Next(_held.Count);
            freed += _held[at].Capacity;
            _held[at].Release();
            _held[at] = _held[^1];
            _held.RemoveAt(_held.Count - 1);
        }

        return freed;
    }
}
