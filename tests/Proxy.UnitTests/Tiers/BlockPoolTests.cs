using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers.Memory;

namespace Proxy.UnitTests.Tiers;

public sealed class BlockPoolTests
{
    [Fact]
    public void SizeClasses_AllLengths_FitAndWasteAtMostAQuarter()
    {
        var previous = 0;
        for (var i = 0; i < SizeClasses.Count; i++)
        {
            var size = SizeClasses.SizeOf(i);
            Assert.True(size > previous && size % SizeClasses.PageBytes == 0);
            Assert.Equal(i, SizeClasses.IndexOf(size));
            Assert.Equal(i, SizeClasses.IndexOf(previous + 1));
            Assert.True(i < 4 || size <= 1.25 * (previous + 1) + SizeClasses.PageBytes);
            previous = size;
        }

        Assert.Equal(SizeClasses.MaxBytes, previous);
    }

    [Fact]
    public void Rent_BeyondCapacity_FailsUntilSomethingIsReleased()
    {
        using var pool = new BlockPool(4 << 20);
        var blocks = Enumerable.Range(0, 4).Select(_ => TestBlocks.Rent(pool, 6, 1 << 20)).ToList();
        Assert.False(pool.TryRent(1, out _));
        blocks[0].Release();
        Assert.True(pool.TryRent(200, out var small));
        Assert.Equal(4096, small.Capacity);
        Assert.Equal(0, (nint)AddressOf(small) % 4096);
        Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
        small.Release();
        blocks.Skip(1).ToList().ForEach(block => block.Release());
        Assert.Equal(0, pool.RentedBytes);
    }

