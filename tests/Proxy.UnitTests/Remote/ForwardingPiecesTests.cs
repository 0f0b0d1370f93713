using System.Text;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.Server.Forwarding;

namespace Proxy.UnitTests.Remote;

public sealed class ForwardingPiecesTests
{
    [Theory]
    [InlineData("<Error><Code>InternalError</Code></Error>", "InternalError")]
    [InlineData("   \r\n\t<?xml version=\"1.0\"?>\n<Error><Message>m</Message><Code>SlowDown</Code></Error>", "SlowDown")]
    [InlineData("<?xml version=\"1.0\" encoding=\"UTF-8\"?>     \n   <Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Code>NoSuchUpload</Code></Error>", "NoSuchUpload")]
    [InlineData("<Error/>", "Unknown")]
    [InlineData("<CompleteMultipartUploadResult><ETag>&quot;e&quot;</ETag></CompleteMultipartUploadResult>", null)]
    [InlineData("<DeleteResult><Error><Code>AccessDenied</Code></Error></DeleteResult>", null)]
    [InlineData("", null)]
    [InlineData("   ", null)]
    [InlineData("upstream timed out", "Unknown")]
    public void ErrorDocument_Body_IsAnErrorByItsRoot(string body, string? code)
        => Assert.Equal(code, ErrorDocument.TryReadCode(Encoding.UTF8.GetBytes(body)));

    [Fact]
    public void ErrorDocument_OnlyDeclarations_IsAnError()
        => Assert.Equal("Unknown", ErrorDocument.TryReadCode(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("<?xml?>", 20_000)))));

    [Theory]
    [InlineData("/b/k/x%2F..//y?versionId=1", "b", "k/x%2F..//y", "versionId=1")]
    [InlineData("/b//k", "b", "/k", null)]
    [InlineData("/b/a+b%20c?prefix=a+b", "b", "a%2Bb%20c", "prefix=a+b")]
    [InlineData("/b?uploads", "b", null, "uploads")]
    [InlineData("/b/", "b", null, null)]
    [InlineData("/", null, null, null)]
    [InlineData("/?x=1", null, null, "x=1")]
    public void To_Target_KeepsTheSpellingButOfAPlus(string rawTarget, string? bucket, string? rawKey, string? rawQuery)
    {
        var request = ForwardRequest.To(S3Target.Parse(rawTarget, "h", Addressing.PathStyle), "Op");

        Assert.Equal((bucket, rawKey, rawQuery), (request.Bucket, request.RawKey, request.RawQuery));
    }

    [Fact]
    public void To_VirtualHostTarget_HasTheWholePathAsKey()
        => Assert.Equal("k/x", ForwardRequest.To(S3Target.Parse("/k/x", "b.s3.example.com", new Addressing(["s3.example.com"])), "Op").RawKey);

    [Theory]
    [InlineData("a=1&b=%2f", "a=1&b=%2f")]
    [InlineData("X-Amz-Date=1", "X-Amz-Date=1")]
    [InlineData("X-Amz-Algorithm=A&X-Amz-Credential=c&a=1&X-Amz-Security-Token=t&X-Amz-Signature=s&x-amz-acl=private", "a=1&x-amz-acl=private")]
    [InlineData("X-Amz-Signature=s", "")]
    public void WithoutPresigning_Query_LosesOnlyASignaturesParameters(string query, string left)
        => Assert.Equal(left, ForwardTransformer.WithoutPresigning(query));

    [Fact]
    public async Task ForwardedBody_LastBytes_AreHeldBackUntilTheEndWasSeen()
    {
        var inner = new Steps([[1, 2, 3], [4, 5]], new S3Exception(S3ErrorCode.XAmzContentSha256Mismatch));
        var body = new ForwardedBody(inner, 5);
        var buffer = new byte[16];

        Assert.Equal(0, await body.ReadAsync(Memory<byte>.Empty, default));
        Assert.Equal(3, await body.ReadAsync(buffer, default));
        await Assert.ThrowsAsync<S3Exception>(async () => await body.ReadExactlyAsync(new byte[2]));
        Assert.Equal(S3ErrorCode.XAmzContentSha256Mismatch, body.Rejection!.Code);
    }

    [Fact]
    public async Task ForwardedBody_ClientGoesAway_IsNoRejection()
    {
        var body = new ForwardedBody(new Steps([[1]], new IOException("reset")), 5);
        await body.ReadExactlyAsync(new byte[1]);

        await Assert.ThrowsAsync<IOException>(async () => await body.ReadExactlyAsync(new byte[1]));
        Assert.Null(body.Rejection);
        Assert.IsType<IOException>(body.ClientFailure);
    }

    private sealed class Steps(byte[][] pieces, Exception end) : MemoryStream
    {
        private int _next;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_next == pieces.Length)
            {
                throw end;
            }

            pieces[_next].CopyTo(buffer);
            return ValueTask.FromResult(pieces[_next++].Length);
        }
    }
}
