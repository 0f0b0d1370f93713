using Proxy.Cache;

namespace Proxy.UnitTests.Cache;

public sealed class SchedulerSliceTests
{
    private static readonly Version FirstKernel = new(6, 12);

    [Fact]
    public void TrySet_IsOfThisThreadAlone()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.OSVersion.Version >= FirstKernel, $"slices are Linux's from {FirstKernel} on; this is {Environment.OSVersion}");
        var slice = TimeSpan.FromMicroseconds(300);
        var (taken, before, after) = (false, TimeSpan.Zero, TimeSpan.Zero);
        var thread = new Thread(() =>
        {
            before = SchedulerSlice.Current;
            taken = SchedulerSlice.TrySet(slice);
            after = SchedulerSlice.Current;
        });
        var here = SchedulerSlice.Current;
        thread.Start();
        thread.Join();
        Assert.True(taken);
        Assert.Equal(here, before);
        Assert.NotEqual(slice, before);
        Assert.Equal(slice, after);
        Assert.Equal(here, SchedulerSlice.Current);
    }
}
