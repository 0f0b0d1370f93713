using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;

namespace Proxy.FunctionalTests.Operations;

/// <summary>x-amz-checksum-*: as header or trailer, verified, kept, given back, and of multipart objects composed or whole.</summary>
public sealed class ChecksumTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task EachAlgorithm_InHeader_IsKept(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            var body = Bytes(100_000, (int)algorithm);
            var put = (await s3.PutAsync("/k", body, (algorithm.ToHeaderName(), Sum(algorithm, body)))).Expect(200);
            Assert.Equal(Sum(algorithm, body), put.Header(algorithm.ToHeaderName()));
            for (var round = 0; round < 2; round++)
            {
                Assert.Null((await s3.GetAsync("/k")).Expect(200).Header(algorithm.ToHeaderName()));
                Assert.Equal(Sum(algorithm, body), (await s3.GetAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200).Header(algorithm.ToHeaderName()));
                Assert.Equal(Sum(algorithm, body), (await s3.HeadAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200).Header(algorithm.ToHeaderName()));
                var link = new WireRequest("GET", $"/{s3.Bucket}/k?x-amz-checksum-mode=ENABLED") { Signing = Signing.Presigned };
                Assert.Equal(Sum(algorithm, body), (await s3.SendAsync(link)).Expect(200).Header(algorithm.ToHeaderName()));
            }
        }
    });

    /// <summary>In front of a remote backend a trailer ends at the proxy unless TrailingChecksums says otherwise (TrailingChecksumTests).</summary>
    [Fact]
    public Task EachAlgorithm_InTrailer_IsKeptByTheLocalStore() => RunAsync(Setup.Local, async s3 =>
    {
        foreach (var mode in (string[])[PayloadHash.StreamingUnsignedTrailer, PayloadHash.StreamingSignedTrailer])
        {
            foreach (var algorithm in ChecksumAlgorithms.All)
            {
                var body = Bytes(100_000, (int)algorithm);
                (await s3.SendAsync(new WireRequest("PUT", $"/{s3.Bucket}/k") { Body = body, PayloadHash = mode, Trailers = [new(algorithm.ToHeaderName(), Sum(algorithm, body))] })).Expect(200);
                Assert.Equal(Sum(algorithm, body), (await s3.GetAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200).Header(algorithm.ToHeaderName()));
            }
        }
    });

    [Theory, EverySetup]
    public Task EachAlgorithm_Wrong_LeavesTheOldVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "old")).Expect(200);
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            var body = Bytes(100_000);
            var wrong = Sum(algorithm, Bytes(5, 9));
            (await s3.PutAsync("/k", body, (algorithm.ToHeaderName(), wrong))).Expect(400, "BadDigest");
            await using var other = s3.Another();
            (await other.SendAsync(new WireRequest("PUT", $"/{s3.Bucket}/k") { Body = body, PayloadHash = PayloadHash.StreamingUnsignedTrailer, Trailers = [new(algorithm.ToHeaderName(), wrong)] })).Expect(400, "BadDigest");
            (await s3.PutAsync("/k", body, (algorithm.ToHeaderName(), "nonsense"))).Expect(400, "BadDigest");
        }

        Assert.Equal("old", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Theory, EverySetup]
    public Task Multipart_Composite_IsTheChecksumOfChecksums(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var algorithm in ChecksumAlgorithms.All.Where(algorithm => algorithm != ChecksumAlgorithm.Crc64Nvme))
        {
            byte[] one = Bytes(5 << 20, 1), two = Bytes(1000, 2);
            var upload = await s3.CreateUploadAsync("/k", ("x-amz-checksum-algorithm", algorithm.ToS3Name()));
            var first = await s3.UploadPartAsync("/k", upload, 1, one, (algorithm.ToHeaderName(), Sum(algorithm, one)));
            var second = await s3.UploadPartAsync("/k", upload, 2, two, (algorithm.ToHeaderName(), Sum(algorithm, two)));
            var element = "Checksum" + algorithm.ToS3Name();
            (await s3.CompleteAsync("/k", upload, [(1, first, Sum(algorithm, one)), (2, second, Sum(algorithm, two))], element)).Expect(200);
            var expected = Sum(algorithm, [.. Convert.FromBase64String(Sum(algorithm, one)), .. Convert.FromBase64String(Sum(algorithm, two))]) + "-2";
            var head = (await s3.HeadAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200);
            Assert.Equal(expected, head.Header(algorithm.ToHeaderName()));
            Assert.Equal("COMPOSITE", head.Header("x-amz-checksum-type"));
            var part = (await s3.GetAsync("/k?partNumber=2", ("x-amz-checksum-mode", "ENABLED"))).Expect(206);
            Assert.Equal(Sum(algorithm, part.Body), part.Header(algorithm.ToHeaderName()));
        }
    });

    [Theory, EverySetup]
    public Task Multipart_FullObject_IsTheBodys(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var algorithm in (ChecksumAlgorithm[])[ChecksumAlgorithm.Crc32, ChecksumAlgorithm.Crc32C, ChecksumAlgorithm.Crc64Nvme])
        {
            byte[] one = Bytes(5 << 20, 1), two = Bytes(1000, 2);
            var upload = await s3.CreateUploadAsync("/k", ("x-amz-checksum-algorithm", algorithm.ToS3Name()), ("x-amz-checksum-type", "FULL_OBJECT"));
            var first = await s3.UploadPartAsync("/k", upload, 1, one, (algorithm.ToHeaderName(), Sum(algorithm, one)));
            var second = await s3.UploadPartAsync("/k", upload, 2, two, (algorithm.ToHeaderName(), Sum(algorithm, two)));
            var whole = Sum(algorithm, [.. one, .. two]);
            (await s3.CompleteAsync("/k", upload, [(1, first), (2, second)], (algorithm.ToHeaderName(), Sum(algorithm, one)), ("x-amz-checksum-type", "FULL_OBJECT"))).Expect(400, "BadDigest");
            (await s3.CompleteAsync("/k", upload, [(1, first), (2, second)], (algorithm.ToHeaderName(), whole), ("x-amz-checksum-type", "FULL_OBJECT"))).Expect(200);
            var head = (await s3.HeadAsync("/k", ("x-amz-checksum-mode", "ENABLED"))).Expect(200);
            Assert.Equal(whole, head.Header(algorithm.ToHeaderName()));
            Assert.Equal("FULL_OBJECT", head.Header("x-amz-checksum-type"));
        }
    });

    [Theory, EverySetup]
    public Task UnknownAlgorithm_IsRefusedRatherThanLeftUnchecked(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x", ("x-amz-checksum-sha3", "AAAA"))).Expect(400, "InvalidRequest");
        (await s3.HeadAsync("/k")).Expect(404);
        (await s3.PutAsync("/k", "x", ("x-amz-checksum-type", "FULL_OBJECT"), ("x-amz-checksum-algorithm", "CRC32"))).Expect(200);
    });

    [Theory, EverySetup]
    public Task Multipart_AlgorithmAndType_MustExistTogether(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var (algorithm, type) in ((string?, string?)[])[("SHA3", null), ("SHA256", "FULL_OBJECT"), ("XXHASH3", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("CRC32", "WHOLE"), (null, "COMPOSITE")])
        {
            (string, string)[] headers = [.. algorithm is null ? [] : ((string, string)[])[("x-amz-checksum-algorithm", algorithm)], .. type is null ? [] : ((string, string)[])[("x-amz-checksum-type", type)]];
            (await s3.SendAsync("POST", "/k?uploads", [], headers)).Expect(400, "InvalidRequest");
        }

        var created = (await s3.SendAsync("POST", "/k?uploads", [], ("x-amz-checksum-algorithm", "crc32"), ("x-amz-checksum-type", "full_object"))).Expect(200);
        Assert.Equal(("CRC32", "FULL_OBJECT"), (created.Header("x-amz-checksum-algorithm"), created.Header("x-amz-checksum-type")));
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.PutAsync("/copy", "", ("x-amz-copy-source", $"{s3.Bucket}/k"), ("x-amz-checksum-algorithm", "SHA3"))).Expect(400, "InvalidRequest");
    });

    [Theory, EverySetup]
    public Task Multipart_ClaimsOfAnotherKind_AreRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        const ChecksumAlgorithm Sha256 = ChecksumAlgorithm.Sha256;
        byte[] one = Bytes(5 << 20, 1), two = Bytes(1000, 2);
        var upload = await s3.CreateUploadAsync("/k", ("x-amz-checksum-algorithm", "SHA256"));
        var part = $"/k?partNumber=1&uploadId={upload}";
        (await s3.PutAsync(part, one, ("x-amz-checksum-crc32", Sum(ChecksumAlgorithm.Crc32, one)))).Expect(400, "InvalidRequest");
        var (first, second) = ((await s3.PutAsync(part, one)).Expect(200).ETag!, await s3.UploadPartAsync("/k", upload, 2, two, ("x-amz-checksum-sha256", Sum(Sha256, two))));
        (int, string, string)[] parts = [(1, first, Sum(Sha256, one)), (2, second, Sum(Sha256, two))];
        (await s3.CompleteAsync("/k", upload, [(1, first), (2, second)])).Expect(400, "InvalidRequest");
        (await s3.CompleteAsync("/k", upload, [(1, first, Sum(ChecksumAlgorithm.Crc32, one)), (2, second, Sum(ChecksumAlgorithm.Crc32, two))], "ChecksumCRC32")).Expect(400, "BadDigest");
        (await s3.CompleteAsync("/k", upload, parts, "ChecksumSHA256", ("x-amz-checksum-type", "FULL_OBJECT"))).Expect(400, "InvalidRequest");
        (await s3.CompleteAsync("/k", upload, parts, "ChecksumSHA256", ("x-amz-checksum-type", "WHOLE"))).Expect(400, "InvalidRequest");
        (await s3.CompleteAsync("/k", upload, parts, "ChecksumSHA256", ("x-amz-checksum-crc32", Sum(ChecksumAlgorithm.Crc32, one)))).Expect(400, "InvalidRequest");
        var sum = Sum(Sha256, [.. Convert.FromBase64String(Sum(Sha256, one)), .. Convert.FromBase64String(Sum(Sha256, two))]);
        (await s3.CompleteAsync("/k", upload, parts, "ChecksumSHA256", ("x-amz-checksum-sha256", sum + "-3"))).Expect(400, "BadDigest");
        (await s3.HeadAsync("/k")).Expect(404);
        (await s3.CompleteAsync("/k", upload, parts, "ChecksumSHA256", ("x-amz-checksum-sha256", sum + "-2"), ("x-amz-checksum-type", "COMPOSITE"))).Expect(200);
    });

    /// <summary>The store never saw such a checksum of these bytes: it can be neither confirmed nor passed over.</summary>
    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Multipart_ClaimsThatNothingIsKnownOf_AreRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        byte[] one = Bytes(5 << 20, 1), two = Bytes(1000, 2);
        var upload = await s3.CreateUploadAsync("/k");
        var (first, second) = (await s3.UploadPartAsync("/k", upload, 1, one), await s3.UploadPartAsync("/k", upload, 2, two, ("x-amz-checksum-crc32", Sum(ChecksumAlgorithm.Crc32, two))));
        (int, string)[] parts = [(1, first), (2, second)];
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            (await s3.CompleteAsync("/k", upload, parts, (algorithm.ToHeaderName(), Sum(algorithm, one)))).Expect(400, "InvalidRequest");
            (await s3.CompleteAsync("/k", upload, [(1, first, Sum(algorithm, two)), (2, second, Sum(algorithm, two))], "Checksum" + algorithm.ToS3Name())).Expect(400, "BadDigest");
        }

        (await s3.HeadAsync("/k")).Expect(404);
        (await s3.CompleteAsync("/k", upload, parts)).Expect(200);
        Assert.Equal((byte[])[.. one, .. two], (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task Multipart_ChecksumsOfThePartsAlone_AreHeld(Setup setup) => RunAsync(setup, async s3 =>
    {
        const ChecksumAlgorithm Crc32 = ChecksumAlgorithm.Crc32;
        byte[] one = Bytes(5 << 20, 1), two = Bytes(1000, 2);
        var upload = await s3.CreateUploadAsync("/k");
        var first = await s3.UploadPartAsync("/k", upload, 1, one, (Crc32.ToHeaderName(), Sum(Crc32, one)));
        var second = await s3.UploadPartAsync("/k", upload, 2, two, (Crc32.ToHeaderName(), Sum(Crc32, two)));
        (await s3.CompleteAsync("/k", upload, [(1, first, Sum(Crc32, one)), (2, second, Sum(Crc32, two))], "ChecksumCRC32")).Expect(200);
        Assert.Equal((byte[])[.. one, .. two], (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task Attributes_TellWhatWasAskedFor(Setup setup) => RunAsync(setup, async s3 =>
    {
        byte[] one = Bytes(5 << 20, 1), two = Bytes(1000, 2);
        var upload = await s3.CreateUploadAsync("/k", ("x-amz-checksum-algorithm", "SHA256"));
        var first = await s3.UploadPartAsync("/k", upload, 1, one, ("x-amz-checksum-sha256", Sum(ChecksumAlgorithm.Sha256, one)));
        var second = await s3.UploadPartAsync("/k", upload, 2, two, ("x-amz-checksum-sha256", Sum(ChecksumAlgorithm.Sha256, two)));
        (await s3.CompleteAsync("/k", upload, [(1, first, Sum(ChecksumAlgorithm.Sha256, one)), (2, second, Sum(ChecksumAlgorithm.Sha256, two))], "ChecksumSHA256")).Expect(200);
        var answer = (await s3.GetAsync("/k?attributes", ("x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"))).Expect(200);
        Assert.Equal("GetObjectAttributesResponse", answer.Xml.Name.LocalName);
        Assert.Equal((await s3.HeadAsync("/k")).ETag!.Trim('"'), answer.Value("ETag"));
        Assert.Equal($"{(5 << 20) + 1000}", answer.Value("ObjectSize"));
        Assert.Equal("STANDARD", answer.Value("StorageClass"));
        Assert.Equal("2", answer.Value("PartsCount") ?? answer.Value("TotalPartsCount"));
        Assert.Equal(["1", "2"], answer.Values("Part", "PartNumber"));
        Assert.NotNull(answer.Value("ChecksumSHA256"));
        Assert.NotNull(answer.Header("Last-Modified"));
        var only = (await s3.GetAsync("/k?attributes", ("x-amz-object-attributes", "ObjectSize"))).Expect(200);
        Assert.Null(only.Value("ETag"));
        (await s3.GetAsync("/k?attributes")).Expect(400, "InvalidRequest");
        (await s3.GetAsync("/k?attributes", ("x-amz-object-attributes", "Colour"))).Expect(400, "InvalidArgument");
        (await s3.GetAsync("/absent?attributes", ("x-amz-object-attributes", "ETag"))).Expect(404, "NoSuchKey");
    });

    private static string Sum(ChecksumAlgorithm algorithm, byte[] body)
    {
        using var sum = IncrementalChecksum.Create(algorithm);
        sum.Append(body);
        return sum.GetBase64AndReset();
    }
}
