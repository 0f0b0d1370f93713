using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache.Tiers;
using static Proxy.UnitTests.Tiers.TierStacks;

namespace Proxy.UnitTests.Tiers;

public sealed class TierStackTests
{
    [Fact]
    public async Task Publish_Always_IsFoundInMemoryThenOnNvme()
    {
        using var directory = new TestDirectory();
        await using var tiers = await OpenAsync(directory.Path);
        tiers.Publish(TestBlocks.Id(1), TestBlocks.Rent(tiers.Pool, 1), Admission.Always);
        Assert.True(tiers.TryGetFromMemory(TestBlocks.Id(1), out var lease));
        lease.Dispose();
        Assert.True(tiers.Contains(TestBlocks.Id(1), out var tier));
        Assert.Equal(Tier.Memory, tier);

        await FlushedAsync(tiers);
        tiers.Memory.Remove(TestBlocks.Id(1));
        Assert.True(tiers.Contains(TestBlocks.Id(1), out tier));
        Assert.Equal(Tier.Nvme, tier);
        await ReadAsync(tiers, 1, 0, int.MaxValue, Tier.Nvme);

        // Read whole: it is back in memory.
        await ReadAsync(tiers, 1, 10, 100, Tier.Memory);
        tiers.Remove(TestBlocks.Id(1));
        Assert.False(tiers.Contains(TestBlocks.Id(1), out _));
        Assert.False((await tiers.ReadAsync(TestBlocks.Id(1), 0, 10, CancellationToken.None)).Found);
    }

    [Fact]
    public async Task Publish_SecondHit_WithRoomLeft_GoesToNvmeAtOnce()
    {
        using var directory = new TestDirectory();
        await using var tiers = await OpenAsync(directory.Path);
        tiers.Publish(TestBlocks.Id(1), TestBlocks.Rent(tiers.Pool, 1), Admission.SecondHit);
        await FlushedAsync(tiers);
        Assert.True(tiers.Nvme!.Contains(TestBlocks.Id(1)));
    }

