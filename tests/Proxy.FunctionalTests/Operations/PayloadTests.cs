using System.Security.Cryptography;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;

namespace Proxy.FunctionalTests.Operations;

/// <summary>The five payload modes: whole bodies arrive whole; a wrong byte, digest, checksum or signature is a 4xx and leaves the old version as it was.</summary>
public sealed class PayloadTests(TestServers servers) : OperationTests(servers)
{
    private static readonly (string Hash, bool Trailer)[] Modes =
    [
        (PayloadHash.Unsigned, false), (PayloadHash.StreamingSigned, false), (PayloadHash.StreamingSignedTrailer, true), (PayloadHash.StreamingUnsignedTrailer, true),
    ];

    [Theory, EverySetup]
    public Task Whole_InEveryMode_ArrivesWhole(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var length in (int[])[0, 1, 70_000, 300_000])
        {
            var body = Bytes(length, length + 1);
            await using var other = s3.Another();
            (await other.SendAsync(Put(s3, body))).Expect(200);
            foreach (var (hash, trailer) in Modes)
            {
                foreach (var chunked in (bool[])[false, true])
                {
                    var request = Put(s3, body) with { PayloadHash = hash, Trailers = trailer ? Crc32(body) : null, Chunked = chunked, Headers = trailer || hash == PayloadHash.StreamingSigned ? [new("Content-Encoding", "aws-chunked")] : [] };
                    if (chunked && !trailer)
                    {
                        continue; // S3 takes bodies of unknown length only with a decoded length
                    }

                    var answer = (await s3.SendAsync(request)).Expect(200);
                    Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData(body))}\"", answer.ETag);
                    var read = (await s3.GetAsync("/k")).Expect(200);
                    Assert.Equal(body, read.Body);
                    Assert.Null(read.Header("Content-Encoding"));
                }
            }
        }
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task WithoutLength_InEveryMode_ArrivesWholeOrLeavesTheOldVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var length in (int[])[0, 1, 70_000, 2_000_000])
        {
            foreach (var (hash, trailer) in ((string?, bool)[])[(null, false), .. Modes])
            {
                var body = Bytes(length, length + (hash ?? "hex").Length);
                var request = Put(s3, body) with { PayloadHash = hash, Trailers = trailer ? Crc32(body) : null, Chunked = true };
                Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData(body))}\"", (await s3.SendAsync(request)).Expect(200).ETag);
                Assert.Equal(body, (await s3.GetAsync("/k")).Expect(200).Body);
                if (length == 0 || hash == PayloadHash.Unsigned)
                {
                    continue; // nothing to corrupt, or nothing to notice it by
                }

                await using var writer = s3.Another();
                Assert.InRange((await writer.SendAsync(request with { Corrupt = hash is null ? Flip(length / 2) : FlipData() })).Status, 400, 403);
                Assert.Equal(body, (await s3.GetAsync("/k")).Expect(200).Body);
            }
        }
    });

    [Theory, EverySetup]
    public Task MinioGoStyle_ChunksWithoutContentEncoding_Arrive(Setup setup) => RunAsync(setup, async s3 =>
    {
        var body = Bytes(200_000);
        (await s3.SendAsync(Put(s3, body) with { PayloadHash = PayloadHash.StreamingSigned })).Expect(200);
        Assert.Equal(body, (await s3.GetAsync("/k")).Expect(200).Body);
        (await s3.SendAsync(Put(s3, body) with { PayloadHash = PayloadHash.StreamingSigned, Headers = [new("Content-Encoding", "aws-chunked,gzip")] })).Expect(200);
        Assert.Equal("gzip", (await s3.HeadAsync("/k")).Expect(200).Header("Content-Encoding"));
    });

    [Theory, EverySetup]
    public Task Corrupted_InEveryMode_LeavesTheOldVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        var old = Bytes(1000, 7);
        (await s3.PutAsync("/k", old)).Expect(200);
        await using var reader = s3.Another();
        foreach (var length in (int[])[1, 100_000, 2_000_000])
        {
            var body = Bytes(length, length);
            (string Code, WireRequest Request)[] wrong =
            [
                ("XAmzContentSHA256Mismatch", Put(s3, body) with { Corrupt = Flip(0) }),
                ("XAmzContentSHA256Mismatch", Put(s3, body) with { Corrupt = Flip(length - 1) }),
                ("BadDigest", Put(s3, body) with { PayloadHash = PayloadHash.Unsigned, Corrupt = Flip(0), Headers = [new("Content-MD5", Convert.ToBase64String(MD5.HashData(body)))] }),
                ("BadDigest", Put(s3, body) with { PayloadHash = PayloadHash.Unsigned, Corrupt = Flip(0), Headers = Crc32(body) }),
                ("SignatureDoesNotMatch", Put(s3, body) with { PayloadHash = PayloadHash.StreamingSigned, Corrupt = FlipData() }),
                ("SignatureDoesNotMatch", Put(s3, body) with { PayloadHash = PayloadHash.StreamingSigned, Corrupt = FlipHex(20) }),
                ("SignatureDoesNotMatch", Put(s3, body) with { PayloadHash = PayloadHash.StreamingSignedTrailer, Trailers = Crc32(body), Corrupt = FlipData() }),
                ("SignatureDoesNotMatch", Put(s3, body) with { PayloadHash = PayloadHash.StreamingSignedTrailer, Trailers = Crc32(body), Corrupt = FlipHexFromEnd(10) }),
                ("BadDigest", Put(s3, body) with { PayloadHash = PayloadHash.StreamingSignedTrailer, Trailers = Crc32(Bytes(5)) }),
                ("BadDigest", Put(s3, body) with { PayloadHash = PayloadHash.StreamingUnsignedTrailer, Trailers = Crc32(Bytes(5)) }),
                ("BadDigest", Put(s3, body) with { PayloadHash = PayloadHash.StreamingUnsignedTrailer, Trailers = Crc32(body), Corrupt = FlipData() }),
                ("BadDigest", Put(s3, body) with { PayloadHash = PayloadHash.StreamingUnsignedTrailer, Trailers = Crc32(Bytes(5)), Chunked = true }),
            ];
            foreach (var (code, request) in wrong)
            {
                await using var writer = s3.Another();
                var answer = await writer.SendAsync(request);
                Assert.True(answer.Status is 400 or 403 && answer.ErrorCode == code, $"{length} bytes, {request.PayloadHash ?? "sha256"}, expected {code}: got {answer.Status} {answer.ErrorCode}");
                Assert.Equal(old, (await reader.GetAsync("/k")).Expect(200).Body);

                // And where there was nothing, there is nothing.
                await using var again = s3.Another();
                (await again.SendAsync(request with { Target = $"/{s3.Bucket}/new" })).Expect(answer.Status);
                (await reader.HeadAsync("/new")).Expect(404);
                (await reader.GetAsync("/new")).Expect(404, "NoSuchKey");
            }
        }
    });

    [Theory, EverySetup]
    public Task CutOff_LeavesTheOldVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        var old = Bytes(1000, 7);
        (await s3.PutAsync("/k", old)).Expect(200);
        foreach (var (hash, trailer) in (((string, bool)[])[(PayloadHash.Unsigned, false), .. Modes]))
        {
            foreach (var reset in (bool[])[false, true])
            {
                var body = Bytes(500_000);
                var (head, encoded) = s3.Encode(Put(s3, body) with { PayloadHash = hash, Trailers = trailer ? Crc32(body) : null });
                await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
                await connection.WriteAsync(head);
                await connection.WriteAsync(encoded.AsMemory(0, encoded.Length - 1));
                if (reset)
                {
                    connection.Reset();
                }
            }
        }

        Assert.Equal(old, (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task Framing_ThatIsNone_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        var body = Bytes(1000);
        foreach (var framed in (string[])["", "x", "zz;chunk-signature=00\r\n", "ffffffffffffffff;chunk-signature=0\r\n", "5\r\nhello\r\n0\r\n\r\n", new string('1', 5000)])
        {
            await using var writer = s3.Another();
            var answer = await writer.SendAsync(Put(s3, System.Text.Encoding.ASCII.GetBytes(framed)) with
            {
                PayloadHash = PayloadHash.StreamingSigned,
                Corrupt = bytes => bytes.AsSpan().Fill((byte)'q'),
            });
            Assert.InRange(answer.Status, 400, 403);
        }

        (await s3.SendAsync(Put(s3, body) with { Headers = [new("x-amz-content-sha256", "nonsense")] })).Expect(400);
        (await s3.HeadAsync("/k")).Expect(404);
    });

    private static WireRequest Put(S3Wire s3, byte[] body) => new("PUT", $"/{s3.Bucket}/k") { Body = body };

    private static List<KeyValuePair<string, string>> Crc32(byte[] body)
    {
        using var sum = IncrementalChecksum.Create(ChecksumAlgorithm.Crc32);
        sum.Append(body);
        return [new("x-amz-checksum-crc32", sum.GetBase64AndReset())];
    }

    /// <summary>The first byte of the first chunk's data.</summary>
    private static Action<byte[]> FlipData() => bytes => bytes[bytes.AsSpan().IndexOf("\r\n"u8) + 2] ^= 1;

    private static Action<byte[]> Flip(int at) => bytes => bytes[Math.Min(at, bytes.Length - 1)] ^= 1;

    /// <summary>Another hex digit inside the first chunk's signature.</summary>
    private static Action<byte[]> FlipHex(int afterName) => bytes =>
    {
        var at = bytes.AsSpan().IndexOf("chunk-signature="u8) + afterName;
        bytes[at] = bytes[at] == (byte)'0' ? (byte)'1' : (byte)'0';
    };

    private static Action<byte[]> FlipHexFromEnd(int fromEnd) => bytes => bytes[^fromEnd] = bytes[^fromEnd] == (byte)'0' ? (byte)'1' : (byte)'0';
}
