using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Forwarding;

/// <summary>What is forwarded goes on as it comes, in both directions: nothing waits for an end.</summary>
public sealed class CutThroughTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private FaultyBackend _backend = null!;
    private ProxyProcess _proxy = null!;
    private S3Wire _s3 = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, "data");
        _proxy = await ProxyProcess.StartAsync(["--nvme", "0"], new Uri(_backend.Url));
        _s3 = new S3Wire(_proxy.Endpoint, "data");
    }

    public async ValueTask DisposeAsync()
    {
        await _s3.DisposeAsync();
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Theory]
    [InlineData("/data?list-type=2")]
    [InlineData("/data?versions")]
    [InlineData("/data?uploads")]
    public async Task Listing_BeginsBeforeTheBackendHasEnded(string target)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _backend.Break("*", new Fault { WorksUntil = done.Task, Document = "<ListBucketResult><Name>data</Name></ListBucketResult>" });
        var (head, _) = _s3.Encode(new WireRequest("GET", target));
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
        await connection.WriteAsync(head);
        await connection.HasBegunAsync();
        done.SetResult();
        var answer = (await connection.ReadAnswerAsync()).Expect(200);
        Assert.Equal("data", answer.Value("Name"));
    }

    [Theory]
    [InlineData("/data/k")]
    [InlineData("/data/files/wp/1.blk")]
    [InlineData("/data/k?partNumber=1&uploadId=u")]
    public async Task Upload_ReachesTheBackendBeforeItsClientHasEnded(string target)
    {
        var begins = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _backend.Break("*", new Fault { BodyBegins = begins, Document = "" }, times: 1);
        var (head, body) = _s3.Encode(new WireRequest("PUT", target) { Body = new byte[1 << 20], PayloadHash = "UNSIGNED-PAYLOAD" });
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
        await connection.WriteAsync((byte[])[.. head, .. body[..(256 << 10)]]);
        await begins.Task.WaitAsync(Patience);
        Assert.Null(_backend.Requests.Single().Body);
        await connection.WriteAsync(body.AsMemory(256 << 10));
        (await connection.ReadAnswerAsync()).Expect(200);
        Assert.Equal(body, _backend.Requests.Single().Body);
    }

    /// <summary>The client sends nothing until it is told to, whatever the proxy asks of the backend.</summary>
    [Theory]
    [InlineData(100, "Conditional", false)]
    [InlineData(100, "Always", false)]
    [InlineData(1 << 20, "Conditional", false)]
    [InlineData(1 << 20, "Conditional", true)]
    [InlineData(1 << 20, "Always", false)]
    [InlineData(1 << 20, "Never", true)]
    public async Task Upload_ThatExpectsContinue_IsToldToGoOn_AndArrivesOnce(int length, string towardsTheBackend, bool conditional)
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", $"Backend:ExpectContinue={towardsTheBackend}"], new Uri(_backend.Url));
        await using var s3 = new S3Wire(proxy.Endpoint, "data");
        var headers = new List<KeyValuePair<string, string>> { new("Expect", "100-continue") };
        if (conditional)
        {
            headers.Add(new("If-None-Match", "*"));
        }

        var (head, body) = s3.Encode(new WireRequest("PUT", "/data/k") { Body = new byte[length], UnsignedHeaders = headers });
        await using var connection = await WireConnection.OpenAsync(proxy.Endpoint);
        await connection.WriteAsync(head);
        (await connection.ReadAnswerAsync()).Expect(100);
        await connection.WriteAsync(body);
        (await connection.ReadAnswerAsync()).Expect(200);
        Assert.Equal(body, Assert.Single(_backend.Store.Versions("data", "k")).Bytes);
        Assert.Equal(1, _backend.Count("PutObject"));

        // Refused before its body: the client never sends it, and the connection ends with the answer.
        _backend.Break("PutObject", new Fault { Status = 403, BeforeBody = true });
        var asksFirst = length > 256 << 10 && (towardsTheBackend == "Always" || (towardsTheBackend == "Conditional" && conditional));
        await using var refused = await WireConnection.OpenAsync(proxy.Endpoint);
        await refused.WriteAsync(head);
        var answer = await refused.ReadAnswerAsync();
        if (!asksFirst)
        {
            // The proxy takes the body, and the backend's refusal of it is passed on, or its closed connection.
            answer.Expect(100);
            await refused.WriteAsync(body);
            answer = await refused.ReadAnswerAsync();
            Assert.True(answer.Status is 403 or 503, $"{answer.Status} {answer.Text}");
            return;
        }

        answer.Expect(403, "AccessDenied");
        Assert.True(await refused.IsClosedByServerAsync());
    }
}
