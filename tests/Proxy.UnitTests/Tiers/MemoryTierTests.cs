using System.Diagnostics;
using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers.Memory;

namespace Proxy.UnitTests.Tiers;

public sealed class MemoryTierTests
{
    private const int BlockBytes = 64 << 10 << 1;

    [Fact]
    public void TryGet_Hit_AllocatesNothingAndIsFast()
    {
        using var pool = new BlockPool(64 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        var ids = Enumerable.Range(0, 100).Select(i => TestBlocks.Id(i)).ToArray();
        for (var i = 0; i < ids.Length; i++)
        {
            tier.Insert(ids[i], TestBlocks.Rent(pool, i, 100_000), awaitsSecondHit: false);
        }

        var best = double.MaxValue;
        Assert.Equal(0, Allocations.Least(1, () =>
        {
            var started = Stopwatch.GetTimestamp();
            Read(tier, ids, 20_000);
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalNanoseconds / 20_000);
        }));
        TestContext.Current.SendDiagnosticMessage("memory hit with lease: {0:F0} ns", best);

        // Far above the 20 ns seen, so that a busy machine does not fail it; a lock or a copy of the block would.
        Assert.True(best < 5000);
    }

    [Fact]
    public void Rent_TierFull_EvictsAndStaysWithinCapacity()
    {
        using var pool = new BlockPool(16 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        for (var i = 0; i < 2000; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i), awaitsSecondHit: false);
            Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
        }

