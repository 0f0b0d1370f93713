using Proxy.Backends.Remote;

namespace Proxy.UnitTests.Remote;

public sealed class HedgeBudgetTests
{
    [Fact]
    public void Delay_FewSamples_IsNone()
    {
        var budget = new HedgeBudget(5);
        Answer(budget, 199, 20);
        Assert.Null(budget.Delay());
    }

    [Fact]
    public void Delay_IsThe99thPercentile()
    {
        var budget = new HedgeBudget(5);
        Answer(budget, 990, 20);
        Answer(budget, 10, 500);
        Assert.InRange(budget.Delay()!.Value.TotalMilliseconds, 20, 25);
        Answer(budget, 20, 500);
        Assert.InRange(budget.Delay()!.Value.TotalMilliseconds, 500, 600);
    }

    [Fact]
    public void Delay_BackendBecomesFaster_FollowsWithinSomeReads()
    {
        var budget = new HedgeBudget(5);
        Answer(budget, 4000, 800);
        Answer(budget, 40_000, 10);
        Assert.InRange(budget.Delay()!.Value.TotalMilliseconds, 10, 13);
    }

    [Fact]
    public void TryTake_NeverMoreThanTheShare()
    {
        var budget = new HedgeBudget(5);
        var taken = 0;
        for (var i = 0; i < 10_000; i++)
        {
            Answer(budget, 1, 20);
            taken += budget.TryTake() ? 1 : 0;
        }

        Assert.InRange(taken, 480, 500);
    }

    [Fact]
    public void TryTake_AfterALongCalm_IsABoundedBurst()
    {
        var budget = new HedgeBudget(5);
        Answer(budget, 100_000, 20);
        var taken = 0;
        while (budget.TryTake())
        {
            taken++;
        }

        Assert.Equal(10, taken);
    }

    [Fact]
    public void ZeroPercent_IsOff()
    {
        var budget = new HedgeBudget(0);
        Answer(budget, 10_000, 20);
        Assert.Null(budget.Delay());
        Assert.False(budget.TryTake());
    }

    private static void Answer(HedgeBudget budget, int times, double milliseconds)
    {
        for (var i = 0; i < times; i++)
        {
            budget.Answered(TimeSpan.FromMilliseconds(milliseconds));
        }
    }
}
