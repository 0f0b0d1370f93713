using System.Net;
using System.Text;
using System.Xml.Linq;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.Server.Forwarding;

namespace Proxy.FunctionalTests.Forwarding;

/// <summary>A backend that works long on a request says 200 and keeps its client with white space: so does the proxy, and believes only the document.</summary>
public sealed class LateAnswerTests : IAsyncLifetime
{
    private const string Key = "files/insert_log/1/2/3/100/7";

    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private FaultyBackend _backend = null!;
    private ForwardingHost _proxy = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, "data");
        _backend.Store.TryPut("data", "source", FaultyObject.Of([1, 2, 3]));
        _proxy = await ForwardingHost.StartAsync(_backend.Url, options => options with { ForwardTimeout = TimeSpan.FromSeconds(2) });
        _proxy.Shape = (_, request) => request with { BufferResponse = true };
    }

    public async ValueTask DisposeAsync()
    {
        _done.TrySetResult();
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
    }

    /// <summary>The client's patience, a few seconds of silence, was spent, and so was the proxy's.</summary>
    [Theory]
    [InlineData("CompleteMultipartUpload")]
    [InlineData("CopyObject")]
    [InlineData("UploadPartCopy")]
    public async Task WhiteSpace_IsPassedOnAsItComes_AndRenewsThePatience(string operation)
    {
        _backend.Break(operation, new Fault { WorksUntil = _done.Task }, times: 1);
        using var answer = await _proxy.Client.SendAsync(Request(operation), HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Null(answer.Content.Headers.ContentLength);

        // Longer than the proxy would have waited for silence.
        await using var body = await answer.Content.ReadAsStreamAsync();
        var seen = new StringBuilder();
        for (var spaces = 0; spaces < 15; spaces = seen.ToString().Count(c => c == ' '))
        {
            seen.Append(await ReadAsync(body));
        }

        Assert.StartsWith(FaultyOperations.Declaration, seen.ToString(), StringComparison.Ordinal);
        Assert.Equal("", seen.ToString()[FaultyOperations.Declaration.Length..].Trim());
        Assert.Empty(_proxy.Seen);

        _done.SetResult();
        while (await ReadAsync(body) is { Length: > 0 } piece)
        {
            Assert.NotEmpty(_proxy.Seen); // heard before the client sees any of the document
            seen.Append(piece);
        }

        Assert.NotEmpty(XDocument.Parse(seen.ToString()).Descendants().Single(e => e.Name.LocalName == "ETag").Value);
        Assert.Equal([(200, true, null)], _proxy.Seen);
    }

    [Theory]
    [InlineData("CompleteMultipartUpload")]
    [InlineData("CopyObject")]
    [InlineData("UploadPartCopy")]
    public async Task ErrorAfterWhiteSpace_IsAFailure_AndTheClientsToRead(string operation)
    {
        const string Error = "<Error><Code>InternalError</Code><Message>Late.</Message></Error>";
        _backend.Break(operation, new Fault { WorksUntil = Task.Delay(500), Document = Error }, times: 1);
        using var answer = await _proxy.Client.SendAsync(Request(operation));
        Assert.Matches($"^{System.Text.RegularExpressions.Regex.Escape(FaultyOperations.Declaration)} +{Error}$", await answer.Content.ReadAsStringAsync());
        Assert.Equal([(200, false, "InternalError")], _proxy.Seen);
    }

    [Fact]
    public async Task BrokenOffAfterWhiteSpace_IsBrokenOffToTheClient_AndUnknown()
    {
        _backend.Break("CopyObject", new Fault { WorksUntil = Task.Delay(500), ResetAfterDoing = true }, times: 1);
        using var answer = await _proxy.Client.SendAsync(Request("CopyObject"), HttpCompletionOption.ResponseHeadersRead);
        await Assert.ThrowsAnyAsync<Exception>(() => answer.Content.ReadAsStringAsync());
        Assert.Equal(ForwardOutcomeKind.ResponseBroken, (await _proxy.OutcomeAsync()).Kind);
        Assert.Empty(_proxy.Seen);
    }

    [Fact]
    public async Task QuickAnswer_HasItsLength()
    {
        using var answer = await _proxy.Client.SendAsync(Request("CopyObject"));
        Assert.Equal((await answer.Content.ReadAsByteArrayAsync()).Length, answer.Content.Headers.ContentLength);
        Assert.Equal([(200, true, null)], _proxy.Seen);
    }

    /// <summary>The whole proxy, over a bucket of another name: the upload is in the cache before its client sees the end.</summary>
    [Fact]
    public async Task CompleteKeptAlive_IsPublishedBeforeItsEnd_AndNamedAsTheClientDoes()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "Backend:BucketMap:mapped=data"], new Uri(_backend.Url));
        await using var s3 = new S3Wire(proxy.Endpoint, "mapped");
        foreach (var failure in (bool[])[false, true])
        {
            var bytes = new byte[] { 4, 5, 6, failure ? (byte)1 : (byte)0 };
            var key = $"/{Key}{failure}";
            var upload = await s3.CreateUploadAsync(key);
            var part = await s3.UploadPartAsync(key, upload, 1, bytes);
            _backend.Break("CompleteMultipartUpload", new Fault
            {
                WorksUntil = Task.Delay(500),
                Document = failure ? "<Error><Code>InternalError</Code></Error>"
                    : "<CompleteMultipartUploadResult><Location>http://x/data/k</Location><Bucket>data</Bucket><ETag>\"abc-1\"</ETag></CompleteMultipartUploadResult>",
            }, times: 1);
            var completed = (await s3.CompleteAsync(key, upload, [(1, part)])).Expect(200);
            if (failure)
            {
                Assert.Equal("InternalError", completed.ErrorCode);
                (await s3.GetAsync(key)).Expect(404, "NoSuchKey");
                continue;
            }

            Assert.Equal("mapped", completed.Value("Bucket"));
            Assert.Equal($"{proxy.Endpoint}mapped{key}", completed.Value("Location"));

            // The object is what was uploaded; its head is all that the backend is asked for.
            _backend.Store.TryPut("data", key[1..], FaultyObject.Of(bytes) with { ETag = "\"abc-1\"" });
            Assert.Equal(bytes, (await s3.GetAsync(key)).Expect(200).Body);
            Assert.DoesNotContain(_backend.Requests, request => request.Operation == "GetObject");
        }
    }

    private HttpRequestMessage Request(string operation)
    {
        if (operation == "CompleteMultipartUpload")
        {
            var upload = _backend.Store.BeginUpload("data", Key, []);
            _backend.Store.PutPart(upload, 1, [1, 2, 3]);
            return _proxy.Request(HttpMethod.Post, $"/data/{Key}?uploadId={upload}", new StringContent("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"));
        }

        var copy = _proxy.Request(HttpMethod.Put, operation == "CopyObject" ? $"/data/{Key}" : $"/data/{Key}?partNumber=1&uploadId={_backend.Store.BeginUpload("data", Key, [])}");
        copy.Headers.TryAddWithoutValidation("x-amz-copy-source", "/data/source");
        return copy;
    }

    private static async Task<string> ReadAsync(Stream body)
    {
        var buffer = new byte[1024];
        return Encoding.UTF8.GetString(buffer, 0, await body.ReadAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(30)));
    }
}
