using Proxy.Server.WebConsole;

namespace Proxy.UnitTests.WebConsole;

public sealed class BreakerWordsTests
{
    [Theory]
    [InlineData(0, 1, "closed", "good")]
    [InlineData(1, 1, "open: left alone", "bad")]
    [InlineData(0, 3, "closed", "good")]
    [InlineData(2, 3, "open for 2 of 3 endpoints", "soon")]
    [InlineData(3, 3, "open: left alone", "bad")]
    public void Breakers_OpenForSome_SayForHowMany(int open, int endpoints, string words, string dot)
    {
        Assert.StartsWith(words, BreakerWords.Of(open, endpoints), StringComparison.Ordinal);
        Assert.Equal(dot, BreakerWords.DotOf(open, endpoints));
    }
}
