using System.Diagnostics;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

public sealed class ReadLatencyTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.00005, 0)]
    [InlineData(0.00007, 1)]
    [InlineData(0.003, 6)]
    [InlineData(0.3, 12)]
    [InlineData(60, 14)]
    public void Record_ATime_CountsInTheBucketThatEndsAtOrAfterIt(double seconds, int bucket)
    {
        var latency = new ReadLatency();
        latency.Record((long)(seconds * Stopwatch.Frequency));
        var expected = new long[NvmeSnapshot.ReadLatencyBounds.Count + 1];
        expected[bucket] = 1;
        Assert.Equal(expected, latency.Counts());
        Assert.Equal(seconds, latency.Seconds, 1e-6);
    }

    [Fact]
    public void Record_FromManyThreads_LosesNoneAndAllocatesNothing()
    {
        var latency = new ReadLatency();
        var allocated = new long[4];
        Parallel.For(0, allocated.Length, worker =>
        {
            var i = 0;
            allocated[worker] = Allocations.Least(2_000, () => latency.Record(i++ * 50));
        });
        Assert.Equal(4 * 10_001, latency.Counts().Sum());
        Assert.All(allocated, bytes => Assert.Equal(0, bytes));
    }
}