    [Fact]
    public async Task Publish_MoreThanTheWriteQueueTakes_ReachesNvmeFromMemory()
    {
        using var directory = new TestDirectory();
        await using var tiers = await OpenAsync(directory.Path);
        var device = (Proxy.Cache.Tiers.Nvme.NvmeDevice)tiers.Nvme!;
        using var gate = new ManualResetEventSlim();
        device.Faults = (operation, _) =>
        {
            if (operation == Proxy.Cache.Tiers.Nvme.DiskOperation.Write)
            {
                gate.Wait();
            }
        };

        // Twelve MiB against a queue of four: the disk stands still until all of it is published.
        const int Blocks = 24;
        for (var number = 0; number < Blocks; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, 512 << 10), Admission.Always);
        }

        Assert.InRange(tiers.Snapshot().Nvme[0].QueueBytes, 1, 4 << 20);
        gate.Set();
        await UntilAsync(() => Enumerable.Range(0, Blocks).All(number => device.Contains(TestBlocks.Id(number))), tiers);
        await FlushedAsync(tiers);
        Assert.Equal(0, tiers.Snapshot().Nvme[0].WritesDropped);
        Assert.Equal(Blocks, tiers.Snapshot().Nvme[0].BlocksWritten);
    }

    /// <summary>A small memory shared by several directories leaves each a queue shorter than a block.</summary>
    [Fact]
    public async Task Publish_BlockLargerThanADirectorysShareOfTheQueue_ReachesNvme()
    {
        using var first = new TestDirectory();
        using var second = new TestDirectory();
        await using var tiers = TierStack.Open(
            Options(first.Path, second.Path) with { MemoryCapacityBytes = 4 << 20, MaxBlockBytes = TestBlocks.MaxLength }, TimeProvider.System, NullLoggerFactory.Instance);
        for (var number = 0; number < 2; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, TestBlocks.MaxLength), Admission.Always);
        }

        await UntilAsync(() => tiers.Snapshot().Nvme.Sum(one => one.BlocksWritten) == 2, tiers);
        Assert.Equal(0, tiers.Backlog);
    }

    [Fact]
    public async Task Publish_WhileReservingSpaceHangs_ReachesNvmeAndGivesItsMemoryBack()
    {
        const int Bytes = 512 << 10;
        using var directory = new TestDirectory();
        using var gate = new ManualResetEventSlim();
        using var hangs = new ManualResetEventSlim();
        await using var tiers = TierStack.Open(Options(directory.Path) with { NvmeCapacityBytes = 2L << 30 }, TimeProvider.System, NullLoggerFactory.Instance);
        await UntilAsync(() => tiers.Snapshot().Nvme[0].State == NvmeState.Healthy, tiers);
        ((Proxy.Cache.Tiers.Nvme.NvmeDevice)tiers.Nvme!).Faults = (operation, _) =>
        {
            // The first segments, reserved before anything is written, are there.
            if (operation == Proxy.Cache.Tiers.Nvme.DiskOperation.Allocate && tiers.Snapshot().Nvme[0].BlocksWritten > 0)
            {
                hangs.Set();
                gate.Wait();
            }
        };
        try
        {
            // Until the log comes near what is reserved: the thread that reserves hangs from here on.
            var number = 0;
            for (; !hangs.IsSet; number++)
            {
                Assert.True(number < 1024, "no space was asked for");
                tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, Bytes), Admission.Always);
                await UntilAsync(() => tiers.Snapshot().Nvme[0].QueueBytes < 2 << 20, tiers);
            }

            // Three times the queue, and less than memory.
            var until = number + 24;
            for (; number < until; number++)
            {
                tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, Bytes), Admission.Always);
            }

            await UntilAsync(() => tiers.Snapshot().Nvme[0].BlocksWritten == until, tiers);
            Assert.Equal(0, tiers.Snapshot().Nvme[0].QueueBytes);
            Assert.Equal(0, tiers.Snapshot().Nvme[0].WritesDropped);
            tiers.Memory.Remove(TestBlocks.Id(until - 1));
            var read = await tiers.ReadAsync(TestBlocks.Id(until - 1), 0, Bytes, CancellationToken.None);
            Assert.Equal(Tier.Nvme, read.Tier);
            Assert.True(TestBlocks.IsRight(until - 1, 0, read.Lease.Span, Bytes));
            read.Lease.Dispose();
        }
        finally
        {
            gate.Set();
        }
    }

    [Fact]
    public async Task Publish_WhileTheDirectoryIsStillBeingOpened_ReachesNvmeFromMemory()
    {
        using var directory = new TestDirectory();

        var format = await HoldOpeningAsync(directory);
        await using var tiers = TierStack.Open(Options(directory.Path), TimeProvider.System, NullLoggerFactory.Instance);
        const int Blocks = 24;
        for (var number = 0; number < Blocks; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, 512 << 10), Admission.Always);
        }

        // Twice what memory holds: what is to go to disk stays as long as anything else can go.
        for (var number = 1000; number < 1064; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, 512 << 10), Admission.MemoryOnly);
        }

        Assert.Equal(NvmeState.Opening, tiers.Snapshot().Nvme[0].State);
        await File.WriteAllTextAsync(format, "", TestContext.Current.CancellationToken);
        await UntilAsync(() => Enumerable.Range(0, Blocks).All(number => tiers.Nvme!.Contains(TestBlocks.Id(number))), tiers);
        await FlushedAsync(tiers);
        Assert.Equal(0, tiers.Snapshot().Nvme[0].WritesDropped);
        Assert.Equal(Blocks, tiers.Snapshot().Nvme[0].BlocksWritten);
    }

    /// <summary>Reads round and round through twice what NVMe holds: oldest out first, none of them would ever be found again.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reads_RoundAndRoundThroughTwiceTheRing_FindAPart(bool atSecondHit)
    {
        const int Blocks = 512;
        const int Bytes = 256 << 10;
        const int Rounds = 10;
        using var directory = new TestDirectory();
        await using var tiers = await OpenAsync(directory.Path);
        var found = 0;
        for (var round = 0; round < Rounds; round++)
        {
            for (var number = 0; number < Blocks; number++)
            {
                var id = TestBlocks.Id(number);
                var read = await tiers.ReadAsync(id, 0, Bytes, CancellationToken.None);
                if (read.Found)
                {
                    Assert.True(TestBlocks.IsRight(number, 0, read.Lease.Span, Bytes));
                    read.Lease.Dispose();
                    found += round >= Rounds / 2 ? 1 : 0;
                    continue;
                }

                tiers.Publish(id, TestBlocks.Rent(tiers.Pool, number, Bytes), atSecondHit ? Admission.SecondHit : Admission.FirstHit);
                if (number % 8 == 0)
                {
                    await FlushedAsync(tiers);
                }
            }
        }

        var snapshot = tiers.Snapshot();
        Assert.True(snapshot.TakesPart);
        Assert.True(snapshot.Declined > Blocks);
        Assert.InRange((double)found / (Blocks * Rounds / 2), 0.25, 0.6);
    }

    [Fact]
    public async Task Publish_SecondHit_GoesToNvmeOnlyWhenWantedAgain()
    {
        using var directory = new TestDirectory();
        await using var tiers = await OpenAsync(directory.Path);
        for (var filler = 1000; tiers.Nvme!.HasRoom(TestBlocks.Id(1)); filler++)
        {
            tiers.Publish(TestBlocks.Id(filler), TestBlocks.Rent(tiers.Pool, filler, 1 << 20), Admission.Always);
            if (filler % 3 == 0)
            {
                await FlushedAsync(tiers); // the write queue holds a quarter of 16 MiB
            }
        }

        for (var number = 1; number <= 2; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number), Admission.SecondHit);
        }

        tiers.Memory.AdvanceEpoch();
        Assert.True(tiers.TryGetFromMemory(TestBlocks.Id(1), out var lease));
        lease.Dispose();
        await FlushedAsync(tiers);
        Assert.True(tiers.Nvme!.Contains(TestBlocks.Id(1)));
        Assert.False(tiers.Nvme.Contains(TestBlocks.Id(2)));
    }

    [Fact]
    public async Task Read_PartsThatAddUpToTheBlock_BringItToMemory()
    {
        using var directory = new TestDirectory();
        await using var tiers = await OpenAsync(directory.Path);
        tiers.Publish(TestBlocks.Id(4), TestBlocks.Rent(tiers.Pool, 4), Admission.Always);
        await FlushedAsync(tiers);
        tiers.Memory.Remove(TestBlocks.Id(4));
        const int Part = 16 << 10;
        for (var read = 0; read < TestBlocks.Length(4) / Part; read++)
        {
            Assert.False(tiers.Memory.Contains(TestBlocks.Id(4)));
            await ReadAsync(tiers, 4, Part * read, Part, Tier.Nvme);
        }

        await ReadAsync(tiers, 4, 50_000, 500, Tier.Memory);
    }

    [Fact]
    public async Task Publish_BlockMuchShorterThanRented_ChargesWhatItNeeds()
    {
        await using var tiers = TierStack.Open(new TierOptions { MemoryCapacityBytes = 16 << 20 }, TimeProvider.System, NullLoggerFactory.Instance);
        Assert.True(tiers.TryRent(1 << 20, out var block));
        TestBlocks.Fill(9, block.Span[..200]);
        block.Trim(200);
        tiers.Publish(TestBlocks.Id(9), block, Admission.Always);
        Assert.Equal(4096, tiers.Snapshot().Memory.UsedBytes);
        Assert.True(tiers.TryGetFromMemory(TestBlocks.Id(9), out var lease));
        Assert.True(TestBlocks.IsRight(9, 0, lease.Span, 200));
        lease.Dispose();
    }

    [Fact]
    public async Task Directories_OneLost_OnlyItsBlocksAreGone()
    {
        using var good = new TestDirectory();
        using var bad = new TestDirectory();
        await using var tiers = await OpenAsync(good.Path, bad.Path);
        for (var number = 0; number < 60; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, 50_000), Admission.Always);
        }

        await FlushedAsync(tiers);
        Directory.Delete(bad.Path, recursive: true);
        await File.WriteAllTextAsync(bad.Path, "in the way");
        try
        {
            await UntilAsync(() => tiers.Snapshot().Nvme[1].State == NvmeState.Suspended, tiers);
            Assert.Equal(NvmeState.Healthy, tiers.Snapshot().Nvme[0].State);
            var left = Enumerable.Range(0, 60).Count(number => tiers.Nvme!.Contains(TestBlocks.Id(number)));
            Assert.InRange(left, 10, 50);
        }
        finally
        {
            File.Delete(bad.Path);
            Directory.CreateDirectory(bad.Path);
        }
    }

    [Fact]
    public async Task Soak_FullStackUnderPressure_RightBytesBoundedMemoryNoLeaseLeft()
    {
        using var directory = new TestDirectory();
        var tiers = await OpenAsync(directory.Path);
        var pool = tiers.Pool;
        long found = 0, fromNvme = 0;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(seed => Task.Run(async () =>
        {
            var random = new Random(seed);
            for (var i = 0; i < 1500; i++)
            {
                var number = (long)(random.NextDouble() * random.NextDouble() * 500);
                var offset = random.Next(TestBlocks.Length(number));
                var read = await tiers.ReadAsync(TestBlocks.Id(number), offset, 1 + random.Next(60_000), CancellationToken.None);
                if (read.Found)
                {
                    Interlocked.Increment(ref found);
                    Interlocked.Add(ref fromNvme, read.Tier == Tier.Nvme ? 1 : 0);
                    Assert.True(TestBlocks.IsRight(number, offset, read.Lease.Span), $"WRONG BYTES in {number} from {read.Tier}");
                    read.Lease.Dispose();
                }
                else if (tiers.TryRent(TestBlocks.Length(number), out var block))
                {
                    TestBlocks.Fill(number, block.Span);
                    tiers.Publish(TestBlocks.Id(number), block, (Admission)random.Next(3));
                }

                Assert.True(pool.ResidentBytes <= pool.CapacityBytes);
            }
        })));
        var snapshot = tiers.Snapshot();
        Assert.True(found > 1000 && fromNvme > 50, snapshot.ToString() + snapshot.Nvme[0]);
        Assert.Equal(0, snapshot.Nvme[0].Corrupt);
        await tiers.DisposeAsync();
        Assert.Equal(0, pool.RentedBlocks);
        Assert.Equal(0, pool.RentedBytes);
    }

    /// <summary>One sequence of writes, reads, removals and reopenings against both engines and a dictionary.</summary>
    [Fact]
    public async Task Model_FasterAndPlain_AgreeWithADictionary()
    {
        using var fasterDirectory = new TestDirectory();
        using var plainDirectory = new TestDirectory();
        var random = new Random(42);
        var known = new HashSet<long>();
        for (var run = 0; run < 3; run++)
        {
            await using var faster = await NvmeHarness.OpenAsync(fasterDirectory.Path, NvmeEngine.Faster, 256 << 20);
            await using var plain = await NvmeHarness.OpenAsync(plainDirectory.Path, NvmeEngine.Plain, 256 << 20);
            await faster.UntilAsync(() => faster.Now.State == NvmeState.Healthy && plain.Now.State == NvmeState.Healthy);
            for (var step = 0; step < 400; step++)
            {
                var number = random.Next(300);
                if (random.Next(3) == 0)
                {
                    if (known.Add(number))
                    {
                        await faster.PutAsync(number);
                        await plain.PutAsync(number);
                    }
                }
                else
                {
                    var offset = random.Next(TestBlocks.Length(number));
                    Assert.Equal(known.Contains(number), await faster.HasAsync(number, offset, 20_000));
                    Assert.Equal(known.Contains(number), await plain.HasAsync(number, offset, 20_000));
                }
            }
        }
    }

    private static async Task ReadAsync(TierStack tiers, long number, int offset, int length, Tier from)
    {
        var read = await tiers.ReadAsync(TestBlocks.Id(number), offset, length, CancellationToken.None);
        Assert.Equal(from, read.Tier);
        Assert.True(TestBlocks.IsRight(number, offset, read.Lease.Span));
        Assert.Equal(Math.Min(length, TestBlocks.Length(number) - offset), read.Lease.Length);
        read.Lease.Dispose();
    }
}
