using Proxy.Cache.Tiers;
using Proxy.Server.WebConsole;

namespace Proxy.UnitTests.WebConsole;

/// <summary>The Cache page's write budget: its arithmetic. That the page shows it is seen in a browser.</summary>
public sealed class WriteBudgetTests
{
    private const long MiB = 1 << 20;
    private const long GiB = 1 << 30;

    [Fact]
    public void Budget_OfAMinutesWrites_IsWhatADayWouldWrite()
    {
        // 100 MiB in 50 s: 2 MiB/s, 86,400 s a day.
        var budget = WriteBudget.Of(Nvme("/a", 350 * MiB), Tiers(Nvme("/b", 7), Nvme("/a", 250 * MiB)), 50);
        Assert.True(budget.IsKnown);
        Assert.Equal(100 * MiB, budget.WrittenBytes);
        Assert.Equal(2.0 * MiB * 86_400, budget.BytesADay, 1.0);
        Assert.Equal(168.75, budget.BytesADay / GiB, 0.001);
        Assert.Equal(168.75 / 16, budget.RewritesADay, 0.001);
    }

    [Fact]
    public void Budget_OfADirectoryThatWasNotThereBefore_CountsAllItWrote()
        => Assert.Equal(350 * MiB, WriteBudget.Of(Nvme("/a", 350 * MiB), Tiers(Nvme("/b", 7)), 50).WrittenBytes);

    [Theory]
    [InlineData(0.001, false)]
    [InlineData(9.9, false)]
    [InlineData(10, true)]
    public void Budget_OfTheFirstSeconds_IsNotTold(double seconds, bool isKnown)
        => Assert.Equal(isKnown, WriteBudget.Of(Nvme("/a", 350 * MiB), Tiers(), seconds).IsKnown);

    [Fact]
    public void Budget_WithoutWritesOrSize_IsNothing()
    {
        Assert.Equal((0, 0), (Idle(16 * GiB).BytesADay, Idle(16 * GiB).RewritesADay));
        Assert.Equal(0, new WriteBudget(MiB, 60, CapacityBytes: 0).RewritesADay);

        static WriteBudget Idle(long capacity) => new(0, 600, capacity);
    }

    [Theory]
    [InlineData(10.4, "10 s")]
    [InlineData(119, "119 s")]
    [InlineData(150, "2.5 min")]
    [InlineData(600, "10 min")]
    public void Seconds_OfAWhile_AreReadable(double seconds, string expected) => Assert.Equal(expected, Figures.Seconds(seconds));

    private static NvmeSnapshot Nvme(string directory, long written) => new() { Directory = directory, State = NvmeState.Healthy, CapacityBytes = 16 * GiB, WrittenBytes = written };

    private static TierSnapshot Tiers(params NvmeSnapshot[] nvme) => new()
    {
        Memory = new MemorySnapshot { CapacityBytes = 0, UsedBytes = 0, CachedBytes = 0, Blocks = 0, Hits = 0, Misses = 0, Evictions = 0, Refusals = 0 },
        Nvme = nvme,
    };
}
