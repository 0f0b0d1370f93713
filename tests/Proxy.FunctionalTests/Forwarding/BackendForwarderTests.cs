using System.Net;
using System.Security.Cryptography;
using Proxy.FunctionalTests.Faults;
using Proxy.S3.Errors;
using Proxy.Server.Forwarding;

namespace Proxy.FunctionalTests.Forwarding;

public sealed class BackendForwarderTests : IAsyncLifetime
{
    private FaultyBackend _backend = null!;
    private ForwardingHost _proxy = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, "data", "stored-data");
        _proxy = await ForwardingHost.StartAsync(_backend.Url);
    }

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("a/../b")]
    [InlineData("../up")]
    [InlineData("./here/.")]
    [InlineData("a//b")]
    [InlineData("/leading")]
    [InlineData("trailing/")]
    [InlineData("%2e%2E/dots")]
    [InlineData("a%2Fb%5Cc")]
    [InlineData("plus+and%20space%2B")]
    [InlineData("%C3%A9t%C3%A9-%e6%97%A5")]
    [InlineData("per%25cent%2541")]
    [InlineData("s;u=b:d@e,l!i'm(s)*~$&")]
    [InlineData("%22%3C%3E%7B%7D%7C%5E%60%23%3F")]
    [InlineData("new%0Aline%7F")]
    public async Task Forward_OddKey_ReachesTheBackendAsSpelledAndSigned(string rawKey)
    {
        using var answer = await _proxy.SendAsync(HttpMethod.Put, $"/data/{rawKey}?x-id=PutObject&b=%2F+%20&a", new StringContent("1"));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var arrived = Assert.Single(_backend.Requests);

        // But for a bare plus sign: see ForwardRequest.To.
        Assert.Equal($"/data/{rawKey.Replace("+", "%2B", StringComparison.Ordinal)}?x-id=PutObject&b=%2F+%20&a", arrived.RawTarget);
        AssertSigned(arrived);
    }

    [Fact]
    public async Task Forward_SignatureOfAnotherTarget_DoesNotVerify()
    {
        using var answer = await _proxy.SendAsync(HttpMethod.Get, "/data/a");

        var arrived = Assert.Single(_backend.Requests);
        Assert.Throws<S3Exception>(() => AssertSigned(arrived with { RawTarget = "/data/b" }));
    }

    [Fact]
    public async Task Forward_Headers_PassBothWaysWithoutTheClientsSignature()
    {
        var message = _proxy.Request(HttpMethod.Put, "/data/k", new ByteArrayContent("abc"u8.ToArray()));
        message.Headers.TryAddWithoutValidation("Authorization", "AWS4-HMAC-SHA256 Credential=client/...");
        message.Headers.TryAddWithoutValidation("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
        message.Headers.TryAddWithoutValidation("x-amz-date", "20200101T000000Z");
        message.Headers.TryAddWithoutValidation("x-amz-security-token", "client-token");
        message.Headers.TryAddWithoutValidation("x-amz-decoded-content-length", "3");
        message.Headers.TryAddWithoutValidation("X-Amz-Meta-Fenced", "true");
        message.Headers.TryAddWithoutValidation("x-amz-meta-two", ["one", "  two  spaces"]);
        message.Headers.TryAddWithoutValidation("User-Agent", "MinIO (linux; amd64) minio-go/v7.0.73");
        message.Content!.Headers.TryAddWithoutValidation("Content-Encoding", "aws-chunked,gzip");
        message.Content.Headers.TryAddWithoutValidation("Content-Type", "application/octet-stream");
        using var put = await _proxy.Client.SendAsync(message);
        using var get = await _proxy.SendAsync(HttpMethod.Get, "/data/k");

        var arrived = _backend.Requests.First();
        AssertSigned(arrived);
        Assert.StartsWith("AWS4-HMAC-SHA256 Credential=backend-key/", arrived.Header("Authorization"), StringComparison.Ordinal);
        Assert.Equal("UNSIGNED-PAYLOAD", arrived.Header("x-amz-content-sha256"));
        Assert.Null(arrived.Header("x-amz-security-token"));
        Assert.Null(arrived.Header("x-amz-decoded-content-length"));
        Assert.Null(arrived.Header("Transfer-Encoding"));
        Assert.Equal("3", arrived.Header("Content-Length"));
        Assert.Equal("gzip", arrived.Header("Content-Encoding"));
        Assert.Equal("MinIO (linux; amd64) minio-go/v7.0.73", arrived.Header("User-Agent"));
        Assert.Null(arrived.Header("traceparent"));
        Assert.Equal("FaultyS3/1.0", get.Headers.GetValues("Server").Single());
        Assert.StartsWith("FAULTY", get.Headers.GetValues("x-amz-request-id").Single(), StringComparison.Ordinal);
        Assert.Equal("true", get.Headers.GetValues("x-amz-meta-fenced").Single());
        Assert.Equal(_backend.Store.Find("data", "k")!.ETag, get.Headers.ETag!.Tag);
        Assert.Equal(3, get.Content.Headers.ContentLength);
        Assert.Equal("abc", await get.Content.ReadAsStringAsync());
    }

    /// <summary>A request that asks for another protocol would go out as the GET that opens one, and its client would read the object's bytes as "deleted".</summary>
    [Theory]
    [InlineData("DELETE", "websocket")]
    [InlineData("PUT", "websocket")]
    [InlineData("DELETE", "SPDY/3.1")]
    [InlineData("DELETE", "h2c")]
    public async Task Forward_AskedToUpgrade_StaysTheRequestItIs(string method, string protocol)
    {
        _backend.Store.TryPut("data", "k", FaultyObject.Of([1, 2, 3]));
        var message = _proxy.Request(new HttpMethod(method), "/data/k");
        message.Headers.TryAddWithoutValidation("Connection", "Upgrade");
        message.Headers.TryAddWithoutValidation("Upgrade", protocol);
        using var answer = await _proxy.Client.SendAsync(message);

        Assert.True(answer.IsSuccessStatusCode);
        var arrived = Assert.Single(_backend.Requests);
        Assert.Equal(method, arrived.Method);
        Assert.Null(arrived.Header("Upgrade"));
        Assert.Equal(method == "DELETE", _backend.Store.Find("data", "k") is null);
        AssertSigned(arrived);
    }

    [Fact]
    public async Task Forward_MetadataBeyondAscii_ComesBackAsTheBytesItWas()
    {
        var message = _proxy.Request(HttpMethod.Put, "/data/k", new StringContent("1"));
        message.Headers.TryAddWithoutValidation("x-amz-meta-name", "é 日本");
        using var put = await _proxy.Client.SendAsync(message);
        using var get = await _proxy.SendAsync(HttpMethod.Get, "/data/k");

        AssertSigned(_backend.Requests.First());
        Assert.Equal("é 日本", get.Headers.NonValidated["x-amz-meta-name"].ToString());
    }

    [Fact]
    public async Task Forward_VerifiedDigest_IsSentOn()
    {
        var digest = Convert.ToHexStringLower(SHA256.HashData("abc"u8));
        _proxy.Shape = (_, request) => request with { BodySha256 = digest };
        using var answer = await _proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("abc"));

        Assert.Equal(digest, Assert.Single(_backend.Requests).Header("x-amz-content-sha256"));
    }

    [Fact]
    public async Task Forward_PresignedQuery_LosesOnlyItsSignature()
    {
        using var answer = await _proxy.SendAsync(HttpMethod.Get,
            "/data/k?partNumber=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c%2Fd&X-Amz-Date=2&X-Amz-Expires=60&X-Amz-SignedHeaders=host&versionId=%2B&X-Amz-Signature=00");

        Assert.Equal("/data/k?partNumber=1&versionId=%2B", Assert.Single(_backend.Requests).RawTarget);
    }

    [Fact]
    public async Task Forward_MappedBucket_GoesUnderItsBackendName()
    {
        await using var proxy = await ForwardingHost.StartAsync(_backend.Url, options => options with { BucketMap = new Dictionary<string, string> { ["data"] = "stored-data" } });
        using var put = await proxy.SendAsync(HttpMethod.Put, "/data/a%2Fb", new StringContent("1"));
        var message = proxy.Request(HttpMethod.Put, "/data/copy");
        message.Headers.TryAddWithoutValidation("x-amz-copy-source", "data/a%2Fb");
        using var copy = await proxy.Client.SendAsync(message);

        Assert.Equal(HttpStatusCode.OK, copy.StatusCode);
        Assert.Equal("/stored-data/a%2Fb", _backend.Requests.First().RawTarget);
        Assert.Equal("stored-data/a%2Fb", _backend.Requests.Last().Header("x-amz-copy-source"));
        Assert.NotNull(_backend.Store.Find("stored-data", "copy"));
    }

    [Fact]
    public async Task Forward_ErrorUnder200_IsNoSuccessForTheHookAndGoesToTheClient()
    {
        _proxy.Shape = (_, request) => request with { BufferResponse = true };
        _backend.Break("CompleteMultipartUpload", new Fault { ErrorUnder200 = true }, times: 1);
        using var broken = await _proxy.SendAsync(HttpMethod.Post, "/data/k?uploadId=1", new StringContent("<x/>"));
        using var started = await _proxy.SendAsync(HttpMethod.Post, "/data/k?uploads");

        Assert.Equal(HttpStatusCode.OK, broken.StatusCode);
        Assert.Contains("<Code>InternalError</Code>", await broken.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal([(200, false, "InternalError"), (200, true, null)], _proxy.Seen);
    }

    [Fact]
    public async Task Forward_DeleteObjectsWithoutMd5_GetsOne()
    {
        _backend.Store.TryPut("data", "k", FaultyObject.Of([1]));
        using var answer = await _proxy.SendAsync(HttpMethod.Post, "/data?delete", new StringContent("<Delete><Object><Key>k</Key></Object></Delete>"));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Null(_backend.Store.Find("data", "k"));
        AssertSigned(Assert.Single(_backend.Requests));
    }

    [Theory]
    [InlineData(100, true)]
    [InlineData(100, false)]
    [InlineData(3_000_000, true)]
    [InlineData(3_000_000, false)]
    [InlineData(0, true)]
    public async Task Forward_BodyRejectedAtItsVeryEnd_StoresNothing(int length, bool lengthKnown)
    {
        var bytes = new byte[length];
        _proxy.Shape = (_, request) => request with { Body = new BadEnd(bytes), BodyLength = lengthKnown ? length : null };
        using var answer = await _proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("framed"));

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("BadDigest", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(ForwardOutcomeKind.BodyRejected, Assert.Single(_proxy.Outcomes).Kind);
        Assert.Empty(_backend.Store.Versions("data", "k"));

        // Control: the same bytes with a good end are stored.
        _proxy.Shape = (_, request) => request with { Body = new MemoryStream(bytes), BodyLength = lengthKnown ? length : null };
        using var good = await _proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("framed"));
        Assert.Equal(HttpStatusCode.OK, good.StatusCode);
        Assert.Equal(bytes, Assert.Single(_backend.Store.Versions("data", "k")).Bytes);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task Forward_BodyOfAnotherLengthThanDeclared_StoresNothing(int more)
    {
        _proxy.Shape = (_, request) => request with { Body = new MemoryStream(new byte[50_000 + more]), BodyLength = 50_000 };
        using var answer = await _proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("framed"));

        Assert.Contains("IncompleteBody", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Empty(_backend.Store.Versions("data", "k"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("F")]
    public async Task Forward_ConditionalPutWhoseAnswerIsLost_IsSentOnce(string body)
    {
        // A pooled connection that closes is where HttpClient would try again by itself.
        using var warm = await _proxy.SendAsync(HttpMethod.Get, "/data/none");
        _backend.Break("PutObject", new Fault { ResetAfterDoing = true }, times: 1);
        var message = _proxy.Request(HttpMethod.Put, "/data/wp/1.blk", new StringContent(body));
        message.Headers.TryAddWithoutValidation("If-None-Match", "*");
        using var answer = await _proxy.Client.SendAsync(message);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal(1, _backend.Count("PutObject"));
        Assert.Single(_backend.Store.Versions("data", "wp/1.blk"));
        Assert.Equal(ForwardOutcomeKind.BackendFailed, _proxy.Outcomes.Last().Kind);
        Assert.True(_proxy.Outcomes.Last().IsUnknown);
    }

    [Fact]
    public async Task Forward_ConditionalCompleteWhoseAnswerIsLost_IsSentOnce()
    {
        using var warm = await _proxy.SendAsync(HttpMethod.Get, "/data/none");
        using var created = await _proxy.SendAsync(HttpMethod.Post, "/data/wp/2.blk?uploads");
        var upload = System.Xml.Linq.XDocument.Parse(await created.Content.ReadAsStringAsync()).Descendants().Single(element => element.Name.LocalName == "UploadId").Value;
        using var part = await _proxy.SendAsync(HttpMethod.Put, $"/data/wp/2.blk?partNumber=1&uploadId={Uri.EscapeDataString(upload)}", new StringContent("part"));
        _backend.Break("CompleteMultipartUpload", new Fault { ResetAfterDoing = true }, times: 1);
        var message = _proxy.Request(
            HttpMethod.Post, $"/data/wp/2.blk?uploadId={Uri.EscapeDataString(upload)}",
            new StringContent($"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.Headers.ETag!.Tag}</ETag></Part></CompleteMultipartUpload>"));
        message.Headers.TryAddWithoutValidation("If-None-Match", "*");
        using var answer = await _proxy.Client.SendAsync(message);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal(1, _backend.Count("CompleteMultipartUpload"));
        Assert.Single(_backend.Store.Versions("data", "wp/2.blk"));
        Assert.True(_proxy.Outcomes.Last().IsUnknown);
    }

    [Fact]
    public async Task Forward_BackendBreaksOffAnUpload_Is503AndUnknown()
    {
        _backend.Break("PutObject", new Fault { ResetBeforeDoing = true }, times: 1);
        using var answer = await _proxy.SendAsync(HttpMethod.Put, "/data/k", new ByteArrayContent(new byte[8 << 20]));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal(1, _backend.Count("PutObject"));
        Assert.True(Assert.Single(_proxy.Outcomes).IsUnknown);
        Assert.Empty(_proxy.Seen);
    }

    [Fact]
    public async Task Forward_LargeConditionalPutRefusedBeforeItsBody_TellsTheClient412()
    {
        _backend.Break("PutObject", new Fault { Status = 412, BeforeBody = true });
        for (var i = 0; i < 5; i++)
        {
            var message = _proxy.Request(HttpMethod.Put, "/data/k", new ByteArrayContent(new byte[8 << 20]));
            message.Headers.TryAddWithoutValidation("If-None-Match", "*");
            message.Headers.ExpectContinue = true;
            using var answer = await _proxy.Client.SendAsync(message);

            Assert.Equal(HttpStatusCode.PreconditionFailed, answer.StatusCode);
            Assert.Contains("PreconditionFailed", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        Assert.All(_backend.Requests, arrived => Assert.Equal("100-continue", arrived.Header("Expect")));
    }

    [Fact]
    public async Task Forward_BackendDown_Answers503AndSoonAtOnce()
    {
        await _backend.DisposeAsync();
        for (var i = 0; i < 6; i++)
        {
            using var answer = await _proxy.SendAsync(HttpMethod.Get, "/data/k");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            Assert.Equal("1", answer.Headers.GetValues("Retry-After").Single());
            Assert.Contains("SlowDown", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        Assert.All(_proxy.Outcomes, outcome => Assert.Equal(ForwardOutcomeKind.BackendUnreachable, outcome.Kind));
        Assert.False(_proxy.Backend.IsReachable);
        Assert.Equal(5, _proxy.Backend.Counters.Rows.Single(row => row.Status == 0).Count);
    }

    [Fact]
    public async Task Forward_AnswerBreaksOff_AbortsTheClient()
    {
        _backend.Store.TryPut("data", "k", FaultyObject.Of(new byte[1 << 20]));
        _backend.Break("GetObject", new Fault { ResetAfterBytes = 300_000 }, times: 1);
        using var answer = await _proxy.Client.SendAsync(_proxy.Request(HttpMethod.Get, "/data/k"), HttpCompletionOption.ResponseHeadersRead);

        Assert.Equal(1 << 20, answer.Content.Headers.ContentLength);
        await Assert.ThrowsAnyAsync<Exception>(() => answer.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Forward_BackendsOwnError_PassesUntouched()
    {
        using var answer = await _proxy.SendAsync(HttpMethod.Get, "/data/none");
        using var head = await _proxy.SendAsync(HttpMethod.Head, "/data/none");

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("<Error><Code>NoSuchKey</Code><Message>As it was told.</Message><RequestId>1</RequestId></Error>", await answer.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NotFound, head.StatusCode);
        Assert.Equal([(404, false, null), (404, false, null)], _proxy.Seen);
    }

    /// <summary>A read is asked again with the backend's time. A body is spent: its client is told to come again, and is not told that its own clock is wrong.</summary>
    [Theory]
    [InlineData("HEAD", null, HttpStatusCode.OK, 2)]
    [InlineData("GET", "RequestTimeTooSkewed", HttpStatusCode.OK, 2)]
    [InlineData("PUT", "RequestTimeTooSkewed", HttpStatusCode.ServiceUnavailable, 1)]
    [InlineData("DELETE", "RequestTimeTooSkewed", HttpStatusCode.ServiceUnavailable, 1)]
    public async Task Forward_ClockIsWrong_NextOneIsSignedWithTheBackendsTime(string method, string? code, HttpStatusCode first, int requests)
    {
        await using var proxy = await ForwardingHost.StartAsync(_backend.Url, time: new ClockBehind(TimeSpan.FromHours(1)));
        _backend.Store.TryPut("data", "k", FaultyObject.Of([1]));
        _backend.Break("*", new Fault { Status = 403, Code = code }, times: 1);
        using var answer = await proxy.SendAsync(new HttpMethod(method), "/data/k", method == "PUT" ? new StringContent("1") : null);
        Assert.Equal(first, answer.StatusCode);
        Assert.Equal(requests, _backend.Requests.Count);
        using var next = await proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("2"));
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);

        Assert.All(_backend.Requests.Skip(1), AssertSigned);
        Assert.ThrowsAny<S3Exception>(() => AssertSigned(_backend.Requests.First()));
    }

    /// <summary>AWS says "503 Slow Down", and to the client it must not be "200 Slow Down" once the next try is answered.</summary>
    [Fact]
    public async Task Forward_HeldBackAnswer_LeavesNothingOfItsStatusLine()
    {
        _proxy.Shape = (_, request) => request with { IsPaced = true };
        _backend.Break("ListObjectsV2", new Fault { Status = 503, ReasonPhrase = "Slow Down" }, times: 1);
        using var answer = await _proxy.SendAsync(HttpMethod.Get, "/data?list-type=2");
        Assert.Equal((HttpStatusCode.OK, "OK"), (answer.StatusCode, answer.ReasonPhrase));
        Assert.Equal(2, _backend.Requests.Count);

        // Control: what is not held back keeps the backend's own words.
        _backend.Break("GetObject", new Fault { Status = 404, ReasonPhrase = "Nothing Here" }, times: 1);
        using var missing = await _proxy.SendAsync(HttpMethod.Get, "/data/none");
        Assert.Equal("Nothing Here", missing.ReasonPhrase);
    }

    [Fact]
    public async Task Forward_RefusedForAnotherReason_PassesAndLeavesTheClockAlone()
    {
        await using var proxy = await ForwardingHost.StartAsync(_backend.Url, time: new ClockBehind(TimeSpan.FromHours(1)));
        _backend.Break("*", new Fault { Status = 403, Code = "AccessDenied" }, times: 1);
        using var answer = await proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("1"));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Equal("<Error><Code>AccessDenied</Code><Message>As it was told.</Message><RequestId>1</RequestId></Error>", await answer.Content.ReadAsStringAsync());
        using var next = await proxy.SendAsync(HttpMethod.Put, "/data/k", new StringContent("2"));
        Assert.ThrowsAny<S3Exception>(() => AssertSigned(_backend.Requests.Last()));
    }

    private static void AssertSigned(FaultyRequest request) => request.AssertSigned("backend-key", "backend-secret", "eu-test-1");

    /// <summary>Gives all its bytes, then says they were not what was declared.</summary>
    private sealed class BadEnd(byte[] bytes) : MemoryStream(bytes)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            return read == 0 && buffer.Length > 0 ? throw new S3Exception(S3ErrorCode.BadDigest) : read;
        }
    }
}
