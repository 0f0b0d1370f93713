using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;

namespace Proxy.FunctionalTests.Backends;

/// <summary>A checksum that a client sends in a trailer, through a proxy to another of our servers: what that one keeps, asked directly.</summary>
public sealed class TrailingChecksumTests : IAsyncLifetime
{
    private const string Bucket = "a-bucket";

    private ProxyProcess _backend = null!;
    private S3Wire _direct = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await ProxyProcess.StartAsync();
        _direct = new S3Wire(_backend.Endpoint, Bucket);
        (await _direct.PutAsync("", "")).Expect(200);
    }

    public async ValueTask DisposeAsync()
    {
        await _direct.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Fact]
    public async Task Forward_BackendKeepsWhatTheClientSent()
    {
        await using var proxy = await StartAsync("Forward");
        await using var s3 = new S3Wire(proxy.Endpoint, Bucket);
        foreach (var mode in (string[])[PayloadHash.StreamingUnsignedTrailer, PayloadHash.StreamingSignedTrailer])
        {
            foreach (var algorithm in ChecksumAlgorithms.All)
            {
                foreach (var length in (int[])[0, 1, 65_536, 300_001])
                {
                    var body = SeveralBackendsTests.MakeBytes(length);
                    var put = (await s3.SendAsync(Put("/k", body, algorithm, Sum(algorithm, body)) with { PayloadHash = mode, Headers = [new("Content-Encoding", "aws-chunked,gzip"), new("x-amz-sdk-checksum-algorithm", algorithm.ToS3Name())] })).Expect(200);
                    Assert.Equal(Sum(algorithm, body), put.Header(algorithm.ToHeaderName()));
                    var kept = (await _direct.GetAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200);
                    Assert.Equal(body, kept.Body);
                    Assert.Equal("gzip", kept.Header("Content-Encoding"));
                    Assert.Equal(Sum(algorithm, body), kept.Header(algorithm.ToHeaderName()));
                    Assert.Equal(body, (await s3.GetAsync("/k")).Expect(200).Body);
                }
            }
        }
    }

    [Fact]
    public async Task Verify_BackendHasThePlainBodyOnly()
    {
        await using var proxy = await StartAsync("Verify");
        await using var s3 = new S3Wire(proxy.Endpoint, Bucket);
        var body = SeveralBackendsTests.MakeBytes(100_000);
        (await s3.SendAsync(Put("/k", body, ChecksumAlgorithm.Crc32, Sum(ChecksumAlgorithm.Crc32, body)))).Expect(200);
        var kept = (await _direct.GetAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200);
        Assert.Equal(body, kept.Body);
        Assert.Null(kept.Header("x-amz-checksum-crc32"));
    }

    [Fact]
    public async Task Forward_PartsOfAnUploadThatNamedAnAlgorithm_ComposeItsChecksum()
    {
        await using var proxy = await StartAsync("Forward");
        await using var s3 = new S3Wire(proxy.Endpoint, Bucket);
        const ChecksumAlgorithm Algorithm = ChecksumAlgorithm.Crc32C;
        byte[] one = SeveralBackendsTests.MakeBytes(5 << 20), two = SeveralBackendsTests.MakeBytes(1000);
        var upload = await s3.CreateUploadAsync("/k", ("x-amz-checksum-algorithm", Algorithm.ToS3Name()));
        var first = (await s3.SendAsync(Put($"/k?partNumber=1&uploadId={upload}", one, Algorithm, Sum(Algorithm, one)))).Expect(200).ETag!;
        var second = (await s3.SendAsync(Put($"/k?partNumber=2&uploadId={upload}", two, Algorithm, Sum(Algorithm, two)))).Expect(200).ETag!;
        (await s3.CompleteAsync("/k", upload, [(1, first, Sum(Algorithm, one)), (2, second, Sum(Algorithm, two))], "ChecksumCRC32C")).Expect(200);
        var expected = Sum(Algorithm, [.. Convert.FromBase64String(Sum(Algorithm, one)), .. Convert.FromBase64String(Sum(Algorithm, two))]) + "-2";
        Assert.Equal(expected, (await _direct.HeadAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200).Header(Algorithm.ToHeaderName()));
        Assert.Equal((byte[])[.. one, .. two], (await s3.GetAsync("/k")).Expect(200).Body);
    }

    [Fact]
    public async Task Forward_WrongChecksum_LeavesTheOldVersion()
    {
        await using var proxy = await StartAsync("Forward");
        var old = SeveralBackendsTests.MakeBytes(1000);
        (await _direct.PutAsync("/k", old)).Expect(200);
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            foreach (var length in (int[])[0, 1, 65_536, 2_000_000])
            {
                await using var s3 = new S3Wire(proxy.Endpoint, Bucket);
                (await s3.SendAsync(Put("/k", new byte[length], algorithm, Sum(algorithm, [5])))).Expect(400, "BadDigest");
                Assert.Equal(old, (await _direct.GetAsync("/k")).Expect(200).Body);
            }
        }
    }

    private Task<ProxyProcess> StartAsync(string trailingChecksums) => ProxyProcess.StartAsync(["--set", $"Backend:TrailingChecksums={trailingChecksums}"], _backend.Endpoint);

    private static WireRequest Put(string path, byte[] body, ChecksumAlgorithm algorithm, string sum)
        => new("PUT", $"/{Bucket}{path}") { Body = body, PayloadHash = PayloadHash.StreamingUnsignedTrailer, Trailers = [new(algorithm.ToHeaderName(), sum)] };

    private static string Sum(ChecksumAlgorithm algorithm, byte[] body)
    {
        using var sum = IncrementalChecksum.Create(algorithm);
        sum.Append(body);
        return sum.GetBase64AndReset();
    }
}
