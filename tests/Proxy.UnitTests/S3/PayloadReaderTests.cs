using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.S3.Streaming;

namespace Proxy.UnitTests.S3;

public sealed class PayloadReaderTests
{
    private static readonly Credential Example = new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    private static readonly FakeTimeProvider Time = new(new DateTimeOffset(2013, 5, 24, 0, 0, 0, TimeSpan.Zero));
    private static readonly byte[] ExampleBody = Encoding.ASCII.GetBytes(new string('a', 66_560));

    // API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks".
    [Fact]
    public async Task Open_PublishedChunkedExample_IsDecodedAndAccepted()
    {
        var headers = new HeaderTable { ["Host"] = "s3.amazonaws.com" };
        var seed = Sign(headers, PayloadHash.StreamingSigned, "/examplebucket/chunkObject.txt",
            new("content-encoding", "aws-chunked"), new("content-length", "66824"), new("x-amz-decoded-content-length", "66560"), new("x-amz-storage-class", "REDUCED_REDUNDANCY"));
        Assert.EndsWith("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", headers["Authorization"]);
        var encoded = AwsChunkedEncoder.Encode(ExampleBody, 65_536, seed);
        Assert.Equal(66_824, encoded.Length);
        Assert.Equal(66_824, AwsChunkedEncoder.EncodedLength(66_560, 65_536, signed: true));
        var text = Encoding.ASCII.GetString(encoded);
        Assert.StartsWith("10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n", text);
        Assert.Contains("\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n", text);
        Assert.EndsWith("\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n", text);
        Assert.Equal(ExampleBody, await DecodeAsync(encoded, headers, "/examplebucket/chunkObject.txt"));
    }

    // The same page's sibling with trailing headers.
    [Fact]
    public async Task Open_PublishedTrailerExample_IsDecodedAndAccepted()
    {
        var headers = new HeaderTable { ["Host"] = "s3.amazonaws.com" };
        var seed = Sign(headers, PayloadHash.StreamingSignedTrailer, "/examplebucket/chunkObject.txt", new("content-encoding", "aws-chunked"),
            new("x-amz-decoded-content-length", "66560"), new("x-amz-storage-class", "REDUCED_REDUNDANCY"), new("x-amz-trailer", "x-amz-checksum-crc32c"));
        Assert.EndsWith("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", headers["Authorization"]);
        KeyValuePair<string, string>[] trailers = [new("x-amz-checksum-crc32c", "sOO8/Q==")];
        var encoded = AwsChunkedEncoder.Encode(ExampleBody, 65_536, seed, trailers);
        Assert.Equal(AwsChunkedEncoder.EncodedLength(66_560, 65_536, signed: true, trailers), encoded.Length);
        Assert.EndsWith("x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n", Encoding.ASCII.GetString(encoded));
        var content = Open(new MemoryStream(encoded), headers, "/examplebucket/chunkObject.txt");
        Assert.Equal(ExampleBody, await PayloadStreams.ReadAllAsync(content.Stream));
        Assert.Equal(("CRC32C", "sOO8/Q=="), (content.ChecksumsAfterEnd()!.Algorithm, content.ChecksumsAfterEnd()!.Value));

        // minio-go ends the trailer with a lone LF and puts a blank line before its signature.
        var text = Encoding.ASCII.GetString(encoded).Replace("sOO8/Q==\r\n", "sOO8/Q==\n\r\n", StringComparison.Ordinal);
        Assert.Equal(ExampleBody, await DecodeAsync(Encoding.ASCII.GetBytes(text), headers, "/examplebucket/chunkObject.txt"));
    }

