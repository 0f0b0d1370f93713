using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>Spans of a request, its fill and the backend's answer arrive at a collector, in one trace; without a collector no trace header is added.</summary>
public sealed class TraceTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string KnownTraceId = "1bf7651916cd43dd8448eb211c80319d";
    private const string ClientSpan = "b7ad6b7169203331";

    [Fact]
    public async Task Traces_OfAColdRead_ArriveByOtlp()
    {
        await using var backend = await FaultyBackend.StartAsync(buckets: "data");
        backend.Store.TryPut("data", "files/index_files/1/2/3/4/HNSW", FaultyObject.Of(new byte[10_000]));
        backend.Store.TryPut("data", "known", FaultyObject.Of(new byte[10_000]));
        await using var collector = await OtlpCollector.StartAsync();
        await using (var proxy = await ProxyProcess.StartAsync(["--set", $"Telemetry:OtlpEndpoint={collector.Url}"], new Uri(backend.Url)))
        {
            using var client = new SignedClient(proxy.Endpoint);
            var answer = await client.SendAsync(HttpMethod.Get, "/data/files/index_files/1/2/3/4/HNSW", header: ("traceparent", $"00-{TraceId}-{ClientSpan}-01"));
            Assert.Equal("MISS", answer.XCache);
            await client.SendAsync(HttpMethod.Head, "/data/known");
            answer = await client.SendAsync(HttpMethod.Get, "/data/known", header: ("traceparent", $"00-{KnownTraceId}-{ClientSpan}-01"));
            Assert.Equal("MISS", answer.XCache);

            // A clean stop sends what is left.
            Assert.Equal(0, await proxy.StopAsync());
        }

        Assert.NotEmpty(collector.Calls);
        Assert.All(collector.Calls, call => Assert.Equal(("HTTP/1.1", "/v1/traces", "application/x-protobuf"), (call.Protocol, call.Path, call.ContentType)));
        var spans = AssertSpans([.. collector.Calls.Select(call => call.Message)]);

        // Of a key that is known the fill asks the backend, which is told the span it was asked in.
        var known = spans.Where(span => span.Trace == KnownTraceId).ToList();
        var parent = ClientSpan;
        foreach (var name in (string[])["GetObject", "fill", "backend GetObject"])
        {
            var span = Assert.Single(known, span => span.Name == name);
            Assert.Equal(parent, span.Parent);
            parent = span.Id;
        }

        Assert.Equal(3, known.Count);
        Assert.Contains(backend.Requests, request => request.Headers.Any(header => header.Key.Equals("traceparent", StringComparison.OrdinalIgnoreCase) && header.Value == $"00-{KnownTraceId}-{parent}-01"));
    }

    [Fact]
    public async Task Traces_OverGrpc_ArriveInTheSameForm()
    {
        await using var backend = await FaultyBackend.StartAsync(buckets: "data");
        backend.Store.TryPut("data", "files/index_files/1/2/3/4/HNSW", FaultyObject.Of(new byte[10_000]));
        await using var collector = await OtlpCollector.StartAsync(isGrpc: true);
        await using (var proxy = await ProxyProcess.StartAsync(["--set", $"Telemetry:OtlpEndpoint={collector.Url}", "--set", "Telemetry:OtlpProtocol=Grpc"], new Uri(backend.Url)))
        {
            using var client = new SignedClient(proxy.Endpoint);
            var answer = await client.SendAsync(HttpMethod.Get, "/data/files/index_files/1/2/3/4/HNSW", header: ("traceparent", $"00-{TraceId}-{ClientSpan}-01"));
            Assert.Equal("MISS", answer.XCache);
            Assert.Equal(0, await proxy.StopAsync());
        }

        Assert.NotEmpty(collector.Calls);
        Assert.All(collector.Calls, call => Assert.Equal(
            ("HTTP/2", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "application/grpc"), (call.Protocol, call.Path, call.ContentType)));
        AssertSpans([.. collector.Calls.Select(call => call.Message)]);
    }

    [Fact]
    public async Task Traces_Off_AddNothingToABackendRequest()
    {
        await using var backend = await FaultyBackend.StartAsync(buckets: "data");
        backend.Store.TryPut("data", "files/index_files/1/2/3/4/HNSW", FaultyObject.Of(new byte[10_000]));
        await using var proxy = await ProxyProcess.StartAsync(backend: new Uri(backend.Url));
        using var client = new SignedClient(proxy.Endpoint);
        Assert.Equal("MISS", (await client.GetAsync("/data/files/index_files/1/2/3/4/HNSW")).XCache);
        Assert.NotEmpty(backend.Requests);
        Assert.DoesNotContain(backend.Requests, request => request.Headers.Any(header => header.Key.Equals("traceparent", StringComparison.OrdinalIgnoreCase)));
    }

    /// <summary>The cold read: what it was of, and that the fill took over the answer which told the proxy of the key, so that both are the request's.</summary>
    private static List<OtlpSpan> AssertSpans(IReadOnlyList<string> messages)
    {
        foreach (var expected in (string[])["s3-tier-proxy", "HNSW", "MISS", "S3TierProxy.Server", "S3TierProxy.Cache", "S3TierProxy.Backend"])
        {
            Assert.Contains(expected, string.Concat(messages), StringComparison.Ordinal);
        }

        var spans = messages.SelectMany(message => OtlpSpan.Read(Encoding.Latin1.GetBytes(message))).ToList();
        var cold = spans.Where(span => span.Trace == TraceId).ToList();
        var request = Assert.Single(cold, span => span.Name == "GetObject");
        Assert.Equal(ClientSpan, request.Parent);
        Assert.Equal(request.Id, Assert.Single(cold, span => span.Name == "fill").Parent);
        Assert.Equal(request.Id, Assert.Single(cold, span => span.Name == "backend GetObject").Parent);
        Assert.Equal(3, cold.Count);
        return spans;
    }
}
