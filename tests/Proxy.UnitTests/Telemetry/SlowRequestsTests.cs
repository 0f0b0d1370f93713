using Microsoft.Extensions.Time.Testing;
using Prometheus;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.Server.Telemetry;

namespace Proxy.UnitTests.Telemetry;

public sealed class SlowRequestsTests
{
    [Fact]
    public async Task Look_ManySlowRequests_SaysOneASecondAndCountsAll()
    {
        var registry = Metrics.NewCustomRegistry();
        var time = new FakeTimeProvider();
        var lines = new SaidLines<SlowRequests>();
        var slow = new SlowRequests(TimeSpan.FromMilliseconds(100), registry, time, lines);
        var record = RequestMetricsTests.Record(CacheOutcome.Miss, MilvusKind.Other, 1) with { Duration = TimeSpan.FromMilliseconds(100) };
        for (var i = 0; i < 50; i++)
        {
            slow.Look(record);
        }

        slow.Look(record with { Duration = TimeSpan.FromMilliseconds(99) });
        Assert.Single(lines.Said);
        time.Advance(TimeSpan.FromSeconds(1));
        slow.Look(record);
        Assert.Equal(2, lines.Said.Count);
        Assert.Contains("X-Cache MISS", lines.Said[1], StringComparison.Ordinal);
        Assert.Contains("49 other slow requests", lines.Said[1], StringComparison.Ordinal);
        Assert.Contains("s3_proxy_slow_requests_total 51\n", await RequestMetricsTests.PageAsync(registry), StringComparison.Ordinal);
    }
}