    [Fact]
    public async Task Rent_FullPoolFromManyThreads_NobodyEverSeesMoreThanTheCapacity()
    {
        using var pool = new BlockPool(1 << 20);
        var most = 0L;
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            var held = new Queue<Block>();
            for (var i = 0; i < 200_000; i++)
            {
                if (pool.TryRent(64 << 10, out var block))
                {
                    held.Enqueue(block);
                }
                else if (held.Count > 8)
                {
                    held.Dequeue().Release();
                }

                InterlockedMax(ref most, pool.ResidentBytes);
            }

            held.ToList().ForEach(block => block.Release());
        })));
        Assert.Equal(pool.CapacityBytes, most);
    }

    [Fact]
    public async Task Rent_OfAGrowingSize_FindsMemoryTouchedAhead()
    {
        using var pool = new BlockPool(256 << 20);
        var first = TestBlocks.Rent(pool, 1, 1 << 20);
        for (var attempt = 0; pool.ResidentBytes < 16 << 20; attempt++)
        {
            Assert.True(attempt < 5000, $"{pool.ResidentBytes} bytes are resident.");
            await Task.Delay(2);
        }

        // What is ahead is what the next rents get; with what follows it, a sixteenth of the pool may lie idle.
        var next = Enumerable.Range(0, 4).Select(i => TestBlocks.Rent(pool, i, 1 << 20)).ToList();
        Assert.InRange(pool.ResidentBytes, 16 << 20, (5 + 16) << 20);
        next.Append(first).ToList().ForEach(block => block.Release());
    }

    [Fact]
    public void Rent_WhileMemoryIsTouchedAhead_StillGetsAllOfThePool()
    {
        for (var round = 0; round < 20; round++)
        {
            using var pool = new BlockPool(64 << 20);
            var blocks = new List<Block>();
            pool.WarmAhead(1 << 20);
            while (pool.TryRent(1 << 20, out var block))
            {
                blocks.Add(block);
            }

            Assert.Equal(64, blocks.Count);
            blocks.ForEach(block => block.Release());
        }
    }

    [Fact]
    public void Rent_MemoryHeldByOtherSizes_IsTakenFromThem()
    {
        using var pool = new BlockPool(8 << 20);
        for (var size = 4096; size <= 8 << 20; size *= 2)
        {
            var blocks = new List<Block>();
            while (pool.TryRent(size, out var block))
            {
                block.Span.Fill(1);
                blocks.Add(block);
            }

            Assert.Equal((8 << 20) / size, blocks.Count);
            blocks.ForEach(block => block.Release());
        }

        Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
    }

    /// <summary>Whoever still looks at lent pages must not see the next block there: they are not the next block's.</summary>
    [Theory]
    [InlineData(200_000, 16)]
    [InlineData(1 << 20, 2)]
    [InlineData(2 << 20, 2)]
    public unsafe void Return_OfALentBlock_GivesItsPagesBackToTheSystem(int length, int copies)
    {
        using var pool = new BlockPool(8 << 20);
        var (block, neighbour) = (TestBlocks.Rent(pool, 1, length), TestBlocks.Rent(pool, 2, length));
        var address = block.Address;
        Assert.False(Enumerable.Range(0, 100).Any(_ => block.TryLend(length)), "Its content may change.");
        block.Settle();
        var copied = 0;
        while (!block.TryLend(block.Capacity))
        {
            copied++;
        }

        Assert.Equal(copies, copied);
        var before = pool.ResidentBytes;
        block.Release();
        neighbour.Release();
        if (length >= 1 << 20)
        {
            // Of smaller ones some may be made warm meanwhile.
            Assert.InRange(before - pool.ResidentBytes, block.Capacity, 2 * block.Capacity);
        }

        Assert.Equal(0, *address); // found anew
        Assert.Equal(0, pool.RentedBytes);
    }

    /// <summary>Where pages are larger than blocks are counted in (64 KiB on some arm64), a block's last page is its neighbour's first.</summary>
    [Theory]
    [InlineData(0x10000, 0x14000, 0x1000, 0x10000, 0x14000)]
    [InlineData(0x10000, 0x14000, 0x10000, 0x10000, 0x10000)]
    [InlineData(0x14000, 0x14000, 0x10000, 0, 0)]
    [InlineData(0x14000, 0x20000, 0x10000, 0x20000, 0x10000)]
    [InlineData(0x14000, 0x4000, 0x10000, 0, 0)]
    public void WholePages_LeaveOutWhatIsANeighboursToo(int address, int bytes, int pageBytes, int start, int length)
        => Assert.Equal(((nuint)start, (nuint)length), NativePages.WholePages((nuint)address, (nuint)bytes, (nuint)pageBytes));

    [Fact]
    public void Return_OfABlockThatWasNotLent_KeepsItsMemory()
    {
        using var pool = new BlockPool(8 << 20);
        var block = TestBlocks.Rent(pool, 1, 1 << 20);
        block.Settle();
        Assert.False(block.TryLend(1 << 20));
        block.Release();
        Assert.InRange(pool.ResidentBytes, 1 << 20, 8 << 20);
        Assert.True(TestBlocks.IsRight(1, 0, TestBlocks.Rented(pool, 1 << 20), 1 << 20));
    }

    /// <summary>What comes and goes is copied: large pages that are broken up for it make everything else slower.</summary>
    [Fact]
    public void TryLend_LentBlocksGoAtOnce_NoFurtherBlockIsLent()
    {
        using var pool = new BlockPool(8 << 20);
        var lent = 0;
        for (var i = 0; i < 100; i++)
        {
            var block = TestBlocks.Rent(pool, i, 1 << 20);
            block.Settle();
            for (var sends = 0; sends < 4; sends++)
            {
                block.TryLend(1 << 20);
            }

            lent += block.IsLent ? 1 : 0;
            block.Release();
        }

        Assert.Equal(1, lent);
    }

    /// <summary>Lent slots that wait for the rest of their page are nobody's lasting loss.</summary>
    [Theory]
    [InlineData(1 << 20)]
    [InlineData(64 << 10)]
    public void Rent_EveryOtherBlockIsLentAndReleased_StillGetsAllOfThePool(int wanted)
    {
        using var pool = new BlockPool(64 << 20);
        var blocks = Enumerable.Range(0, 64).Select(i => TestBlocks.Rent(pool, i, 1 << 20)).ToList();
        var lent = blocks.Where((_, i) => i % 2 == 0).ToList();
        lent.ForEach(block =>
        {
            block.Settle();
            while (!block.TryLend(1 << 20))
            {
            }
        });
        lent.ForEach(block => block.Release());
        var again = new List<Block>();
        while (pool.TryRent(wanted, out var block))
        {
            again.Add(block);
        }

        Assert.Equal((32 << 20) / wanted, again.Count);
        Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
        again.Concat(blocks.Where((_, i) => i % 2 == 1)).ToList().ForEach(block => block.Release());
        Assert.Equal(0, pool.RentedBytes);
    }

    /// <summary>However little a single block is of the pool: one is evicted and its memory changes its size, not one after the other.</summary>
    [Fact]
    public void Rent_CachedBlocksOfAnotherSizeHoldAllMemory_EvictsOneOrTwo()
    {
        using var pool = new BlockPool(64 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        for (var i = 0; i < 1024; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 64 << 10), awaitsSecondHit: false);
        }

        Assert.True(pool.TryRent(4 << 10, out var small));
        Assert.InRange(tier.Evictions, 1, 2);
        Assert.Equal(0, pool.Refusals);
        small.Release();
    }

    /// <summary>Parts beside whole blocks: what the parts left behind is not given back to the system for a whole block, which evicts another one.</summary>
    [Fact]
    public void Rent_WholeBlocksBesideParts_LeavesThePartsMemoryAlone()
    {
        using var pool = new BlockPool(64 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        Fill(0, 100);
        Enumerable.Range(0, 16).Select(i => TestBlocks.Rent(pool, i, 64 << 10)).ToList().ForEach(part => part.Release());
        Fill(100, 200);
        var idle = pool.ResidentBytes - pool.RentedBytes;
        Assert.True(idle >= 1 << 20, $"{idle} bytes lie idle.");

        void Fill(int from, int to)
        {
            for (var i = from; i < to; i++)
            {
                tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 1 << 20), awaitsSecondHit: false);
            }
        }
    }

    [Fact]
    public void Rent_SystemHasNoAddresses_RefusesAndDoesWithWhatItHas()
    {
        using var pool = new BlockPool(128 << 20);
        using var tier = new MemoryTier(pool, TimeProvider.System);
        var reasons = new List<string>();
        pool.Unmapped = reasons.Add;
        pool.MapFaults = static () => throw new IOException("No addresses.");
        Assert.False(pool.TryRent(100_000, out _));
        Assert.Equal(0, pool.ResidentBytes);
        Assert.Equal(["No addresses."], reasons);

        // Blocks of a size whose range is there come and go; half a pool is all there is of it.
        pool.MapFaults = null;
        tier.Insert(TestBlocks.Id(0), TestBlocks.Rent(pool, 0, 100_000), awaitsSecondHit: false);
        pool.MapFaults = static () => throw new IOException("No addresses.");
        for (var i = 1; i < 2000; i++)
        {
            tier.Insert(TestBlocks.Id(i), TestBlocks.Rent(pool, i, 100_000), awaitsSecondHit: false);
        }

        Assert.InRange(pool.RentedBytes, 60 << 20, 64 << 20);

        // Another size has none, and does not empty the tier for it.
        var (evictions, refusals) = (tier.Evictions, pool.Refusals);
        Assert.False(pool.TryRent(1 << 20, out _));
        Assert.InRange(tier.Evictions - evictions, 0, 11);
        Assert.Equal(refusals + 1, pool.Refusals);
        Assert.True(pool.ResidentBytes <= 64 << 20);
        Assert.Single(reasons);
    }

    [Fact]
    public async Task WarmAhead_SystemHasNoAddresses_IsLeft()
    {
        using var pool = new BlockPool(64 << 20);
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        pool.MapFaults = static () => throw new IOException("No addresses.");
        pool.Unmapped = _ => asked.TrySetResult();
        pool.WarmAhead(1 << 20);
        await asked.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        pool.MapFaults = null;
        TestBlocks.Rent(pool, 1, 1 << 20).Release();
        Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
    }

    [Fact]
    public void Block_LastReferenceReleased_CannotBeAcquired()
    {
        using var pool = new BlockPool(1 << 20);
        var block = TestBlocks.Rent(pool, 1, 1000);
        var lease = block.Lease();
        block.Release();
        Assert.True(TestBlocks.IsRight(1, 10, lease.Slice(10, 500).Memory.Span, 1000));
        lease.Dispose();
        Assert.False(block.TryAcquire());
        Assert.Equal(0, pool.RentedBlocks);
    }

    [Fact]
    public async Task Rent_ManyThreadsAndSizes_NeverExceedsCapacityNorSharesMemory()
    {
        using var pool = new BlockPool(16 << 20);
        var worst = 0L;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            var random = new Random(thread);
            var mine = new List<(Block Block, long Number)>();
            for (var i = 0; i < 5000; i++)
            {
                if (mine.Count > 40 || (mine.Count > 0 && random.Next(2) == 0))
                {
                    var at = random.Next(mine.Count);
                    Assert.True(TestBlocks.IsRight(mine[at].Number, 0, mine[at].Block.Span[..Math.Min(64, mine[at].Block.Length)], mine[at].Block.Length));
                    mine[at].Block.Release();
                    mine.RemoveAt(at);
                }
                else if (pool.TryRent(1 + (int)Math.Pow(2, random.NextDouble() * 20), out var block))
                {
                    TestBlocks.Fill((thread * 100000L) + i, block.Span);
                    mine.Add((block, (thread * 100000L) + i));
                }

                InterlockedMax(ref worst, pool.RentedBytes);
            }

            mine.ForEach(one => one.Block.Release());
        })));
        Assert.Equal(0, pool.RentedBytes);
        Assert.Equal(0, pool.RentedBlocks);
        Assert.InRange(worst, 1, pool.CapacityBytes);
        Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
    }

    private static unsafe nint AddressOf(Block block) => (nint)block.Address;

    private static void InterlockedMax(ref long target, long value)
    {
        var seen = Interlocked.Read(ref target);
        while (value > seen && Interlocked.CompareExchange(ref target, value, seen) is var before && before != seen)
        {
            seen = before;
        }
    }
}
