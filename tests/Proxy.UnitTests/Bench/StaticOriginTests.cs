using System.Net;
using System.Net.Sockets;
using Proxy.Bench.Peers;
using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

/// <summary>The comparison's origin answers what a caching proxy asks of an S3 store.</summary>
public sealed class StaticOriginTests : IAsyncDisposable
{
    private const string Path = "/a-bucket/files/a%20b";
    private static readonly DatasetObject Item = new("files/a b", 1000, ObjectKind.IndexSlice, new Content(1, "files/a b"));

    private readonly StaticOrigin _origin = new(new IPEndPoint(IPAddress.Loopback, 0), "a-bucket", [Item]);
    private readonly HttpClient _client = new();

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _origin.DisposeAsync();
    }

    [Theory]
    [InlineData(null, 200, 0, 1000)]
    [InlineData("bytes=0-0", 206, 0, 1)]
    [InlineData("bytes=900-2000", 206, 900, 100)]
    [InlineData("bytes=10-", 206, 10, 990)]
    [InlineData("bytes=-64", 206, 936, 64)]
    [InlineData("bytes=-2000", 206, 0, 1000)]
    public async Task Get_Range_HasItsBytes(string? range, int status, long start, int length)
    {
        using var answer = await SendAsync(HttpMethod.Get, Path, range is null ? [] : [("Range", range)]);
        var body = await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        Assert.Equal((status, length), ((int)answer.StatusCode, body.Length));
        Assert.Equal(-1, Item.Content.FirstDifference(body, start));
        Assert.Equal(range is null ? null : $"bytes {start}-{start + length - 1}/1000", answer.Content.Headers.ContentRange?.ToString());
        Assert.NotNull(answer.Headers.ETag);
        Assert.NotNull(answer.Content.Headers.LastModified);
    }

    [Fact]
    public async Task Head_HasTheSizeAndNoBody()
    {
        using var answer = await SendAsync(HttpMethod.Head, Path);
        Assert.Equal((200, 1000L), ((int)answer.StatusCode, answer.Content.Headers.ContentLength));
    }

    [Theory]
    [InlineData("/a-bucket/files/none", "", "", 404)]
    [InlineData("/other/files/a%20b", "", "", 404)]
    [InlineData(Path, "Range", "bytes=1000-", 416)]
    [InlineData(Path, "If-Match", "\"other\"", 412)]
    public async Task Get_Otherwise_IsRefused(string path, string header, string value, int status)
    {
        using var answer = await SendAsync(HttpMethod.Get, path, header.Length > 0 ? [(header, value)] : []);
        Assert.Equal(status, (int)answer.StatusCode);
    }

    [Fact]
    public async Task Get_KnownTag_IsNotSentAgain()
    {
        using var first = await SendAsync(HttpMethod.Get, Path);
        var tag = first.Headers.ETag!.ToString();
        using var matched = await SendAsync(HttpMethod.Get, Path, ("If-Match", tag));
        using var known = await SendAsync(HttpMethod.Get, Path, ("If-None-Match", tag));
        Assert.Equal((200, 304), ((int)matched.StatusCode, (int)known.StatusCode));
        Assert.Equal(3, _origin.Requests);
    }

    [Fact]
    public async Task Dispose_JustWhenSomebodyComes_EndsInOrder()
    {
        for (var round = 0; round < 500; round++)
        {
            var origin = new StaticOrigin(new IPEndPoint(IPAddress.Loopback, 0), "a-bucket", [Item]);
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(origin.Address);
            Thread.SpinWait(round);
            await origin.DisposeAsync();
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri($"http://{_origin.Address}{path}"));
        foreach (var (name, value) in headers)
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        }

        return await _client.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
