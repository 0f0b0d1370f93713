using System.Net;
using System.Net.Sockets;
using Proxy.Backends.Remote;
using Proxy.FunctionalTests.Faults;
using Proxy.Server.Forwarding;

namespace Proxy.FunctionalTests.Forwarding;

/// <summary>A backend that takes a forward and says nothing: how long it is waited for, and that it counts like one that cannot be reached.</summary>
public sealed class SilentBackendTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(20);

    private FaultyBackend _backend = null!;

    public async ValueTask InitializeAsync() => _backend = await FaultyBackend.StartAsync(0, "data");

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Theory]
    [InlineData("PUT", "/data/files/wp/1.blk")]
    [InlineData("HEAD", "/data/files/wp/2.blk")]
    [InlineData("GET", "/data/files/wp/2.blk")]
    [InlineData("GET", "/data?list-type=2")]
    [InlineData("DELETE", "/data/k")]
    public async Task Forward_BackendKeepsSilent_Is503InTimeAndSoonAtOnce(string method, string target)
    {
        await using var proxy = await StartAsync();
        _backend.Break("*", new Fault { Latency = Silence });
        for (var i = 0; i < 3; i++)
        {
            var waited = await RefusedAsync(proxy, method, target);
            Assert.InRange(waited.TotalSeconds, 0.4, 10);
        }

        // Now nobody waits.
        Assert.False(proxy.Backend.IsReachable);
        Assert.Equal(1, proxy.Backend.Counters.BreakerOpenings);
        var arrived = _backend.Requests.Count;
        Assert.InRange((await RefusedAsync(proxy, method, target)).TotalSeconds, 0, 0.4);
        Assert.Equal(arrived, _backend.Requests.Count);

        // The backend has the request, and may have done it.
        Assert.All(proxy.Outcomes.Take(3), outcome => Assert.True(outcome.IsUnknown));
        Assert.All(proxy.Outcomes.Take(3), outcome => Assert.Equal(ForwardOutcomeKind.BackendFailed, outcome.Kind));
    }

    [Fact]
    public async Task Forward_OneOfTwoAddressesKeepsSilent_IsLeftAloneAfterAFew()
    {
        await using var silent = await FaultyBackend.StartAsync(0, "data");
        silent.Break("*", new Fault { Latency = Silence });
        await using var proxy = await StartAsync(options => options with { Endpoints = [silent.Url, _backend.Url] });
        var refused = 0;
        for (var i = 0; i < 20; i++)
        {
            using var answer = await proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("1"));
            refused += answer.StatusCode == HttpStatusCode.OK ? 0 : 1;
        }

        Assert.Equal(3, refused);
        Assert.Equal(17, _backend.Count("PutObject"));
        Assert.Equal(1, proxy.Backend.OpenBreakers);
    }

    [Fact]
    public async Task Forward_LargeBody_IsWaitedForByItsSize()
    {
        await using var proxy = await StartAsync(options => options with { ResponseTimeoutPerMiB = TimeSpan.FromSeconds(2) });
        _backend.Break("PutObject", new Fault { Latency = TimeSpan.FromSeconds(3) });
        using var large = await proxy.SendAsync(HttpMethod.Put, "/data/large", new ByteArrayContent(new byte[8 << 20]));
        Assert.Equal(HttpStatusCode.OK, large.StatusCode);

        // Control: a small one is not waited for so long.
        await RefusedAsync(proxy, "PUT", "/data/small");
    }

    [Theory]
    [InlineData("CompleteMultipartUpload", "POST", "/data/k?uploadId=1", HttpStatusCode.NotFound)]
    [InlineData("CopyObject", "PUT", "/data/k", HttpStatusCode.NotFound)]
    public async Task Forward_WhatTakesLongByNature_IsWaitedFor(string operation, string method, string target, HttpStatusCode expected)
    {
        await using var proxy = await StartAsync();
        proxy.Shape = (_, request) => request with { Operation = operation, BufferResponse = true };
        _backend.Break(operation, new Fault { Latency = TimeSpan.FromSeconds(3) });
        var message = proxy.Request(new HttpMethod(method), target, new StringContent("<CompleteMultipartUpload/>"));
        if (operation == "CopyObject")
        {
            message.Headers.TryAddWithoutValidation("x-amz-copy-source", "data/none");
        }

        using var answer = await proxy.Client.SendAsync(message);
        Assert.Equal(expected, answer.StatusCode);
    }

    [Fact]
    public async Task Forward_ClientIsSlowerThanTheTimeout_UploadGoesOn()
    {
        await using var proxy = await StartAsync();
        using var answer = await proxy.SendAsync(HttpMethod.Put, "/data/k", new TricklingContent(pieces: 4, pause: TimeSpan.FromSeconds(1)));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(400, _backend.Store.Find("data", "k")!.Bytes.Length);
    }

    [Fact]
    public async Task Forward_BackendTakesNoMoreOfTheBody_Is503AndCounts()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(); // takes connections, and reads nothing
        await using var proxy = await StartAsync(options => options with { Endpoints = [$"http://{listener.LocalEndpoint}"], ResponseTimeoutPerMiB = TimeSpan.Zero });
        for (var i = 0; i < 3; i++)
        {
            using var answer = await proxy.SendAsync(HttpMethod.Put, "/data/k", new ByteArrayContent(new byte[32 << 20]));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        }

        Assert.False(proxy.Backend.IsReachable);
        Assert.All(proxy.Outcomes, outcome => Assert.True(outcome.IsUnknown));
    }

    [Fact]
    public async Task Forward_WaitsForAConnection_BackendIsNotBlamed()
    {
        await using var proxy = await StartAsync(options => options with { MaxConnections = 1, Health = options.Health with { FailuresToOpen = 1 } });
        var first = proxy.SendAsync(HttpMethod.Put, "/data/slow", new TricklingContent(pieces: 4, pause: TimeSpan.FromSeconds(1)));
        await Task.Delay(200); // it has the connection
        using var second = await proxy.SendAsync(HttpMethod.Get, "/data/none");
        Assert.Equal(HttpStatusCode.NotFound, second.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
        Assert.True(proxy.Backend.IsReachable);
    }

    [Fact]
    public async Task Forward_AnswerStopsHalfWay_ClientIsCutOffInTime()
    {
        await using var proxy = await StartAsync();
        _backend.Store.TryPut("data", "k", FaultyObject.Of(new byte[1 << 20]));
        _backend.Break("GetObject", new Fault { StallAfterBytes = 300_000 }, times: 1);
        using var answer = await proxy.Client.SendAsync(proxy.Request(HttpMethod.Get, "/data/k"), HttpCompletionOption.ResponseHeadersRead);
        var started = TimeProvider.System.GetTimestamp();
        await Assert.ThrowsAnyAsync<Exception>(() => answer.Content.ReadAsByteArrayAsync());
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 0, 10);
        Assert.True(proxy.Backend.IsReachable);
    }

    private Task<ForwardingHost> StartAsync(Func<RemoteOptions, RemoteOptions>? configure = null)
        => ForwardingHost.StartAsync(_backend.Url, options =>
        {
            options = options with
            {
                ResponseTimeout = Patience,
                StallTimeout = Patience,
                Health = new BackendHealthOptions { FailuresToOpen = 3, OpenFor = TimeSpan.FromMinutes(5) },
            };
            return configure?.Invoke(options) ?? options;
        });

    private static async Task<TimeSpan> RefusedAsync(ForwardingHost proxy, string method, string target)
    {
        var started = TimeProvider.System.GetTimestamp();
        using var answer = await proxy.SendAsync(new HttpMethod(method), target, method == "PUT" ? new StringContent("1") : null);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("1", answer.Headers.GetValues("Retry-After").Single());
        return TimeProvider.System.GetElapsedTime(started);
    }

    private sealed class TricklingContent(int pieces, TimeSpan pause) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            for (var i = 0; i < pieces; i++)
            {
                await stream.WriteAsync(new byte[100]);
                await stream.FlushAsync();
                await Task.Delay(pause);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = pieces * 100;
            return true;
        }
    }
}
