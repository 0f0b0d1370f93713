using System.Text;
using Prometheus;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Requests;
using Proxy.Server.Telemetry;

namespace Proxy.UnitTests.Telemetry;

public sealed class RequestMetricsTests
{
    [Fact]
    public void Finished_MemoryHit_AllocatesNothing()
    {
        var registry = Metrics.NewCustomRegistry();
        var telemetry = new RequestTelemetry(new RequestMetrics(registry), Slow(registry), accessLog: null);
        var hit = Record(CacheOutcome.HitMemory, MilvusKind.Index, 1000);
        Count(telemetry, hit, 100);
        Assert.Equal(0, Allocations.Least(2_000, () => Count(telemetry, hit, 1)));
    }

    [Fact]
    public async Task Finished_Reads_AreTheSumOfTheirKinds()
    {
        var registry = Metrics.NewCustomRegistry();
        var metrics = new RequestMetrics(registry);
        var telemetry = new RequestTelemetry(metrics, Slow(registry), accessLog: null);
        Count(telemetry, Record(CacheOutcome.HitMemory, MilvusKind.Index, 10), 3);
        Count(telemetry, Record(CacheOutcome.HitMemory, MilvusKind.InsertLog, 10), 4);
        Count(telemetry, Record(CacheOutcome.Revalidated, MilvusKind.Other, 0) with { Operation = S3Operation.HeadObject }, 5);
        Count(telemetry, Record(CacheOutcome.Bypass, MilvusKind.Wal, 100), 6);
        Count(telemetry, Record(null, MilvusKind.Other, 1) with { Status = 404 }, 7);
        var page = await PageAsync(registry);
        Assert.Contains("s3_proxy_object_reads_total{cache=\"hit_memory\"} 7\n", page, StringComparison.Ordinal);
        Assert.Contains("s3_proxy_milvus_reads_total{kind=\"index\",cache=\"hit_memory\"} 3\n", page, StringComparison.Ordinal);
        Assert.Contains("s3_proxy_milvus_reads_total{kind=\"insert_log\",cache=\"hit_memory\"} 4\n", page, StringComparison.Ordinal);
        Assert.Contains("s3_proxy_requests_total{operation=\"get_object\",status=\"4xx\"} 7\n", page, StringComparison.Ordinal);
        Assert.Contains("s3_proxy_sent_bytes_total 677\n", page, StringComparison.Ordinal);

        // A HEAD that was revalidated was a HEAD of the backend: nothing saved.
        Assert.Contains("s3_proxy_saved_requests_total{operation=\"get_object\"} 7\n", page, StringComparison.Ordinal);
        Assert.Contains("s3_proxy_saved_requests_total{operation=\"head_object\"} 0\n", page, StringComparison.Ordinal);
        Assert.Equal(600, metrics.Bypassed(MilvusKind.Wal));
        Assert.Contains("s3_proxy_requests_in_flight 0\n", page, StringComparison.Ordinal);
    }

    internal static RequestRecord Record(CacheOutcome? outcome, MilvusKind kind, long bytes) => new()
    {
        Client = null,
        User = null,
        Method = "GET",
        Operation = S3Operation.GetObject,
        Target = default,
        Status = 200,
        ErrorCode = null,
        Outcome = outcome,
        Kind = kind,
        BytesSent = bytes,
        BytesReceived = 0,
        Duration = TimeSpan.FromMilliseconds(2),
        FirstByte = TimeSpan.FromMilliseconds(1),
        Backend = TimeSpan.Zero,
        RequestId = "id",
    };

    internal static async Task<string> PageAsync(CollectorRegistry registry)
    {
        using var page = new MemoryStream();
        await registry.CollectAndExportAsTextAsync(page);
        return Encoding.UTF8.GetString(page.ToArray());
    }

    private static SlowRequests Slow(CollectorRegistry registry) =>
        new(TimeSpan.FromSeconds(1), registry, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<SlowRequests>.Instance);

    private static void Count(RequestTelemetry telemetry, in RequestRecord record, int times)
    {
        for (var i = 0; i < times; i++)
        {
            telemetry.Finish(record, telemetry.Begin(default(NoHeaders)));
        }
    }

    private readonly struct NoHeaders : IRequestHeaders
    {
        public string? this[string name] => null;

        public void VisitNames<TVisitor>(ref TVisitor visitor)
            where TVisitor : struct, IHeaderNameVisitor
        {
        }
    }
}
