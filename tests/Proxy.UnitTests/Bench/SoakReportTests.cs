using Proxy.Bench.Report;
using Proxy.Bench.Soak;

namespace Proxy.UnitTests.Bench;

/// <summary>What a soak takes for growth, and what for a tier that fills.</summary>
public sealed class SoakReportTests
{
    private const int Own = 200;

    [Fact]
    public void Memory_GrowsAsTheTierFills_IsNoGrowth() => Assert.True(IsGood(Samples(minute => Own + Held(minute), Held)));

    [Fact]
    public void Memory_StaysWhileTheTierGivesUpBlocks_IsNoGrowth()
        => Assert.True(IsGood(Samples(minute => Own + Held(minute), minute => minute % 2 == 0 ? Held(minute) : Held(minute) / 2)));

    [Theory]
    [InlineData(1, true)]
    [InlineData(5, false)]
    public void Memory_GrowsBeyondTheTier_IsGrowth(int leakedAMinute, bool isGood)
        => Assert.Equal(isGood, IsGood(Samples(minute => Own + Held(minute) + (leakedAMinute * minute), Held)));

    [Theory]
    [InlineData(256)]
    [InlineData(0)]
    public void Memory_GrowsBesideAFullOrUnknownTier_IsGrowth(int held) => Assert.False(IsGood(Samples(minute => Own + (5 * minute), _ => held)));

    /// <summary>Full after twelve minutes of sixteen.</summary>
    private static int Held(int minute) => Math.Min(256, 22 * minute);

    private static bool IsGood(IReadOnlyList<SoakSample> samples) => new SoakReport(samples, new RunReport(), "soak", [], wasInterrupted: false).IsGood;

    private static List<SoakSample> Samples(Func<int, int> residentMiB, Func<int, int> cachedMiB)
        => [.. Enumerable.Range(1, 16).Select(minute => new SoakSample(
            minute, 6000, 0.5, 10, 0.8, 700, (long)residentMiB(minute) << 20, (long)cachedMiB(minute) << 20, Handles: 380, Threads: 45, ForeignCores: 0))];
}
