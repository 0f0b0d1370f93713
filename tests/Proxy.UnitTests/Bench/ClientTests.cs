using System.Net;
using Proxy.Bench.Http;
using Proxy.Bench.Load;
using Proxy.Bench.Report;
using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

/// <summary>What the bench's clients count, and what they do not let pass, when a server does not just answer.</summary>
public sealed class ClientTests
{
    private static readonly DatasetObject Item = new("files/a", 1000, ObjectKind.IndexSlice, new Content(1, "files/a"));
    private static readonly byte[] Right = Bytes();

    [Fact]
    public async Task Refused_LatencyIsWhatTheCallerWaited()
    {
        await using var server = new AnsweringServer(number => number < 2
            ? new("503 Slow Down", [], 0, After: TimeSpan.FromMilliseconds(50)) : new("200 OK", Right, Right.Length));
        var report = new RunReport();
        using var client = new S3Client(server.Target, report, TimeProvider.System);
        var answer = await client.SendAsync(new S3Request("GET", "GET", Item.Key), TestContext.Current.CancellationToken);
        Assert.Equal(200, answer.Status);
        Assert.Equal((1, 2), (report.Operations["GET"].Count, report.Retries["GET: 503"]));
        Assert.True(report.Operations["GET"].MillisecondsAt(50) >= 100, $"{report.Operations["GET"].MillisecondsAt(50)} ms");
    }

    [Fact]
    public async Task WrongByte_BeforeACutConnection_IsNotForgotten()
    {
        await using var server = new AnsweringServer(number => number > 0
            ? new("200 OK", Right, Right.Length) : new("200 OK", [(byte)(Right[0] ^ 1), .. Right[1..500]], Right.Length));
        using var client = new S3Client(server.Target, new RunReport(), TimeProvider.System);
        var check = new BodyCheck(Item, 0, Item.Size, withMd5: false);
        var head = await client.SendAsync(new S3Request("GET", "GET", Item.Key), check.ReadAsync, TestContext.Current.CancellationToken);
        Assert.Equal(200, head.Status);
        Assert.StartsWith("byte 0 differs", check.Wrong, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ShortBody_ReadAgain_IsRight()
    {
        await using var server = new AnsweringServer(number => new("200 OK", number > 0 ? Right : Right[..500], Right.Length));
        using var client = new S3Client(server.Target, new RunReport(), TimeProvider.System);
        var check = new BodyCheck(Item, 0, Item.Size, withMd5: false);
        await client.SendAsync(new S3Request("GET", "GET", Item.Key), check.ReadAsync, TestContext.Current.CancellationToken);
        Assert.Null(check.Wrong);
    }

    [Fact]
    public async Task Load_NeverAnswered_IsAFinding()
    {
        await using var server = new AnsweringServer(number => number == 1 ? null : new("200 OK", Right, Right.Length));
        var result = await LoadAsync(server);
        Assert.True(result.Requests > 0);
        Assert.Contains("1 of 2 connections still waited", Assert.Single(result.Findings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_ServerThatClosesAsItSays_IsGood()
    {
        await using var server = new AnsweringServer(number => new("200 OK", Right, Right.Length, IsClosing: number % 3 == 0));
        var result = await LoadAsync(server);
        Assert.Empty(result.Findings);
        Assert.True(result.Requests > 10 && server.Connections > 3, $"{result.Requests} requests, {server.Connections} connections");
    }

    [Theory]
    [InlineData(0.1, 100)]
    [InlineData(0.3, 300)]
    [InlineData(0.7, 700)]
    [InlineData(1, 1000)]
    public async Task Shape_RefusesTheShareItIsTold(double share, int refused)
    {
        var none = new IPEndPoint(IPAddress.Loopback, 0);
        await using var backend = new ShapedBackend(none, none, BackendProfile.Find("none") with { RefusedShare = share });
        Assert.InRange(Enumerable.Range(0, 1000).Count(_ => backend.Refuses()), refused - 1, refused + 1);
    }

    private static Task<LoadResult> LoadAsync(AnsweringServer server)
    {
        var options = new LoadOptions(Connections: 2, Threads: 1, TimeSpan.Zero, TimeSpan.FromMilliseconds(500), Seed: 1);
        return Task.Run(() => new LoadRun(server.Target, new LoadPlan([Item], [LoadOperation.Get], 0), options).Run([], TestContext.Current.CancellationToken));
    }

    private static byte[] Bytes()
    {
        var bytes = new byte[Item.Size];
        Item.Content.Fill(bytes, 0);
        return bytes;
    }
}