    public static TheoryData<string, int, int, int> Shapes()
    {
        var data = new TheoryData<string, int, int, int>();
        foreach (var mode in new[] { PayloadHash.Unsigned, "sha256", PayloadHash.StreamingSigned, PayloadHash.StreamingSignedTrailer, PayloadHash.StreamingUnsignedTrailer })
        {
            foreach (var length in new[] { 0, 1, 65_535, 65_536, 65_537, 300_000 })
            {
                data.Add(mode, length, 65_536, 7);
                data.Add(mode, length, 1 << 20, 4096);
                data.Add(mode, length, 8192, 1 << 20);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task Open_EveryMode_GivesTheBytesAndFailsWhenOneIsChanged(string mode, int length, int chunkSize, int piece)
    {
        var body = RandomBytes(length);
        var (encoded, headers) = Encode(mode, body, chunkSize);
        var content = Open(new PayloadStreams.Piecewise(encoded, piece), headers);
        Assert.Equal(length, content.Length);
        Assert.Equal(body, await PayloadStreams.ReadAllAsync(content.Stream));
        if (mode is PayloadHash.Unsigned || length == 0)
        {
            return;
        }

        var at = encoded.AsSpan().IndexOf(body.AsSpan(0, Math.Min(body.Length, 16))) + Math.Min(length - 1, 10);
        encoded[at] ^= 1;
        var error = await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(Open(new PayloadStreams.Piecewise(encoded, piece), headers).Stream));
        Assert.Equal(mode switch { "sha256" => "XAmzContentSHA256Mismatch", PayloadHash.StreamingUnsignedTrailer => "BadDigest", _ => "SignatureDoesNotMatch" }, error.Code.Name);
    }

    [Theory]
    [InlineData(PayloadHash.Unsigned)]
    [InlineData("sha256")]
    [InlineData(PayloadHash.StreamingSigned)]
    [InlineData(PayloadHash.StreamingSignedTrailer)]
    [InlineData(PayloadHash.StreamingUnsignedTrailer)]
    public async Task Open_BodyCutAnywhere_NeverEndsCleanly(string mode)
    {
        var (encoded, headers) = Encode(mode, RandomBytes(3000), 1024);

        // The last line end is the only thing that may be missing.
        for (var keep = 0; keep < encoded.Length - 2; keep += keep < encoded.Length - 300 ? 97 : 1)
        {
            var stream = Open(new MemoryStream(encoded, 0, keep), headers).Stream;
            var error = await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(stream));
            Assert.Same(error, await Assert.ThrowsAsync<S3Exception>(async () => await stream.ReadExactlyAsync(new byte[1])));
        }
    }

    [Fact]
    public async Task Open_LastBytes_AreHeldBackUntilVerified()
    {
        var (encoded, headers) = Encode("sha256", RandomBytes(1000), 0);
        encoded[0] ^= 1;
        await using var stream = Open(new MemoryStream(encoded), headers).Stream;
        Assert.Equal(999, await stream.ReadAsync(new byte[999]));
        await Assert.ThrowsAsync<S3Exception>(async () => await stream.ReadExactlyAsync(new byte[1]));
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("gzip", "gzip")]
    [InlineData("aws-chunked", null)]
    [InlineData("aws-chunked, gzip", "gzip")]
    [InlineData("gzip,AWS-Chunked,br", "gzip,br")]
    public void WithoutAwsChunked_ContentEncoding_KeepsTheRest(string? sent, string? kept) => Assert.Equal(kept, PayloadReader.WithoutAwsChunked(sent));

    [Fact]
    public async Task Open_MinioGoEmptyObject_IsEmpty()
    {
        var headers = new HeaderTable { ["Host"] = "h", ["content-length"] = "0" };
        Sign(headers, PayloadHash.StreamingSigned, "/b/k", new KeyValuePair<string, string>("x-amz-decoded-content-length", "0"));
        var content = Open(Stream.Null, headers);
        Assert.Equal(0, content.Length);
        Assert.Empty(await PayloadStreams.ReadAllAsync(content.Stream));
    }

    [Fact]
    public async Task Open_RawBodyWithoutLength_EndsWithTheStream()
    {
        var body = RandomBytes(100_000);
        var headers = new HeaderTable { ["Host"] = "h", ["content-md5"] = Convert.ToBase64String(MD5.HashData(body)) };
        Sign(headers, PayloadHash.Unsigned, "/b/k");
        var content = Open(new PayloadStreams.Piecewise(body, 1000), headers);
        Assert.Null(content.Length);
        Assert.Equal(body, await PayloadStreams.ReadAllAsync(content.Stream));
    }

    [Theory]
    [InlineData("content-md5", "x", "InvalidDigest")]
    [InlineData("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", "BadDigest")]
    [InlineData("x-amz-checksum-crc32", "AAAAAA==", "BadDigest")]
    [InlineData("x-amz-checksum-crc32", "AAAA", "BadDigest")]
    [InlineData("x-amz-checksum-sha256", "???", "BadDigest")]
    [InlineData("x-amz-trailer", "x-amz-checksum-crc32", "InvalidRequest")]
    [InlineData("x-amz-sdk-checksum-algorithm", "MD4", "InvalidRequest")]
    [InlineData("content-length", "-1", "InvalidArgument")]
    public async Task Open_DigestThatIsNone_IsRefused(string name, string value, string code)
    {
        var body = RandomBytes(10);
        var headers = new HeaderTable { ["Host"] = "h", ["content-length"] = "10", [name] = value };
        Assert.Equal(code, (await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(PayloadReader.Open(new MemoryStream(body), default, headers).Stream))).Code.Name);
    }

    [Fact]
    public void Open_TwoChecksums_AreRefused()
    {
        var headers = new HeaderTable { ["x-amz-checksum-crc32"] = "AAAAAA==", ["x-amz-checksum-crc32c"] = "AAAAAA==" };
        Assert.Equal("InvalidRequest", Assert.Throws<S3Exception>(() => { PayloadReader.Open(Stream.Null, default, headers); }).Code.Name);
    }

