using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;
using static Proxy.UnitTests.Tiers.TierStacks;

namespace Proxy.UnitTests.Tiers;

public sealed class TurnedAwayTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public void ComesAgain_WithinHalfTheTiersLength_IsKnownOnce()
    {
        var turnedAway = new TurnedAway(() => 200L * MiB, MiB);
        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
        for (var i = 2; i < 100; i++)
        {
            Assert.False(turnedAway.ComesAgain(Id(i), MiB));
        }

        Assert.True(turnedAway.ComesAgain(Id(1), MiB));
        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
    }

    [Fact]
    public void ComesAgain_AfterMoreThanHalfTheTier_BeginsAnew()
    {
        var turnedAway = new TurnedAway(() => 200L * MiB, MiB);
        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
        for (var i = 2; i < 110; i++)
        {
            Assert.False(turnedAway.ComesAgain(Id(i), MiB));
        }

        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
        Assert.True(turnedAway.ComesAgain(Id(1), MiB));
    }

    /// <summary>Bytes are what a tier's length is in: large blocks pass by in fewer.</summary>
    [Fact]
    public void ComesAgain_CountsBytesNotBlocks()
    {
        var turnedAway = new TurnedAway(() => 200L * MiB, MiB);
        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
        Assert.False(turnedAway.ComesAgain(Id(2), MiB));
        Assert.False(turnedAway.ComesAgain(Id(3), 64 * MiB));
        Assert.True(turnedAway.ComesAgain(Id(2), MiB));
        Assert.False(turnedAway.ComesAgain(Id(4), 64 * MiB));
        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
    }

    /// <summary>Numbers of one object and hashes alike fall where there is room, and blocks of another name are not taken for them.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ComesAgain_AsManyAsHalfTheTierHolds_MostAreRemembered(bool ofOneObject)
    {
        const int Blocks = 100_000;
        var turnedAway = new TurnedAway(() => 2L * Blocks * MiB, MiB);
        BlockId IdOf(int i) => ofOneObject ? new BlockId(new ContentId(7, 7), i) : TestBlocks.Id(i);
        var mistaken = Enumerable.Range(0, Blocks - 1).Count(i => turnedAway.ComesAgain(IdOf(i), MiB));
        Assert.InRange(mistaken, 0, 5);

        // From the newest on: each look makes the others older.
        var remembered = Enumerable.Range(0, Blocks - 1).Reverse().Take(Blocks / 2).Count(i => turnedAway.ComesAgain(IdOf(i), MiB));
        Assert.InRange(remembered, Blocks / 2 * 9 / 10, Blocks / 2);
    }

    [Fact]
    public void ComesAgain_WithoutATier_Never()
    {
        var turnedAway = new TurnedAway(() => 0, MiB);
        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
        Assert.False(turnedAway.ComesAgain(Id(1), MiB));
    }

    /// <summary>A full ring took only what came again while memory still knew of it: with a disk a hundred times as large as memory, next to nothing.</summary>
    [Fact]
    public async Task Publish_SecondHit_ComesAgainLongAfterMemoryForgotIt_GoesToNvme()
    {
        const int Bytes = 80 << 10;
        using var directory = new TestDirectory();
        await using var tiers = TierStack.Open(
            Options(directory.Path) with { MemoryCapacityBytes = 8 << 20, NvmeCapacityBytes = 256 << 20, MaxBlockBytes = 128 << 10 }, TimeProvider.System, NullLoggerFactory.Instance);
        await UntilAsync(() => tiers.Snapshot().Nvme[0].State == NvmeState.Healthy, tiers);
        for (var filler = 10_000; tiers.Nvme!.HasRoom(TestBlocks.Id(1)); filler++)
        {
            tiers.Publish(TestBlocks.Id(filler), TestBlocks.Rent(tiers.Pool, filler, 128 << 10), Admission.Always);
            if (filler % 8 == 0)
            {
                await FlushedAsync(tiers); // the write queue holds a quarter of 8 MiB
            }
        }

        await FlushedAsync(tiers);

        var written = tiers.Snapshot().Nvme[0].BlocksWritten;

        // Memory remembers 1024 of them.
        for (var number = 1; number <= 1500; number++)
        {
            tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, Bytes), Admission.SecondHit);
        }

        await FlushedAsync(tiers);
        Assert.Equal(written, tiers.Snapshot().Nvme[0].BlocksWritten);
        tiers.Publish(TestBlocks.Id(1), TestBlocks.Rent(tiers.Pool, 1, Bytes), Admission.SecondHit);
        await FlushedAsync(tiers);
        Assert.True(tiers.Nvme.Contains(TestBlocks.Id(1)));
        Assert.Equal(written + 1, tiers.Snapshot().Nvme[0].BlocksWritten);
    }

    private static BlockId Id(int number) => TestBlocks.Id(number);
}
