using Proxy.Bench.Load;
using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

/// <summary>Which objects a load asks for.</summary>
public sealed class LoadPlanTests
{
    [Fact]
    public void Draw_InOrder_IsEachObjectOnce()
    {
        var plan = new LoadPlan([.. Enumerable.Range(0, 5).Select(Object)], [LoadOperation.Head], 0) { IsInOrder = true };
        var random = new Random(1);
        Assert.Equal([0, 1, 2, 3], Enumerable.Range(0, 4).Select(_ => plan.Draw(random).Item));
        Assert.False(plan.IsDone);
        Assert.Equal(4, plan.Draw(random).Item);
        Assert.True(plan.IsDone);
        Assert.Equal(4, plan.Draw(random).Item);
    }

    [Fact]
    public void Draw_AtRandom_IsNeverDone()
    {
        var plan = new LoadPlan([Object(0)], [LoadOperation.Head], 0);
        Assert.Equal(0, plan.Draw(new Random(1)).Item);
        Assert.False(plan.IsDone);
    }

    private static DatasetObject Object(int number) => new($"files/{number}", 10, ObjectKind.IndexSlice, new Content(1, $"files/{number}"));
}
