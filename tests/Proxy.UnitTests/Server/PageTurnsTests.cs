using Proxy.Server.WebConsole;

namespace Proxy.UnitTests.Server;

public sealed class PageTurnsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(40)]
    public void IsDue_HoweverManyPages_TheyAreDrawnAsOftenAsOneWouldBe(int pages)
    {
        var turns = new PageTurns();
        var seconds = new int[pages];
        for (var i = 0; i < pages; i++)
        {
            turns.Enter();
        }

        var drawn = 0;
        for (var second = 0; second < 400; second++)
        {
            for (var page = 0; page < pages; page++)
            {
                drawn += turns.IsDue(ref seconds[page], every: 2) ? 1 : 0;
            }
        }

        Assert.Equal(200, drawn);
    }

    [Fact]
    public void IsDue_AfterTheOthersLeft_IsItsOwnPaceAgain()
    {
        var turns = new PageTurns();
        var seconds = 0;
        for (var i = 0; i < 3; i++)
        {
            turns.Enter();
        }

        Assert.Equal(1, Enumerable.Range(0, 6).Count(_ => turns.IsDue(ref seconds, every: 2)));
        turns.Leave();
        turns.Leave();
        Assert.Equal(3, Enumerable.Range(0, 6).Count(_ => turns.IsDue(ref seconds, every: 2)));
    }
}
