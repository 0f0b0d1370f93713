using Proxy.Bench.Report;

namespace Proxy.UnitTests.Bench;

/// <summary>What the plots of a report draw, and what they do not.</summary>
public sealed class PlotsTests
{
    [Fact]
    public void Latencies_OfAHandful_AreNoPlot()
    {
        Assert.Null(Plots.Latencies("one request", [new LatencyCurve("a", 1, _ => 5)]));
        Assert.NotNull(Plots.Latencies("enough", [new LatencyCurve("a", Plots.LeastCount, percentile => 1 + percentile)]));
    }

    [Theory]
    [InlineData(0.09, 240, 0.01, 1000, "0.01 0.1 1 10 100 1,000")]
    [InlineData(1.2, 30, 1, 50, "1 2 5 10 20 50")]
    [InlineData(3, 3, 3, 3, "3")]
    [InlineData(2.2, 4.4, 2, 5, "2 3 4 5")]
    public void LogTicks_AreMilliseconds(double lowest, double highest, double from, double to, string labels)
    {
        var ticks = LogTicks.Between(ref lowest, ref highest);
        Assert.Equal((from, to), (Math.Round(lowest, 6), Math.Round(highest, 6)));
        Assert.Equal(labels, string.Join(' ', ticks.Where(tick => tick.IsMajor).Select(tick => tick.Label)));
        Assert.All(ticks, tick => Assert.InRange(tick.Position, Math.Log10(from) - 0.001, Math.Log10(to) + 0.001));
    }

    [Fact]
    public void Bars_AGroupWithoutOne_AreDrawn()
        => Assert.NotEmpty(Plots.Bars("throughput", "connections", "MiB/s", ["1", "8"], [new BarSeries("a", [1, 2]), new BarSeries("b", [double.NaN, 3])]));
}
