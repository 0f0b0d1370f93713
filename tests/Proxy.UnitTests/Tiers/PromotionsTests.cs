using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache.Tiers;
using static Proxy.UnitTests.Tiers.TierStacks;

namespace Proxy.UnitTests.Tiers;

public sealed class PromotionsTests
{
    private const int Whole = 1 << 20;
    private const int Part = 64 << 10;
    private const int BlockBytes = 128 << 10;
    private const int PartBytes = 16 << 10;
    private readonly Promotions _promotions = new();
    private readonly Random _random = new(7);

    [Fact]
    public void IsDue_AsMuchReadInPartsAsIsAskedFor()
    {
        Assert.Equal(16, ReadsUntilDue());
        Leave(hits: 3);
        Assert.Equal(2, _promotions.Demand);
        Assert.Equal(32, ReadsUntilDue());
    }

    /// <summary>Never beyond what bounds the delay, never below the block's own length.</summary>
    [Fact]
    public void Demand_StaysWithinItsBounds()
    {
        for (var i = 0; i < 6; i++)
        {
            Leave(hits: 0);
        }

        Assert.Equal(Promotions.MaxDemand, _promotions.Demand);
        for (var i = 0; i < 6; i++)
        {
            Leave(hits: 30);
        }

        Assert.Equal(1, _promotions.Demand);
    }

    [Fact]
    public void Demand_BlocksThatSavedWhatTheyCost_LeaveItAsItIs()
    {
        Leave(hits: 0);
        Leave(hits: 20);
        Assert.Equal(2, _promotions.Demand);
        Leave(hits: 31);
        Assert.Equal(1, _promotions.Demand);
    }

    /// <summary>A working set of five times what memory holds, read in parts: nearly half of what the disk gave was thrown away.</summary>
    [Fact]
    public async Task Reads_InPartsFarBeyondMemory_TakeLittleMoreFromTheDiskThanIsAskedFor()
    {
        const int Blocks = 640;
        using var directory = new TestDirectory();
        await using var tiers = await FilledAsync(directory, Blocks);
        await ReadAsync(tiers, Blocks, 10_000);
        var before = tiers.Snapshot().Nvme[0].ReadBytes;
        var asked = await ReadAsync(tiers, Blocks, 10_000);
        Assert.InRange(tiers.Snapshot().Nvme[0].ReadBytes - before, asked, asked * 5 / 4);
        Assert.True(tiers.Promotions.Demand > 1);

        // What fits into memory still comes there, even now.
        const int Hot = 40;
        await ReadAsync(tiers, Hot, Hot * BlockBytes / PartBytes * (Promotions.MaxDemand + 1) * 2);
        before = tiers.Snapshot().Nvme[0].ReadBytes;
        await ReadAsync(tiers, Hot, 1000);
        Assert.InRange(tiers.Snapshot().Nvme[0].ReadBytes - before, 0, 1000L * PartBytes / 10);
    }

    private static async Task<TierStack> FilledAsync(TestDirectory directory, int blocks)
    {
        var tiers = TierStack.Open(Options(directory.Path) with { NvmeCapacityBytes = 256 << 20 }, TimeProvider.System, NullLoggerFactory.Instance);
        await UntilAsync(() => tiers.Snapshot().Nvme[0].State == NvmeState.Healthy, tiers);
        for (var number = 0; number < blocks; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, BlockBytes), Admission.Always);
            if (number % 16 == 15)
            {
                await FlushedAsync(tiers);
            }
        }

        await FlushedAsync(tiers);
        return tiers;
    }

    /// <summary>Any part of any of the first <paramref name="blocks"/>.</summary>
    /// <returns>Bytes asked of the disk: those not found in memory.</returns>
    private async Task<long> ReadAsync(TierStack tiers, int blocks, int reads)
    {
        long asked = 0;
        for (var i = 0; i < reads; i++)
        {
            var number = _random.Next(blocks);
            var offset = _random.Next(BlockBytes / PartBytes) * PartBytes;
            var read = await tiers.ReadAsync(TestBlocks.Id(number), offset, PartBytes, CancellationToken.None);
            Assert.True(read.Found);
            if (i % 16 == 0)
            {
                Assert.True(TestBlocks.IsRight(number, offset, read.Lease.Span, BlockBytes));
            }

            asked += read.Tier == Tier.Nvme ? PartBytes : 0;
            read.Lease.Dispose();
        }

        return asked;
    }

    private int ReadsUntilDue()
    {
        for (var reads = 1; ; reads++)
        {
            if (_promotions.IsDue(TestBlocks.Id(1), Part, Whole))
            {
                return reads;
            }
        }
    }

    private void Leave(int hits)
    {
        for (var i = 0; i < Promotions.Jury; i++)
        {
            _promotions.Left(Whole, Part, hits);
        }
    }
}
