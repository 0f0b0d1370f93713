using System.Diagnostics;
using System.Globalization;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>When a connection is idle, and when not.</summary>
public sealed class KeepAliveTests
{
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(2);

    /// <summary>Kestrel, which does not see hot reads, must not take the time that an answer takes for idle; what comes behind it is.</summary>
    [Fact]
    public async Task HotRead_OfAClientThatTakesLongerThanKeepAlive_KeepsTheConnection()
    {
        Assert.SkipUnless(SocketTransport.IsSupported, "the transport is 64-bit Linux's");
        await using var server = await ServerInProcess.StartAsync(keepAlive: KeepAlive);
        await using var s3 = new S3Wire(server.Endpoint, "bucket");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync("/files/insert_log/1/2/3/4/5", new byte[16 << 20])).Expect(200);
        (await s3.GetAsync("/files/insert_log/1/2/3/4/5")).Expect(200);
        var read = s3.Encode(new WireRequest("GET", "/bucket/files/insert_log/1/2/3/4/5")).Head;
        var before = await HotReadsAsync(server);
        await using var connection = await WireConnection.OpenAsync(server.Endpoint, receiveBufferBytes: 4096);
        await connection.WriteAsync(read);
        await connection.HasBegunAsync();
        await Task.Delay(KeepAlive * 2.5);
        Assert.Equal(16 << 20, (await connection.ReadAnswerAsync()).Expect(200).Body.Length);
        await connection.WriteAsync(read);
        Assert.Equal(16 << 20, (await connection.ReadAnswerAsync()).Expect(200).Body.Length);
        Assert.True(await HotReadsAsync(server) > before, "it was no hot read");
        var idle = Stopwatch.GetTimestamp();
        Assert.True(await connection.IsClosedByServerAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(idle), KeepAlive - TimeSpan.FromSeconds(1), KeepAlive + TimeSpan.FromSeconds(10));
    }

    /// <summary>Nobody but who answers hot reads sees them: neither Kestrel nor the loop may take the connection for idle.</summary>
    [Fact]
    public async Task HotReads_ForLongerThanKeepAlive_KeepTheConnection()
    {
        const int Reads = 16;
        const string Key = "/files/insert_log/1/2/3/4/5"; // of the class that is never asked about again
        Assert.SkipUnless(SocketTransport.IsSupported, "the transport is 64-bit Linux's");
        await using var server = await ServerInProcess.StartAsync(keepAlive: TimeSpan.FromSeconds(3));
        await using var s3 = new S3Wire(server.Endpoint, "bucket");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync(Key, new byte[5000])).Expect(200);
        (await s3.GetAsync(Key)).Expect(200);
        var read = s3.Encode(new WireRequest("GET", $"/bucket{Key}")).Head;
        var before = await HotReadsAsync(server);
        await using var connection = await WireConnection.OpenAsync(server.Endpoint);
        for (var i = 0; i < Reads; i++)
        {
            await connection.WriteAsync(read);
            Assert.Equal(5000, (await connection.ReadAnswerAsync()).Expect(200).Body.Length);
            await Task.Delay(500);
        }

        // At most one is Kestrel's: on a machine that made this last for more than 10 s.
        Assert.InRange(await HotReadsAsync(server) - before, Reads - 1, Reads);
    }

    /// <summary>Behind such a request nobody but Kestrel knows where the next one begins, and Kestrel's own patience is an hour longer.</summary>
    [Theory]
    [InlineData("Upgrade: other")]
    [InlineData("Transfer-Encoding: chunked")]
    public async Task RequestOfUnknownExtent_ThenNothing_IsIdleToo(string header)
    {
        Assert.SkipUnless(SocketTransport.IsSupported, "the transport is 64-bit Linux's");
        await using var server = await ServerInProcess.StartAsync(keepAlive: KeepAlive);
        await using var connection = await WireConnection.OpenAsync(server.Endpoint);
        var isChunked = header.StartsWith("Transfer", StringComparison.Ordinal);
        for (var i = 0; i < 2; i++)
        {
            await connection.WriteAsync($"PUT /bucket/k HTTP/1.1\r\nHost: {server.Endpoint.Authority}\r\n{header}\r\n\r\n{(isChunked ? "1\r\nx\r\n0\r\n\r\n" : "")}");
            (await connection.ReadAnswerAsync()).Expect(403);
        }

        var idle = Stopwatch.GetTimestamp();
        Assert.True(await connection.IsClosedByServerAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(idle), KeepAlive - TimeSpan.FromSeconds(1), KeepAlive + TimeSpan.FromSeconds(10));
    }

    /// <summary>Line ends before a request are none, however many: Kestrel passes over them and is as patient as before.</summary>
    [Theory]
    [InlineData("\n", 0)]
    [InlineData("\r\n", 0)]
    [InlineData("\n", 1)]
    public async Task LineEndsAlone_AreIdleToo(string ends, int requestsBefore)
    {
        Assert.SkipUnless(SocketTransport.IsSupported, "the transport is 64-bit Linux's");
        await using var server = await ServerInProcess.StartAsync(keepAlive: KeepAlive);
        await using var connection = await WireConnection.OpenAsync(server.Endpoint);
        for (var i = 0; i < requestsBefore; i++)
        {
            await connection.WriteAsync($"GET /bucket/k HTTP/1.1\r\nHost: {server.Endpoint.Authority}\r\n\r\n");
            (await connection.ReadAnswerAsync()).Expect(403);
        }

        var idle = Stopwatch.GetTimestamp();
        await connection.WriteAsync(ends);
        await Task.Delay(KeepAlive / 2);
        await connection.WriteAsync(ends);
        Assert.True(await connection.IsClosedByServerAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(idle), KeepAlive - TimeSpan.FromSeconds(1), KeepAlive + TimeSpan.FromSeconds(10));
    }

    private static async Task<int> HotReadsAsync(ServerInProcess server)
    {
        const string Name = "s3_proxy_hot_reads_total ";
        var line = (await server.ReadMetricsAsync()).Split('\n').First(static line => line.StartsWith(Name, StringComparison.Ordinal));
        return int.Parse(line[Name.Length..], CultureInfo.InvariantCulture);
    }
}
