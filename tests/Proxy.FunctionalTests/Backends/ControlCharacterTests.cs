using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Backends;

/// <summary>A backend whose headers hold control characters, which no answer may carry: none reaches a client, and its object is served.</summary>
public sealed class ControlCharacterTests
{
    private const string Head = "HTTP/1.1 200 OK\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/\u0002plain\r\nx-amz-meta-a: 1\u007F2\u00013\t4\r\nCache-Control: no\u001Bstore\r\n"
        + "Content-Disposition: \u0000inline\r\n";

    [Fact]
    public async Task Answer_BackendsHeadersHoldControlCharacters_HasSpacesInTheirPlace()
    {
        await using var backend = new RawBackend(Head + "ETag: \"1\"\r\n", [1, 2, 3]);
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"], new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        foreach (var (method, target, cache) in ((string, string, string)[])
            [
                ("GET", "/data/files/insert_log/1/2/3/100/1", "HIT-MEMORY"), // put together by us, before Kestrel sees the request
                ("GET", "/data/files/insert_log/1/2/3/100/2?response-content-language=x", "HIT-MEMORY"), // by Kestrel
                ("GET", "/data/files/wp/1.blk", "BYPASS"),
                ("HEAD", "/data/files/wp/2.blk", "BYPASS"),
            ])
        {
            (await s3.SendAsync(method, target, null)).Ok();
            var answer = (await s3.SendAsync(method, target, null)).Ok();
            Assert.Equal(cache, answer.Header("X-Cache"));
            Assert.Equal("text/ plain", answer.Header("Content-Type"));
            Assert.Equal("1 2 3\t4", answer.Header("x-amz-meta-a"));
            Assert.Equal("no store", answer.Header("Cache-Control"));
            Assert.Equal("inline", answer.Header("Content-Disposition")!.Trim());
            Assert.Equal(method == "HEAD" ? [] : [1, 2, 3], answer.Body);
        }
    }

    /// <summary>It cannot be told as it is, and another could not be asked for: no version.</summary>
    [Fact]
    public async Task Read_ETagHoldsAControlCharacter_IsRefused()
    {
        await using var raw = new RawBackend(Head + "ETag: \"\u007F\"\r\n", [1, 2, 3]);
        await using var backend = new RemoteBackend("test", new RemoteOptions { Endpoints = [raw.Url], AccessKey = "key", SecretKey = "secret" }, TimeProvider.System, NullLoggerFactory.Instance);

        var refusal = await Assert.ThrowsAsync<S3Exception>(async () => await backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default));
        Assert.Equal(S3ErrorCode.InternalError, refusal.Code);
    }
}