        Assert.True(tier.Evictions > 500);
        Assert.Equal(pool.RentedBytes, tier.Bytes);
    }

    [Fact]
    public void Evict_EverythingLeased_RefusesAndKeepsAll()
    {
        using var pool = new BlockPool(4 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        var leases = new List<BlockLease>();
        for (var i = 0; i < 4; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 1 << 20), awaitsSecondHit: false);
            Assert.True(tier.TryGet(TestBlocks.Id(i), out var lease));
            leases.Add(lease);
        }

        Assert.False(pool.TryRent(1 << 20, out _));
        Assert.Equal(4, tier.Count);
        leases[2].Dispose();
        Assert.True(pool.TryRent(1 << 20, out var rented));
        Assert.False(tier.Contains(TestBlocks.Id(2)));
        Assert.Equal(3, tier.Count);
        rented.Release();
        leases.Where((_, i) => i != 2).ToList().ForEach(lease => lease.Dispose());
    }

    [Fact]
    public void Evict_PinnedContent_Stays()
    {
        using var pool = new BlockPool(8 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System) { IsPinned = content => content == TestBlocks.Id(0).Content };
        for (var i = 0; i < 100; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 1 << 20), awaitsSecondHit: false);
        }

        Assert.True(tier.Contains(TestBlocks.Id(0)));
        Assert.False(tier.Contains(TestBlocks.Id(1)));
    }

    /// <summary>More pinned blocks than probation's share: what is new still waits there to be used again.</summary>
    [Fact]
    public void Evict_PinnedContents_TakeNoShareOfProbation()
    {
        const int Pinned = 60;
        using var pool = new BlockPool(64 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System) { IsPinned = Pins(1000, Pinned) };
        FillMain(pool, tier, 512 - Pinned);
        Insert(pool, tier, 1000, Pinned);
        Insert(pool, tier, 2000, 40);
        Insert(pool, tier, 3000, 6);
        Assert.True(tier.Contains(TestBlocks.Id(3000)));
        Assert.All(Enumerable.Range(1000, Pinned), i => Assert.True(tier.Contains(TestBlocks.Id(i))));
    }

    [Fact]
    public void Evict_MostIsPinned_TakesTheRestAndWhatIsUnpinnedLater()
    {
        const int Pinned = 500;
        using var pool = new BlockPool(64 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System) { IsPinned = Pins(1000, Pinned) };
        Insert(pool, tier, 1000, Pinned);
        Insert(pool, tier, 2000, 200);
        Assert.Equal(0, pool.Refusals);
        Assert.All(Enumerable.Range(1000, Pinned), i => Assert.True(tier.Contains(TestBlocks.Id(i))));
        Assert.Equal(pool.RentedBytes, tier.Bytes);

        // Unpinned they are as any other, and all of them can go at once.
        tier.IsPinned = null;
        Insert(pool, tier, 3000, 200);
        Assert.InRange(Enumerable.Range(1000, Pinned).Count(i => tier.Contains(TestBlocks.Id(i))), 1, Pinned - 100);
        Assert.Equal(512L * BlockBytes, tier.Evict(512 * BlockBytes));
        Assert.Equal(0, tier.Count);
    }

    [Fact]
    public void Evict_BlocksTheDiskHasNotTaken_GoWhenNothingElseIsLeft()
    {
        using var pool = new BlockPool(8 << 20);
        var unwritten = new HashSet<BlockId> { TestBlocks.Id(0), TestBlocks.Id(1) };
        using var tier = new MemoryTier(pool, TimeProvider.System) { IsUnwritten = unwritten.Contains };
        Insert(0, 40);
        Assert.True(tier.Contains(TestBlocks.Id(0)) && tier.Contains(TestBlocks.Id(1)));
        Assert.False(tier.Contains(TestBlocks.Id(2)));

        // Written: as any other.
        unwritten.Remove(TestBlocks.Id(0));
        Insert(40, 60);
        Assert.False(tier.Contains(TestBlocks.Id(0)));
        Assert.True(tier.Contains(TestBlocks.Id(1)));

        // A disk that takes nothing does not stop the memory tier.
        unwritten.UnionWith(Enumerable.Range(0, 200).Select(static i => TestBlocks.Id(i)));
        Insert(60, 100);
        Assert.True(tier.Contains(TestBlocks.Id(99)));
        Assert.Equal(0, pool.Refusals);

        void Insert(int from, int to)
        {
            for (var i = from; i < to; i++)
            {
                tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 1 << 20), awaitsSecondHit: false);
            }
        }
    }

    /// <summary>More than one search looks at lie in probation and wait for the disk: what is clean in main goes all the same.</summary>
    [Fact]
    public void Evict_ManyUnwrittenOnProbation_TakesWhatIsCleanInMain()
    {
        const int Unwritten = 300;
        using var pool = new BlockPool(64 << 20);
        var unwritten = new HashSet<BlockId>();
        using var tier = new MemoryTier(pool, TimeProvider.System) { IsUnwritten = unwritten.Contains };
        FillMain(pool, tier, 512 - Unwritten - 40);
        for (var i = 1000; i < 1000 + Unwritten; i++)
        {
            unwritten.Add(TestBlocks.Id(i));
        }

        Insert(pool, tier, 1000, Unwritten);

        var before = tier.Count;
        Assert.Equal(100 * BlockBytes, tier.Evict(100 * BlockBytes));
        Assert.Equal(before - 100, tier.Count);
        Assert.All(unwritten, id => Assert.True(tier.Contains(id)));
    }

    [Fact]
    public void Insert_SmallBlocks_OutliveAScanOfLargeOnes()
    {
        using var pool = new BlockPool(32 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        for (var i = 0; i < 100; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 200), awaitsSecondHit: false);
        }

        for (var i = 1000; i < 1200; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 1 << 20), awaitsSecondHit: false);
        }

        Assert.All(Enumerable.Range(0, 100), i => Assert.True(tier.Contains(TestBlocks.Id(i))));
    }

    [Fact]
    public void SecondHit_TouchedInALaterEpoch_IsOfferedOnce()
    {
        using var pool = new BlockPool(32 << 20);
        var offered = new List<BlockId>();
        using var tier = new MemoryTier(pool, TimeProvider.System) { SecondHit = (id, _) => offered.Add(id) };
        tier.Insert(TestBlocks.Id(1), TestBlocks.Rent(pool, 1), awaitsSecondHit: true);
        tier.Insert(TestBlocks.Id(2), TestBlocks.Rent(pool, 2), awaitsSecondHit: false);
        for (var epoch = 0; epoch < 3; epoch++)
        {
            tier.AdvanceEpoch();
            foreach (var number in (ReadOnlySpan<int>)[1, 2])
            {
                Assert.True(tier.TryGet(TestBlocks.Id(number), out var lease));
                lease.Dispose();
            }
        }

        Assert.Equal([TestBlocks.Id(1)], offered);
    }

    /// <summary>A hot Zipf set with scans through it, in ranges: what the policy is for. LRU is the control.</summary>
    [Fact]
    public void HitRatio_ZipfWithScans_BeatsLru()
    {
        const int Capacity = 200;
        const int Keys = 2000;
        using var pool = new BlockPool((long)Capacity * BlockBytes);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        var lru = new LinkedList<long>();
        var lruMap = new Dictionary<long, LinkedListNode<long>>();
        var random = new Random(7);
        var zipf = Zipf(Keys, 0.9);
        long hits = 0, lruHits = 0, requests = 0, scan = 1_000_000;
        for (var i = 0; i < 60_000; i++)
        {
            var scanning = i % 300 < 100;
            var number = scanning ? scan++ : Sample(zipf, random);

            // Each scanned block is read in four ranges: they must not count as four uses.
            for (var range = 0; range < (scanning ? 4 : 1); range++)
            {
                var hit = tier.TryGet(TestBlocks.Id(number), out var lease);
                lease.Dispose();
                if (!hit)
                {
                    Assert.True(pool.TryRent(BlockBytes, out var block));
                    tier.Insert(TestBlocks.Id(number), block, awaitsSecondHit: false);
                }

                if (!scanning)
                {
                    requests++;
                    hits += hit ? 1 : 0;
                    lruHits += lruMap.ContainsKey(number) ? 1 : 0;
                }
            }

            if (lruMap.Remove(number, out var node))
            {
                lru.Remove(node);
            }

            lruMap[number] = lru.AddFirst(number);
            if (lru.Count > Capacity)
            {
                lruMap.Remove(lru.Last!.Value);
                lru.RemoveLast();
            }
        }

        var ours = (double)hits / requests;
        var theirs = (double)lruHits / requests;
        TestContext.Current.SendDiagnosticMessage("hit ratio: S3-FIFO {0:F3}, LRU {1:F3}", ours, theirs);
        Assert.True(ours > theirs + 0.05, $"S3-FIFO {ours:F3}, LRU {theirs:F3}");
    }

    [Fact]
    public async Task Soak_ReadersWritersRemovers_LeaveNoLeaseAndNoWrongByte()
    {
        using var pool = new BlockPool(16 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        long wrong = 0;
        var rounds = double.TryParse(Environment.GetEnvironmentVariable("PROXY_SOAK_SECONDS"), out var seconds) ? (int)(seconds * 2500) : 5000;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            var random = new Random(thread);
            for (var i = 0; i < rounds; i++)
            {
                var number = random.Next(300);
                if (tier.TryGet(TestBlocks.Id(number), out var lease))
                {
                    var length = Math.Min(64, lease.Length);
                    wrong += lease.Length == TestBlocks.Length(number) && TestBlocks.IsRight(number, 0, lease.Span[..length], TestBlocks.Length(number)) ? 0 : 1;
                    lease.Dispose();
                }
                else if (pool.TryRent(TestBlocks.Length(number), out var block))
                {
                    TestBlocks.Fill(number, block.Span);
                    tier.Insert(TestBlocks.Id(number), block, awaitsSecondHit: false);
                }

                if (random.Next(50) == 0)
                {
                    tier.Remove(TestBlocks.Id(random.Next(300)));
                }

                if (random.Next(500) == 0)
                {
                    tier.AdvanceEpoch();
                }
            }
        })));
        Assert.Equal(0, wrong);
        Assert.Equal(pool.RentedBytes, tier.Bytes);
        Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
        tier.Dispose();
        Assert.Equal(0, pool.RentedBlocks);
    }

    private static Func<ContentId, bool> Pins(int from, int count)
        => Enumerable.Range(from, count).Select(static i => TestBlocks.Id(i).Content).ToHashSet().Contains;

    private static void Insert(BlockPool pool, MemoryTier tier, int from, int count)
    {
        for (var i = from; i < from + count; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, BlockBytes), awaitsSecondHit: false);
        }
    }

    /// <summary>Blocks 0 … <paramref name="count"/> − 1, used often enough to have left probation.</summary>
    private static void FillMain(BlockPool pool, MemoryTier tier, int count)
    {
        var ids = Enumerable.Range(0, count).Select(static i => TestBlocks.Id(i)).ToArray();
        Insert(pool, tier, 0, count);
        for (var use = 0; use < 2; use++)
        {
            tier.AdvanceEpoch();
            Read(tier, ids, count);
        }

        // A search for what goes moves them, and takes this one.
        Insert(pool, tier, 999_999, 1);
        Assert.Equal(BlockBytes, tier.Evict(BlockBytes));
        Assert.Equal(count, tier.Count);
    }

    private static void Read(MemoryTier tier, BlockId[] ids, int times)
    {
        for (var i = 0; i < times; i++)
        {
            if (tier.TryGet(ids[i % ids.Length], out var lease))
            {
                lease.Dispose();
            }
        }
    }

    private static double[] Zipf(int keys, double skew)
    {
        var sums = new double[keys];
        var sum = 0.0;
        for (var i = 0; i < keys; i++)
        {
            sums[i] = sum += 1 / Math.Pow(i + 1, skew);
        }

        return sums;
    }

    private static int Sample(double[] sums, Random random)
    {
        var at = Array.BinarySearch(sums, random.NextDouble() * sums[^1]);
        return at < 0 ? ~at : at;
    }
}
