using Proxy.Server.Admin;
using Proxy.Server.WebConsole;

namespace Proxy.UnitTests.WebConsole;

public sealed class ChartFrameTests
{
    [Theory]
    [InlineData(0, 60, 1)]
    [InlineData(61, 60, 1)]
    [InlineData(90, 120, 2)]
    [InlineData(200, 300, 5)]
    [InlineData(599, 600, 10)]
    [InlineData(100_000, 600, 10)]
    public void Frame_OfWhatThereIs_HasSixtyPoints(double readings, int seconds, int step)
    {
        var frame = ChartFrame.For(readings);
        Assert.Equal((seconds, step), (frame.Seconds, frame.Step));
        Assert.Equal(0, frame.Seconds % frame.Tick);
    }

    [Theory]
    [InlineData(-600, "−10 min")]
    [InlineData(-90, "−90 s")]
    [InlineData(-60, "−1 min")]
    [InlineData(-15, "−15 s")]
    [InlineData(0, "now")]
    public void AxisAgo_OfATick_IsSaidInRoundUnits(double ago, string label) => Assert.Equal(label, Figures.AxisAgo(ago));

    [Theory]
    [InlineData(75, "last minute")]
    [InlineData(120, "last 2 minutes")]
    [InlineData(600, "last 10 minutes")]
    public void Span_OfACharts_IsSaidInWords(int seconds, string words) => Assert.Equal(words, Figures.Span(seconds));

    /// <summary>The chart fell to minus a million requests a second when a reload took a backend away.</summary>
    [Fact]
    public void Backends_ThatComeAndGo_AreNoRequests()
    {
        static BackendView Of(string name, long requests) => new(name, name, true, 0, 0, 0, 0, [new("GetObject", 200, requests, 1)], default);
        Assert.Equal(5, History.GrownBetween([Of("stays", 10), Of("gone", 1_000_000)], [Of("stays", 15)], static backend => backend.Requests));
        Assert.Equal(5, History.GrownBetween([Of("stays", 15)], [Of("stays", 20), Of("back", 1_000_000)], static backend => backend.Requests));
    }
}
