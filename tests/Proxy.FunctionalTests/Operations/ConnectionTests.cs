using System.Globalization;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Operations;

/// <summary>What happens on the connection: 100-continue, keep-alive, limits of the head, clients that stall or vanish.</summary>
public sealed class ConnectionTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task Expect100_IsAnsweredAfterAuthenticationAndBeforeTheBody(Setup setup) => RunAsync(setup, async s3 =>
    {
        var (head, body) = s3.Encode(new WireRequest("PUT", $"/{s3.Bucket}/k") { Body = Bytes(2_000_000), UnsignedHeaders = [new("Expect", "100-continue")] });
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync(head);
        Assert.Equal(100, (await connection.ReadAnswerAsync()).Status);
        await connection.WriteAsync(body);
        (await connection.ReadAnswerAsync()).Expect(200);
        Assert.Equal(Bytes(2_000_000), (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task Expect100_Refused_NeverAsksForTheBody(Setup setup) => RunAsync(setup, async s3 =>
    {
        var (head, _) = s3.Encode(new WireRequest("PUT", $"/{s3.Bucket}/k") { Body = Bytes(2_000_000), Credential = new Credential("unknown-key", "minioadmin"), UnsignedHeaders = [new("Expect", "100-continue")] });
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync(head);
        (await connection.ReadAnswerAsync()).Expect(403, "InvalidAccessKeyId");
    });

    [Theory, EverySetup]
    public Task Expect100_OfAnEmptyBody_EndsTheConnectionWithTheAnswer(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var (length, ends) in ((int, bool)[])[(0, true), (1, false)])
        {
            var (head, body) = s3.Encode(new WireRequest("PUT", $"/{s3.Bucket}/k") { Body = Bytes(length), UnsignedHeaders = [new("Expect", "100-continue")] });
            await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
            await connection.WriteAsync(head);
            if (length > 0)
            {
                Assert.Equal(100, (await connection.ReadAnswerAsync()).Status);
                await connection.WriteAsync(body);
            }

            Assert.Equal(ends ? "close" : null, (await connection.ReadAnswerAsync()).Expect(200).Header("Connection"));
        }
    });

    /// <summary>Nobody reads the body of a GET: a connection that went on would take the next request's first bytes for it.</summary>
    [Theory]
    [InlineData("GET")]
    [InlineData("HEAD")]
    [InlineData("DELETE")]
    public Task Expect100_OfABodyThatNobodyReads_EndsTheConnectionWithTheAnswer(string method) => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        var (head, _) = s3.Encode(new WireRequest(method, $"/{s3.Bucket}/k") { Body = Bytes(50), UnsignedHeaders = [new("Expect", "100-continue")] });
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync(head);
        var answer = await connection.ReadAnswerAsync(bodiless: method == "HEAD");
        Assert.InRange(answer.Status, 200, 204);
        Assert.Equal("close", answer.Header("Connection"));
    });

    [Fact]
    public Task KeepAlive_OneConnection_ServesManyRequests() => RunAsync(Setup.Local, async s3 =>
    {
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        for (var i = 0; i < 200; i++)
        {
            var (head, body) = s3.Encode(new WireRequest(i % 2 == 0 ? "PUT" : "GET", $"/{s3.Bucket}/k{i / 2}") { Body = i % 2 == 0 ? Bytes(1000, i) : [] });
            await connection.WriteAsync((byte[])[.. head, .. body]);
            var answer = (await connection.ReadAnswerAsync()).Expect(200);
            Assert.Equal(i % 2 == 0 ? [] : Bytes(1000, i - 1), answer.Body);
        }
    });

    [Fact]
    public Task Refusal_OfASmallBody_KeepsTheConnection() => RunAsync(Setup.Local, async s3 =>
    {
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        foreach (var (target, status) in ((string, int)[])[("/no-such-bucket-anywhere/k", 404), ($"/{s3.Bucket}/k", 200)])
        {
            var (head, body) = s3.Encode(new WireRequest("PUT", target) { Body = Bytes(1000) });
            await connection.WriteAsync((byte[])[.. head, .. body]);
            (await connection.ReadAnswerAsync()).Expect(status);
        }
    });

    [Fact]
    public Task Head_BeyondItsLimits_IsRefused() => RunAsync(Setup.Local, async s3 =>
    {
        foreach (var text in (string[])[$"GET /{new string('a', 20_000)} HTTP/1.1\r\nHost: x\r\n\r\n", $"GET / HTTP/1.1\r\nHost: x\r\nx-long: {new string('a', 70_000)}\r\n\r\n", "nonsense\r\n\r\n"])
        {
            await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
            await connection.WriteAsync(text);
            Assert.InRange((await connection.ReadAnswerAsync()).Status, 400, 431);
        }

        (await s3.GetAsync("?list-type=2")).Expect(200);
    });

    [Fact]
    public async Task StalledAndVanishedClients_LeaveNothingBehind()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "S3:StallTimeout=00:00:05"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "leaks");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync("/big", Bytes(30_000_000))).Expect(200);
        (await s3.GetAsync("/big")).Expect(200);
        var (files, bodies) = (OpenFiles(proxy), Bodies(proxy));

        // The store opens further readers of its index when several ask at once; forty clients that leak one file each are well above it.
        const int Slack = 20;

        // Vanished in the middle of an upload, and in the middle of a download.
        for (var i = 0; i < 20; i++)
        {
            var (head, body) = s3.Encode(new WireRequest("PUT", "/leaks/k") { Body = Bytes(1_000_000), PayloadHash = PayloadHash.StreamingSigned });
            var upload = await WireConnection.OpenAsync(proxy.Endpoint);
            await upload.WriteAsync(head);
            await upload.WriteAsync(body.AsMemory(0, body.Length / 2));
            upload.Reset();
            var download = await WireConnection.OpenAsync(proxy.Endpoint);
            await download.WriteAsync(s3.Encode(new WireRequest("GET", "/leaks/big")).Head);
            await download.ReadAsync(100_000);
            download.Reset();
        }

        // Stalled with the connection open: told so, or cut off.
        var (stalledHead, stalledBody) = s3.Encode(new WireRequest("PUT", "/leaks/k") { Body = Bytes(1_000_000) });
        await using var stalled = await WireConnection.OpenAsync(proxy.Endpoint);
        await stalled.WriteAsync(stalledHead);
        await stalled.WriteAsync(stalledBody.AsMemory(0, 1000));
        await using var deaf = await WireConnection.OpenAsync(proxy.Endpoint, receiveBufferBytes: 4096);
        await deaf.WriteAsync(s3.Encode(new WireRequest("GET", "/leaks/big")).Head);
        (await stalled.ReadAnswerAsync()).Expect(400, "RequestTimeout");
        Assert.True(await stalled.IsClosedByServerAsync());

        (await s3.HeadAsync("/k")).Expect(404);
        var deadline = TimeProvider.System.GetTimestamp();
        while ((OpenFiles(proxy) > files + Slack || Bodies(proxy) > bodies) && TimeProvider.System.GetElapsedTime(deadline) < TimeSpan.FromSeconds(30))
        {
            await Task.Delay(200, TestContext.Current.CancellationToken); // another process's files: there is no event to wait on
        }

        Assert.True(OpenFiles(proxy) <= files + Slack, $"{OpenFiles(proxy)} open files, {files} before\n{proxy.LogTail}");
        Assert.Equal(bodies, Bodies(proxy));
        (await s3.GetAsync("/big")).Expect(200);
    }

    [Fact]
    public Task Length_ThatIsNoNumber_IsRefused() => RunAsync(Setup.Local, async s3 =>
    {
        var request = new WireRequest("PUT", $"/{s3.Bucket}/k") { WithoutLength = true, PayloadHash = PayloadHash.Unsigned, UnsignedHeaders = [new("Content-Length", "-1")] };
        Assert.Equal(400, (await s3.SendAsync(request)).Status);
    });

    private static int OpenFiles(ProxyProcess proxy) => Directory.GetFiles($"/proc/{proxy.ProcessId.ToString(CultureInfo.InvariantCulture)}/fd").Length;

    private static int Bodies(ProxyProcess proxy) => Directory.GetFiles(Path.Combine(proxy.DataDirectory, "store"), "*", SearchOption.AllDirectories).Length;
}
