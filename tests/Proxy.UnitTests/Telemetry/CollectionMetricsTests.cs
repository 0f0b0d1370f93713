using System.Globalization;
using Prometheus;
using Proxy.Cache;
using Proxy.Server.Telemetry;

namespace Proxy.UnitTests.Telemetry;

public sealed class CollectionMetricsTests
{
    [Fact]
    public async Task Show_ManyCollections_NamesTheLargestAndSumsTheRest()
    {
        var registry = Metrics.NewCustomRegistry();
        var metrics = new CollectionMetrics(Metrics.WithCustomRegistry(registry), named: 3);
        metrics.Show([.. Enumerable.Range(1, 1000).Select(id => new CollectionBytes(id, Cached: id, Backend: 0)), new CollectionBytes(0, 5, 7)]);
        var series = await SeriesAsync(registry);
        Assert.Equal(["1000", "998", "999", "other"], series.Keys.Select(key => key.Collection).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal((997 * 998 / 2) + 5, series[("other", "cache")]);
        Assert.Equal(7, series[("other", "backend")]);
    }

    [Fact]
    public async Task Show_AnotherCollectionGrowsLargest_OtherNeverFallsAndNothingIsCountedTwice()
    {
        var registry = Metrics.NewCustomRegistry();
        var metrics = new CollectionMetrics(Metrics.WithCustomRegistry(registry), named: 1);
        metrics.Show([new CollectionBytes(1, 100, 0), new CollectionBytes(2, 50, 0)]);
        Assert.Equal(50, (await SeriesAsync(registry))[("other", "cache")]);
        metrics.Show([new CollectionBytes(1, 110, 0), new CollectionBytes(2, 500, 0)]);
        var series = await SeriesAsync(registry);
        Assert.DoesNotContain(("1", "cache"), series.Keys);
        Assert.Equal(450, series[("2", "cache")]);
        Assert.Equal(60, series[("other", "cache")]);
    }

    private static async Task<Dictionary<(string Collection, string Source), double>> SeriesAsync(CollectorRegistry registry) =>
        (await RequestMetricsTests.PageAsync(registry)).Split('\n').Where(line => line.StartsWith("s3_proxy_collection", StringComparison.Ordinal)).ToDictionary(
            line => (line.Split('"')[1], line.Split('"')[3]), line => double.Parse(line.Split(' ')[^1], CultureInfo.InvariantCulture));
}
