using Prometheus;
using Proxy.Server.Telemetry;

namespace Proxy.UnitTests.Telemetry;

public sealed class CountedLatencyTests
{
    private static readonly double[] Bounds = [0.001, 0.01, 0.1];

    [Fact]
    public async Task Show_CountsOfAnotherSource_KeepsBucketsAndSum()
    {
        var registry = Metrics.NewCustomRegistry();
        var histogram = Metrics.WithCustomRegistry(registry).CreateHistogram("latency_seconds", "For this test.", new HistogramConfiguration { Buckets = Bounds });
        var latency = new CountedLatency(histogram.WithLabels(), Bounds);
        var random = new Random(7);
        var counts = new long[4];
        double sum = 0;
        for (var scrape = 0; scrape < 20; scrape++)
        {
            for (var i = random.Next(50); i > 0; i--)
            {
                var seconds = Math.Pow(10, (random.NextDouble() * 4) - 4);
                counts[Array.FindIndex(Bounds, bound => seconds <= bound) is >= 0 and var at ? at : 3]++;
                sum += seconds;
            }

            latency.Show(counts, sum);
        }

        Assert.Equal(counts.Sum(), histogram.Count);
        Assert.Equal(sum, histogram.Sum, 0.02 * sum);
        var page = await RequestMetricsTests.PageAsync(registry);
        Assert.Contains($"latency_seconds_bucket{{le=\"0.001\"}} {counts[0]}\n", page, StringComparison.Ordinal);
        Assert.Contains($"latency_seconds_bucket{{le=\"0.01\"}} {counts[0] + counts[1]}\n", page, StringComparison.Ordinal);
        Assert.Contains($"latency_seconds_bucket{{le=\"0.1\"}} {counts[0] + counts[1] + counts[2]}\n", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Show_NothingNew_ObservesNothing()
    {
        var histogram = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry()).CreateHistogram("latency_seconds", "For this test.", new HistogramConfiguration { Buckets = Bounds });
        var latency = new CountedLatency(histogram.WithLabels(), Bounds);
        latency.Show([1, 0, 0, 0], 0.0005);
        latency.Show([1, 0, 0, 0], 0.0005);
        Assert.Equal(1, histogram.Count);
        Assert.Equal(0.0005, histogram.Sum, 1e-9);
    }
}
