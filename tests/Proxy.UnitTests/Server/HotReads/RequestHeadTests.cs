using System.Text;
using Proxy.S3.Requests;
using Proxy.Server.HotReads;

namespace Proxy.UnitTests.Server.HotReads;

public sealed class RequestHeadTests
{
    private const string Plain = "GET /bucket/a%20key HTTP/1.1\r\nHost: proxy:9000\r\nUser-Agent: MinIO (linux; amd64) minio-go/v7.0.73\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b\r\n"
        + "Range: bytes=0-4095\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nX-Amz-Date: 20260101T000000Z\r\nAccept-Encoding: identity\r\n\r\n";

    private readonly RequestHead _head = new();

    [Fact]
    public void TryRead_AReadAsMinioGoSendsIt_IsTaken()
    {
        Assert.True(TryRead(Plain));
        Assert.False(_head.IsHead);
        Assert.Equal("/bucket/a%20key", _head.Target);
        Assert.Equal(Plain.Length, _head.Length);
        Assert.Equal("proxy:9000", _head.Find("host"));
        Assert.Equal("bytes=0-4095", _head.Find("Range"));
        Assert.Equal("20260101T000000Z", _head.Find("x-amz-date"));
        Assert.Null(_head.Find("x-amz-security-token"));
        Assert.Null(_head.Find("x-amz-acl"));
        var names = new NameList([]);
        _head.VisitNames(ref names);
        Assert.Equal(["accept-encoding", "authorization", "host", "range", "user-agent", "x-amz-content-sha256", "x-amz-date"], names.Names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void TryRead_WhatFollows_IsNotOfTheHead()
    {
        Assert.True(TryRead(Plain + Plain));
        Assert.Equal(Plain.Length, _head.Length);
    }

    [Fact]
    public void TryRead_TheNextOfItsKind_KeepsOnlyWhatChanged()
    {
        Assert.True(TryRead(Plain));
        var (host, range) = (_head.Find("host"), _head.Find("range"));
        Assert.True(TryRead(Plain.Replace("0-4095", "4096-8191", StringComparison.Ordinal).Replace("GET", "HEAD", StringComparison.Ordinal)));
        Assert.True(_head.IsHead);
        Assert.Same(host, _head.Find("host"));
        Assert.Equal("bytes=4096-8191", _head.Find("range"));
        Assert.NotEqual(range, _head.Find("range"));
        Assert.True(TryRead("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
        Assert.Null(_head.Find("range"));
    }

    [Fact]
    public void TryRead_EveryBeginning_IsIncomplete()
    {
        for (var length = 0; length < Plain.Length; length++)
        {
            Assert.False(TryRead(Plain[..length]), Plain[..length]);
        }
    }

    [Theory]
    [InlineData("GET ", "POST ")]
    [InlineData("GET ", "get ")]
    [InlineData("GET ", "GET  ")]
    [InlineData("GET ", "GET http://proxy:9000")]
    [InlineData("GET ", "\r\nGET ")]
    [InlineData("a%20key", "a key")]
    [InlineData("a%20key", "ä")]
    [InlineData("a%20key", "a\0")]
    [InlineData("HTTP/1.1", "HTTP/1.0")]
    [InlineData("HTTP/1.1\r\n", "HTTP/1.1\n")]
    [InlineData("\r\n\r\n", "\n\n")]
    [InlineData("identity\r\n", "identity\n")]
    [InlineData("identity\r\n", "identity\r\r\n")]
    [InlineData("Host: ", "Host : ")]
    [InlineData("Host: ", " Host: ")]
    [InlineData("Host: proxy:9000", "Host: proxy:9000\r\n elsewhere")]
    [InlineData("Host: proxy:9000", "Host: proxy:9000\r\nHost: elsewhere")]
    [InlineData("Host: proxy:9000", "Host")]
    [InlineData("Host: proxy:9000\r\n", "")]
    [InlineData("Host: proxy:9000", "Host:")]
    [InlineData("Host: proxy:9000", "Host: a/b")]
    [InlineData("Host: proxy:9000", "Host: a b")]
    [InlineData("Host: proxy:9000", "Host: a@b")]
    [InlineData("Host: proxy:9000", "Host: a,b")]
    [InlineData("Host: proxy:9000", "Host: *")]
    [InlineData("Host: proxy:9000", "Host: :9000")]
    [InlineData("Host: proxy:9000", "Host: proxy:")]
    [InlineData("Host: proxy:9000", "Host: proxy:9x")]
    [InlineData("Host: proxy:9000", "Host: proxy:900000")]
    [InlineData("Host: proxy:9000", "Host: http://proxy")]
    [InlineData("Accept-Encoding: identity", "Accept-Encoding:\tidentity")]
    [InlineData("Accept-Encoding: identity", "Connection: close")]
    [InlineData("Accept-Encoding: identity", "Connection: keep-alive, Upgrade")]
    [InlineData("Accept-Encoding: identity", "Content-Length: 1")]
    [InlineData("Accept-Encoding: identity", "Content-Length: 00")]
    [InlineData("Accept-Encoding: identity", "Transfer-Encoding: chunked")]
    [InlineData("Accept-Encoding: identity", "Expect: 100-continue")]
    [InlineData("Accept-Encoding: identity", "If-None-Match: *")]
    [InlineData("Accept-Encoding: identity", "If-Range: x")]
    [InlineData("Accept-Encoding: identity", "x-amz-server-side-encryption-customer-key: a")]
    [InlineData("Accept-Encoding: identity", "x-amz-expected-bucket-owner: a")]
    [InlineData("Accept-Encoding: identity", "x-amz-request-payer: requester")]
    public void TryRead_WhatNeedsThought_IsKestrels(string plain, string odd) => Assert.False(TryRead(Plain.Replace(plain, odd, StringComparison.Ordinal)));

    [Theory]
    [InlineData("Connection: Keep-Alive")]
    [InlineData("content-length: 0")]
    [InlineData("amz-sdk-invocation-id: 1")]
    [InlineData("x-amz-checksum-mode: ENABLED")]
    [InlineData("traceparent: 00-1-2-01")]
    public void TryRead_WhatChangesNothing_IsTaken(string header) => Assert.True(TryRead(Plain.Replace("Accept-Encoding: identity", header, StringComparison.Ordinal)));

    [Theory]
    [InlineData("localhost")]
    [InlineData("10.0.0.1:9000")]
    [InlineData("a-bucket.s3_x.example.com:1")]
    public void TryRead_HostsAsTheyAre_AreTaken(string host)
    {
        Assert.True(TryRead(Plain.Replace("proxy:9000", host, StringComparison.Ordinal)));

        // The next one is looked at too, though the place is taken.
        Assert.False(TryRead(Plain.Replace("proxy:9000", host + "/", StringComparison.Ordinal)));
        Assert.True(TryRead(Plain.Replace("proxy:9000", host, StringComparison.Ordinal)));
    }

    private bool TryRead(string text) => _head.TryRead(Encoding.UTF8.GetBytes(text));

    private readonly struct NameList(List<string> names) : IHeaderNameVisitor
    {
        public List<string> Names { get; } = names;

        public bool Visit(string name)
        {
            Names.Add(name);
            return true;
        }
    }
}