    // minio-go sends the object's checksum with CompleteMultipartUpload, whose body is a list of parts.
    [Fact]
    public async Task Open_CompleteMultipartUpload_DoesNotTakeTheObjectsChecksumForTheBodys()
    {
        var headers = new HeaderTable { ["content-length"] = "3", ["x-amz-checksum-crc32c"] = "AAAAAA==-2" };
        var content = PayloadReader.Open(new MemoryStream([1, 2, 3]), default, headers, checksumsOfObject: true);
        Assert.Equal([1, 2, 3], await PayloadStreams.ReadAllAsync(content.Stream));
        Assert.Null(content.ChecksumsAfterEnd());
        Assert.Equal("BadDigest", (await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(PayloadReader.Open(new MemoryStream([1, 2, 3]), default, headers).Stream))).Code.Name);
    }

    [Fact]
    public async Task Open_EveryChecksumHeader_IsVerifiedAndReported()
    {
        var body = RandomBytes(70_000);
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            using var checksum = IncrementalChecksum.Create(algorithm);
            checksum.Append(body);
            var headers = new HeaderTable { ["content-length"] = "70000", [algorithm.ToHeaderName()] = checksum.GetBase64AndReset() };
            var content = PayloadReader.Open(new MemoryStream(body), default, headers);
            await PayloadStreams.ReadAllAsync(content.Stream);
            Assert.Equal((algorithm.ToS3Name(), headers[algorithm.ToHeaderName()]), (content.ChecksumsAfterEnd()!.Algorithm, content.ChecksumsAfterEnd()!.Value));

            content = PayloadReader.Open(new MemoryStream(body), default, new HeaderTable { ["content-length"] = "70000" }, algorithm);
            await PayloadStreams.ReadAllAsync(content.Stream);
            Assert.Equal(headers[algorithm.ToHeaderName()], content.ChecksumsAfterEnd()!.Value);
        }
    }

    [Fact]
    public async Task Open_RandomSignedBytesChanged_IsNeverAccepted()
    {
        var random = new Random(7);
        var (encoded, headers) = Encode(PayloadHash.StreamingSignedTrailer, RandomBytes(2000), 512);
        for (var i = 0; i < 2000; i++)
        {
            var copy = (byte[])encoded.Clone();
            var at = random.Next(copy.Length - 4);
            copy[at] ^= (byte)(1 << random.Next(8));

            // The case of hex digits and of trailer names carries no meaning.
            if (char.ToLowerInvariant((char)copy[at]) == char.ToLowerInvariant((char)encoded[at]))
            {
                continue;
            }

            await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(Open(new MemoryStream(copy), headers).Stream));
        }
    }

    private static (byte[] Encoded, HeaderTable Headers) Encode(string mode, byte[] body, int chunkSize)
    {
        var headers = new HeaderTable { ["Host"] = "h" };
        if (mode is PayloadHash.Unsigned or "sha256")
        {
            headers["content-length"] = body.Length.ToString();
            Sign(headers, mode == "sha256" ? Convert.ToHexStringLower(SHA256.HashData(body)) : mode, "/b/k");
            return ((byte[])body.Clone(), headers);
        }

        using var crc = IncrementalChecksum.Create(ChecksumAlgorithm.Crc64Nvme);
        crc.Append(body);
        KeyValuePair<string, string>[]? trailers = mode == PayloadHash.StreamingSigned ? null : [new("x-amz-checksum-crc64nvme", crc.GetBase64AndReset())];
        List<KeyValuePair<string, string>> extra = [new("x-amz-decoded-content-length", body.Length.ToString())];
        if (trailers is not null)
        {
            extra.Add(new("x-amz-trailer", trailers[0].Key));
        }

        var signer = Sign(headers, mode, "/b/k", [.. extra]);
        return (AwsChunkedEncoder.Encode(body, chunkSize, signer, trailers), headers);
    }

    private static ChunkSigner? Sign(HeaderTable headers, string payload, string target, params KeyValuePair<string, string>[] extra)
    {
        var signed = new RequestSigner("us-east-1", Time).Sign("PUT", target, headers["Host"], extra, payload, Example);
        SignatureTests.Apply(signed, headers);
        foreach (var (name, value) in extra)
        {
            headers[name] = value;
        }

        return signed.Chunks;
    }

    private static Proxy.S3.Objects.UploadContent Open(Stream body, HeaderTable headers, string target = "/b/k")
    {
        var verifier = new SignatureVerifier(new CredentialTable([Example]), new SignatureOptions(), Time);
        return PayloadReader.Open(body, verifier.Verify("PUT", S3Target.Parse(target, null, Addressing.PathStyle), headers), headers);
    }

    private static Task<byte[]> DecodeAsync(byte[] encoded, HeaderTable headers, string target) => PayloadStreams.ReadAllAsync(Open(new MemoryStream(encoded), headers, target).Stream);

    private static byte[] RandomBytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }
}
