using System.Text;
using Microsoft.Extensions.Time.Testing;
using Proxy.Bench.Http;

namespace Proxy.UnitTests.Bench;

/// <summary>The bench's own signatures, against the examples in Amazon's S3 API reference ("Signature Calculations").</summary>
public sealed class RequestSignerTests
{
    private const string SecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    private static readonly S3Target Target = new(
        new Uri("http://examplebucket.s3.amazonaws.com"), "AKIAIOSFODNN7EXAMPLE", SecretKey, "us-east-1", "");

    [Theory]
    [InlineData("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
    [InlineData("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    public void WriteHead_AmazonsExample_HasItsSignature(string query, string signature)
    {
        var signer = NewSigner();
        var head = new byte[RequestSigner.HeadBytes];
        var length = signer.WriteHead(head, "GET", null, query, RequestSigner.EmptyPayload, []);
        Assert.Equal(signature, Encoding.ASCII.GetString(signer.Signature));
        Assert.EndsWith($"Signature={signature}\r\n\r\n", Encoding.ASCII.GetString(head, 0, length), StringComparison.Ordinal);
    }

    [Fact]
    public void WriteHead_AmazonsRangeExample_SignsTheRange()
    {
        var signer = NewSigner();
        signer.WriteHead(new byte[RequestSigner.HeadBytes], "GET", "test.txt", "", RequestSigner.EmptyPayload, [new("range", "bytes=0-9")]);
        Assert.Equal("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", Encoding.ASCII.GetString(signer.Signature));
    }

    [Fact]
    public void WriteHead_HeadersOnBothSidesOfHost_AreSignedInTheirOrder()
    {
        var signer = NewSigner();
        var head = new byte[RequestSigner.HeadBytes];
        RequestHeader[] headers =
        [
            new("content-length", "3"), new("content-type", "text/plain", IsSigned: false), new("if-match", "\"a\""), new("range", "bytes=0-9"),
            new("x-amz-copy-source", "/a/b"), new("x-amz-trailer", "x"),
        ];
        var text = Encoding.ASCII.GetString(head, 0, signer.WriteHead(head, "PUT", "a", "", RequestSigner.UnsignedPayload, headers));
        Assert.Contains(
            "SignedHeaders=content-length;host;if-match;range;x-amz-content-sha256;x-amz-copy-source;x-amz-date;x-amz-trailer,", text, StringComparison.Ordinal);
        Assert.Contains("\r\ncontent-type: text/plain\r\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void SignChunk_AmazonsExample_ChainsItsSignatures()
    {
        var signer = NewSigner();
        signer.WriteHead(new byte[RequestSigner.HeadBytes], "PUT", null, "", RequestSigner.StreamingPayload, []);
        var content = Enumerable.Repeat((byte)'a', 65 * 1024).ToArray();
        signer.SignChunk("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"u8, content.AsSpan(0, 65536));
        Assert.Equal("ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", Encoding.ASCII.GetString(signer.Signature));
        signer.SignChunk(content.AsSpan(65536));
        Assert.Equal("0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", Encoding.ASCII.GetString(signer.Signature));
        signer.SignChunk([]);
        Assert.Equal("b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", Encoding.ASCII.GetString(signer.Signature));
    }

    [Fact]
    public void EncodePath_KeepsUnreservedAndSlashes()
        => Assert.Equal("files/a%20b%2Bc/%E6%BC%A2~-_.", RequestSigner.EncodePath("files/a b+c/漢~-_."));

    private static RequestSigner NewSigner() => new(Target, new FakeTimeProvider(new DateTimeOffset(2013, 5, 24, 0, 0, 0, TimeSpan.Zero)));
}
