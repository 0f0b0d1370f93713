using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;

namespace Proxy.UnitTests.Tiers;

/// <summary>The duel beside a ring that does what it says: hit ratios of what it is for, and of what it must not spoil.</summary>
public sealed class AdmissionDuelTests
{
    private const int BlockBytes = 1 << 20;
    private const double Reinsertion = 0.3;

    /// <summary>Round and round through twice the ring: without it nothing is ever hit.</summary>
    [Fact]
    public void Cyclic_TwiceTheRing_KeepsAPart()
    {
        var reads = Enumerable.Range(0, 12).SelectMany(_ => Enumerable.Range(0, 8000)).ToArray();
        Assert.Equal(0, Replay(reads, 4000, duel: false).HitRatio);
        var (ratio, written, duel) = Replay(reads, 4000, duel: true);
        Assert.InRange(ratio, 0.35, 0.5);
        Assert.True(duel!.TakesPart);

        // And the disk is spared what would be written for nothing.
        Assert.InRange(written, 1, reads.Length / 4);
    }

    [Fact]
    public void Cyclic_ThatFits_IsKeptWhole()
    {
        var reads = Enumerable.Range(0, 12).SelectMany(_ => Enumerable.Range(0, 3900)).ToArray();
        var (ratio, _, duel) = Replay(reads, 4000, duel: true);
        Assert.Equal(1, ratio);
        Assert.False(duel!.TakesPart);
    }

    /// <summary>Loads of collections, by Zipf's law: no worse than to take all.</summary>
    [Theory]
    [InlineData(0.7)]
    [InlineData(0.9)]
    [InlineData(1.1)]
    public void Zipf_IsNoWorseThanTakingAll(double skew)
    {
        var random = new Random(5);
        var draw = BlockTraces.Sampler(400, skew, random);
        var reads = new List<int>();
        while (reads.Count < 300_000)
        {
            var collection = draw();
            reads.AddRange(Enumerable.Range(collection * 100, 100));
        }

        var all = Replay([.. reads], 4000, duel: false);
        var dueled = Replay([.. reads], 4000, duel: true);
        Assert.True(dueled.HitRatio >= all.HitRatio - 0.01, $"{all.HitRatio:P1} without, {dueled.HitRatio:P1} with");
    }

    /// <summary>After a round trip through too much, something else that fits: it is taken in whole again, soon.</summary>
    [Fact]
    public void Cyclic_ThenAWorkingSetThatFits_TakesAllAgain()
    {
        var reads = Enumerable.Range(0, 8).SelectMany(_ => Enumerable.Range(0, 8000)).ToList();
        var before = reads.Count;
        for (var round = 0; round < 12; round++)
        {
            reads.AddRange(Enumerable.Range(100_000, 3000));
        }

        var (ratio, _, duel) = Replay([.. reads], 4000, duel: true, countFrom: before);
        Assert.False(duel!.TakesPart);
        Assert.InRange(ratio, 0.5, 1);
    }

    /// <summary>What uploads write and what is read once after it is neither round nor thrash.</summary>
    [Fact]
    public void WritesThatAreReadOnce_DoNotMakeItTakeAPart()
    {
        var duel = New(4000);
        for (var i = 0; i < 100_000; i++)
        {
            duel.Written(Id(i), BlockBytes);
            duel.Read(Id(Math.Max(0, i - 1000)));
            duel.Offered(Id(Math.Max(0, i - 1000)), BlockBytes);
        }

        Assert.False(duel.TakesPart);
        Assert.True(duel.Admits());
        Assert.Equal(0, duel.Declined);
    }

    [Fact]
    public void ManyThreads_LeaveItWhole()
    {
        var duel = New(100);
        var declined = 0L;
        Parallel.For(0, 8, thread =>
        {
            var random = new Random(thread);
            for (var i = 0; i < 50_000; i++)
            {
                var id = Id(random.Next(400));
                duel.Read(id);
                duel.Offered(id, BlockBytes);
                if (!duel.Admits())
                {
                    Interlocked.Increment(ref declined);
                }
            }
        });
        Assert.Equal(declined, duel.Declined);
    }

    private static AdmissionDuel New(int blocks) => new(() => (long)blocks * BlockBytes, BlockBytes, Reinsertion, seed: 3);

    // A content for each collection of a hundred, as real ids are: the sample must not be of whole objects.
    private static BlockId Id(int block) => new(new ContentId(Hash((ulong)(block / 100)), Hash((ulong)(block / 100) + 77)), block % 100);

    private static ulong Hash(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }

    /// <summary>A ring of its own kind, not sampled, that follows the duel's word or takes all. The first quarter warms up where nothing else is said.</summary>
    private static (double HitRatio, int Written, AdmissionDuel? Duel) Replay(int[] reads, int blocks, bool duel, int? countFrom = null)
    {
        var judge = duel ? New(blocks) : null;
        var ring = new ShadowRing(Reinsertion) { CapacityBytes = (long)blocks * BlockBytes };
        var (hits, written, from) = (0, 0, countFrom ?? reads.Length / 4);
        for (var i = 0; i < reads.Length; i++)
        {
            var id = Id(reads[i]);
            judge?.Read(id);
            judge?.Offered(id, BlockBytes);
            if (ring.Read(id))
            {
                hits += i >= from ? 1 : 0;
            }
            else if (judge is null || ring.HasRoomFor(BlockBytes) || judge.Admits())
            {
                ring.Add(id, BlockBytes);
                written++;
            }
        }

        return ((double)hits / (reads.Length - from), written, judge);
    }
}
