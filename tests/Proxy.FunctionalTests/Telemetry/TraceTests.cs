using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>Spans of a request, its fill and the backend's answer arrive at a collector, in one trace; without a collector no trace header is added.</summary>
public sealed class TraceTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";

    [Fact]
    public async Task Traces_OfAColdRead_ArriveByOtlp()
    {
        await using var backend = await FaultyBackend.StartAsync(buckets: "data");
        backend.Store.TryPut("data", "files/index_files/1/2/3/4/HNSW", FaultyObject.Of(new byte[10_000]));
        var port = Loopback.FreePorts();
        using var collector = new HttpListener();
        collector.Prefixes.Add($"http://127.0.0.1:{port}/");
        collector.Start();
        var bodies = new ConcurrentQueue<(string Path, string? Type, string Body)>();
        var receiving = ReceiveAsync(collector, bodies);
        await using (var proxy = await ProxyProcess.StartAsync(["--set", $"Telemetry:OtlpEndpoint=http://127.0.0.1:{port}"], new Uri(backend.Url)))
        {
            using var client = new SignedClient(proxy.Endpoint);
            var answer = await client.SendAsync(HttpMethod.Get, "/data/files/index_files/1/2/3/4/HNSW", header: ("traceparent", $"00-{TraceId}-b7ad6b7169203331-01"));
            Assert.Equal("MISS", answer.XCache);

            // A clean stop sends what is left.
            Assert.Equal(0, await proxy.StopAsync());
        }

        collector.Stop();
        await receiving;
        Assert.NotEmpty(bodies);
        Assert.All(bodies, body => Assert.Equal(("/v1/traces", "application/x-protobuf"), (body.Path, body.Type)));
        AssertSpans(string.Concat(bodies.Select(body => body.Body)));
        Assert.Contains(backend.Requests, request => request.Headers.Any(header => header.Key.Equals("traceparent", StringComparison.OrdinalIgnoreCase) && header.Value.Contains(TraceId, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Traces_OverGrpc_ArriveInTheSameForm()
    {
        await using var backend = await FaultyBackend.StartAsync(buckets: "data");
        backend.Store.TryPut("data", "files/index_files/1/2/3/4/HNSW", FaultyObject.Of(new byte[10_000]));
        await using var collector = await GrpcCollector.StartAsync();
        await using (var proxy = await ProxyProcess.StartAsync(["--set", $"Telemetry:OtlpEndpoint={collector.Url}", "--set", "Telemetry:OtlpProtocol=Grpc"], new Uri(backend.Url)))
        {
            using var client = new SignedClient(proxy.Endpoint);
            var answer = await client.SendAsync(HttpMethod.Get, "/data/files/index_files/1/2/3/4/HNSW", header: ("traceparent", $"00-{TraceId}-b7ad6b7169203331-01"));
            Assert.Equal("MISS", answer.XCache);
            Assert.Equal(0, await proxy.StopAsync());
        }

        Assert.NotEmpty(collector.Calls);
        Assert.All(collector.Calls, call => Assert.Equal(
            ("HTTP/2", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "application/grpc"), (call.Protocol, call.Path, call.ContentType)));
        AssertSpans(string.Concat(collector.Calls.Select(call => call.Message)));
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

    private static void AssertSpans(string messages)
    {
        foreach (var expected in (string[])["GetObject", "fill", "backend GetObject", "s3-tier-proxy", "HNSW", "MISS", "S3TierProxy.Server", "S3TierProxy.Cache", "S3TierProxy.Backend"])
        {
            Assert.Contains(expected, messages, StringComparison.Ordinal);
        }

        // Each of the three spans has the client's trace id, which is 16 raw bytes in protobuf.
        var id = Encoding.Latin1.GetString(Convert.FromHexString(TraceId));
        Assert.Equal(3, messages.Split(id).Length - 1);
    }

    private static async Task ReceiveAsync(HttpListener collector, ConcurrentQueue<(string Path, string? Type, string Body)> bodies)
    {
        try
        {
            while (true)
            {
                var context = await collector.GetContextAsync();
                using var body = new MemoryStream();
                await context.Request.InputStream.CopyToAsync(body);
                bodies.Enqueue((context.Request.Url!.AbsolutePath, context.Request.ContentType, Encoding.Latin1.GetString(body.ToArray())));
                context.Response.ContentType = "application/x-protobuf";
                context.Response.Close();
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // Stopped.
        }
    }
}
