using Proxy.Server.Transport;

namespace Proxy.UnitTests.Server.Transport;

/// <summary>Who is left: one that was waited for, not one that waited itself while nobody was there.</summary>
public sealed class LookClockTests
{
    private const long Start = 1_000_000;
    private const long Most = 60_000;

    private readonly LookClock _looks = new();

    [Fact]
    public void Looks_AreASecondApart()
    {
        Assert.True(_looks.IsDue(Start));
        Assert.False(_looks.IsDue(Start + 999));
        Assert.True(_looks.IsDue(Start + 1000));
        Assert.False(_looks.IsDue(Start + 1999));
        Assert.True(_looks.IsDue(Start + 2000));
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(1999)] // woken just before the look is due, and then with nothing to do
    [InlineData(2100)]
    public void Wait_SeenAllTheTime_IsOverWhenItsTimeIs(int apart)
    {
        var now = Start;
        for (; now <= Start + Most; now += apart)
        {
            Assert.True(_looks.IsDue(now));
            Assert.False(_looks.IsOver(Start, Most));
        }

        Assert.True(_looks.IsDue(now));
        Assert.True(_looks.IsOver(Start, Most));
        Assert.False(_looks.IsOver(0, Most));
    }

    /// <summary>SIGSTOP, or a pause of the virtual machine: the first look after it cut every download there was.</summary>
    [Theory]
    [InlineData(61_000)]
    [InlineData(3_600_000)]
    public void Wait_ThroughATimeWithNobodyThere_BeginsAnew(int away)
    {
        LookUntil(Start, Start + 5000);
        var back = Start + 5000 + away;
        Assert.True(_looks.IsDue(back));
        Assert.False(_looks.IsOver(Start, Most));
        Assert.False(_looks.IsOver(Start + 5000, Most));
        LookUntil(back + 1000, back + Most);
        Assert.False(_looks.IsOver(Start, Most));
        Assert.True(_looks.IsDue(back + Most + 1000));
        Assert.True(_looks.IsOver(Start, Most));
    }

    private void LookUntil(long from, long until)
    {
        for (var now = from; now <= until; now += LookClock.EveryMilliseconds)
        {
            Assert.True(_looks.IsDue(now));
        }
    }
}
