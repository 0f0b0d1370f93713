using System.Security.Cryptography;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using static Proxy.UnitTests.Local.StoreFixture;

namespace Proxy.UnitTests.Local;

public sealed class UploadTests
{
    [Fact]
    public async Task Complete_PartsUploadedAtOnce_JoinsThemWithoutCopying()
    {
        await using var fixture = await CreateAsync();
        var (upload, parts, bytes) = await UploadAsync(fixture, "k", [100_000, 50, 300_000, 7], new() { ContentType = "x/y", Headers = [new("x-amz-meta-a", "1")] });
        var files = fixture.BodyFiles().Order().ToArray();
        var result = await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = parts, ObjectSize = bytes.Length }, default);
        Assert.Equal(files, fixture.BodyFiles().Order());

        var md5s = parts.SelectMany(static part => Convert.FromHexString(part.ETag.Trim('"'))).ToArray();
        Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData(md5s))}-4\"", result.ETag);
        Assert.Equal(bytes, await fixture.GetAsync("k"));
        Assert.Equal(bytes[99_990..100_060], await fixture.GetAsync("k", new() { Range = ByteRange.FromTo(99_990, 100_059) }));
        Assert.Equal(bytes[100_000..100_050], await fixture.GetAsync("k", new() { PartNumber = 2 }));
        await RefusedAsync(S3ErrorCode.InvalidPart, () => fixture.GetAsync("k", new() { PartNumber = 5 }));
        var info = await fixture.Store.HeadObjectAsync(Id("k"), ObjectReadOptions.Whole, default);
        Assert.Equal((4, "x/y"), (info.PartCount, info.ContentType));
        Assert.Equal([100_000, 50, 300_000, 7], (await fixture.Store.GetObjectPartsAsync(Id("k"), default)).Select(static part => part.Size));
        await fixture.Store.DeleteObjectAsync(Id("k"), null, default);
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
    }

    [Fact]
    public async Task Complete_Again_AnswersTheSameWhileTheObjectStands()
    {
        await using var fixture = await CreateAsync();
        var (upload, parts, _) = await UploadAsync(fixture, "k", [10, 20]);
        var both = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = parts }, default).AsTask()));
        Assert.Equal(both[0], both[1]);
        await fixture.ReopenAsync();
        Assert.Equal(both[0], await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = parts }, default));
        await RefusedAsync(S3ErrorCode.NoSuchUpload, async () => await fixture.Store.AbortMultipartUploadAsync(Id("k"), upload, default));
        await fixture.PutAsync("k", "other");
        await RefusedAsync(S3ErrorCode.NoSuchUpload, async () => await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = parts }, default));
    }

    [Fact]
    public async Task CompleteAndAbort_AtOnce_OneOfThemHappens()
    {
        await using var fixture = await CreateAsync();
        for (var round = 0; round < 20; round++)
        {
            var key = "k" + round;
            var (upload, parts, bytes) = await UploadAsync(fixture, key, [20_000, 20]);
            var complete = Task.Run(() => ObjectTests.TryAsync(() => fixture.Store.CompleteMultipartUploadAsync(Id(key), upload, new() { Parts = parts }, default)));
            var abort = Task.Run(() => ObjectTests.TryAsync(async () =>
            {
                await fixture.Store.AbortMultipartUploadAsync(Id(key), upload, default);
                return true;
            }));
            var outcomes = await Task.WhenAll(complete, abort);
            Assert.Equal(1, outcomes.Count(static outcome => outcome is null));
            if (outcomes[0] is null)
            {
                Assert.Equal(bytes, await fixture.GetAsync(key));
            }
            else
            {
                await RefusedAsync(S3ErrorCode.NoSuchKey, () => fixture.GetAsync(key));
            }
        }
    }

    [Fact]
    public async Task Complete_WrongRequests_AreRefusedAndChangeNothing()
    {
        await using var fixture = await CreateAsync(static options => options.MinPartSize = 100);
        var (upload, parts, bytes) = await UploadAsync(fixture, "k", [200, 50, 300]);
        Task Complete(CompleteOptions options) => fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, options, default).AsTask();
        await RefusedAsync(S3ErrorCode.InvalidPartOrder, () => Complete(new() { Parts = [parts[1], parts[0]] }));
        await RefusedAsync(S3ErrorCode.InvalidPartOrder, () => Complete(new() { Parts = [parts[0], parts[0]] }));
        await RefusedAsync(S3ErrorCode.InvalidPart, () => Complete(new() { Parts = [parts[0], new(9, parts[1].ETag, null)] }));
        await RefusedAsync(S3ErrorCode.InvalidPart, () => Complete(new() { Parts = [parts[0], parts[1] with { ETag = parts[0].ETag }] }));
        var small = await RefusedAsync(S3ErrorCode.EntityTooSmall, () => Complete(new() { Parts = parts }));
        Assert.Contains(new KeyValuePair<string, string>("ProposedSize", "50"), small.Details);
        await RefusedAsync(S3ErrorCode.MalformedXml, () => Complete(new() { Parts = [] }));
        await RefusedAsync(S3ErrorCode.InvalidRequest, () => Complete(new() { Parts = [parts[0], parts[2]], ObjectSize = 1 }));
        await RefusedAsync(S3ErrorCode.NoSuchKey, () => Complete(new() { Parts = [parts[0], parts[2]], IfMatch = "\"x\"" }));
        await RefusedAsync(S3ErrorCode.NoSuchUpload, async () => await fixture.Store.CompleteMultipartUploadAsync(Id("other"), upload, new() { Parts = parts }, default));
        await RefusedAsync(S3ErrorCode.NoSuchUpload, async () => await fixture.Store.CompleteMultipartUploadAsync(Id("k"), "nonsense", new() { Parts = parts }, default));
        await RefusedAsync(S3ErrorCode.NoSuchKey, () => fixture.GetAsync("k"));

        // Part 2 is left out, then: its bytes go, the others become the object.
        await Complete(new() { Parts = [parts[0], parts[2]], IfNoneMatch = "*" });
        Assert.Equal((byte[])[.. bytes[..200], .. bytes[250..]], await fixture.GetAsync("k"));
        Assert.Equal(bytes[250..], await fixture.GetAsync("k", new() { PartNumber = 3 }));
    }

    /// <summary>A part's ETag is one version, not the list of them that a condition may be.</summary>
    [Fact]
    public async Task Complete_ETagOfAPartReadAsACondition_IsRefused()
    {
        await using var fixture = await CreateAsync();
        var (upload, parts, bytes) = await UploadAsync(fixture, "k", [20, 30]);
        var md5 = parts[0].ETag.Trim('"');
        Task Complete(string etag) => fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = [parts[0] with { ETag = etag }, parts[1]] }, default).AsTask();
        foreach (var etag in (string[])["*", $"W/\"{md5}\"", $"\"0\", \"{md5}\"", $"{md5},*", $"\"{md5}", $"{md5}\"", $"\"\"{md5}\"\"", "\"", md5[..31], parts[1].ETag])
        {
            await RefusedAsync(S3ErrorCode.InvalidPart, () => Complete(etag));
        }

        // Quoted or not, and in either case, it is the same number.
        await Complete(md5.ToUpperInvariant());
        Assert.Equal(bytes, await fixture.GetAsync("k"));
    }

    [Fact]
    public async Task Part_UploadedAgain_ReplacesTheFirst()
    {
        await using var fixture = await CreateAsync();
        var upload = await fixture.Store.CreateMultipartUploadAsync(Id("k"), new(), default);
        await fixture.Store.UploadPartAsync(Id("k"), upload, 1, Content(Random(50_000, 1)), default);
        var part = await fixture.Store.UploadPartAsync(Id("k"), upload, 1, Content(Random(60_000, 2)), default);
        var page = await fixture.Store.ListPartsAsync(Id("k"), upload, 0, 1000, default);
        Assert.Equal(part, Assert.Single(page.Parts));
        await fixture.ReopenAsync();
        Assert.Single(fixture.BodyFiles());
        await fixture.Store.AbortMultipartUploadAsync(Id("k"), upload, default);
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
        await RefusedAsync(S3ErrorCode.NoSuchUpload, async () => await fixture.Store.ListPartsAsync(Id("k"), upload, 0, 10, default));
        await RefusedAsync(S3ErrorCode.NoSuchUpload, async () => await fixture.Store.UploadPartAsync(Id("k"), upload, 1, Content([1]), default));
        await RefusedAsync(S3ErrorCode.InvalidArgument, async () => await fixture.Store.UploadPartAsync(Id("k"), upload, 10_001, Content([1]), default));
    }

    [Fact]
    public async Task ListParts_Pages_AreExact()
    {
        await using var fixture = await CreateAsync();
        var (upload, _, _) = await UploadAsync(fixture, "k", [1, 2, 3]);
        var page = await fixture.Store.ListPartsAsync(Id("k"), upload, 0, 2, default);
        Assert.Equal([1, 2], page.Parts.Select(static part => part.Number));
        Assert.True(page.IsTruncated);
        page = await fixture.Store.ListPartsAsync(Id("k"), upload, 2, 1, default);
        Assert.Equal([3], page.Parts.Select(static part => part.Number));
        Assert.False(page.IsTruncated);
    }

    [Fact]
    public async Task CopyPart_Ranges_ShareTheSourceAndOutliveIt()
    {
        await using var fixture = await CreateAsync();
        var (first, parts, source) = await UploadAsync(fixture, "source", [100_000, 60_000]);
        await fixture.Store.CompleteMultipartUploadAsync(Id("source"), first, new() { Parts = parts }, default);
        var upload = await fixture.Store.CreateMultipartUploadAsync(Id("k"), new(), default);
        var files = fixture.BodyFiles().Length;
        var across = await fixture.Store.UploadPartCopyAsync(Id("source"), ByteRange.FromTo(90_000, 109_999), null, Id("k"), upload, 1, default);
        Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData(source[90_000..110_000]))}\"", across.ETag);
        var whole = await fixture.Store.UploadPartCopyAsync(Id("source"), null, null, Id("k"), upload, 2, default);
        await RefusedAsync(S3ErrorCode.InvalidRange, async () => await fixture.Store.UploadPartCopyAsync(Id("source"), ByteRange.FromTo(0, 160_000), null, Id("k"), upload, 3, default));
        Assert.Equal(files, fixture.BodyFiles().Length);
        await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = [new(1, across.ETag, null), new(2, whole.ETag, null)] }, default);
        await fixture.Store.DeleteObjectAsync(Id("source"), null, default);
        Assert.Equal((byte[])[.. source[90_000..110_000], .. source], await fixture.GetAsync("k"));
        await fixture.Store.DeleteObjectAsync(Id("k"), null, default);
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
    }

    [Fact]
    public async Task Complete_TenThousandParts_ReadsBack()
    {
        await using var fixture = await CreateAsync();
        var (upload, parts, bytes) = await UploadAsync(fixture, "k", [.. Enumerable.Range(0, 10_000).Select(static i => 1 + (i % 5))]);
        await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = parts }, default);
        Assert.Equal(bytes, await fixture.GetAsync("k"));
        Assert.Equal(bytes[^1..], await fixture.GetAsync("k", new() { Range = ByteRange.Suffix(1) }));
        Assert.Equal(10_000, (await fixture.Store.HeadObjectAsync(Id("k"), ObjectReadOptions.Whole, default)).PartCount);
    }

    [Theory]
    [InlineData("CRC32", ObjectChecksums.FullObject)]
    [InlineData("CRC32C", ObjectChecksums.Composite)]
    [InlineData("CRC64NVME", null)]
    [InlineData("SHA256", ObjectChecksums.Composite)]
    [InlineData("SHA1", null)]
    [InlineData("SHA512", null)]
    [InlineData("XXHASH128", ObjectChecksums.Composite)]
    public async Task Complete_UploadWithChecksums_CombinesThem(string name, string? type)
    {
        await using var fixture = await CreateAsync();
        Assert.True(ChecksumAlgorithms.TryParse(name, out var algorithm));
        var (upload, parts, bytes) = await UploadAsync(fixture, "k", [70_000, 100, 0, 5], new() { ChecksumAlgorithm = name, ChecksumType = type });

        // The parts came without checksums: the store has made them.
        var listed = await fixture.Store.ListPartsAsync(Id("k"), upload, 0, 10, default);
        Assert.Equal((name, type), (listed.ChecksumAlgorithm, listed.ChecksumType));
        var values = listed.Parts.Select(static part => part.Checksums!.Value).ToArray();
        Assert.Equal(Checksum(algorithm, bytes[..70_000]), values[0]);
        var full = type == ObjectChecksums.FullObject || name == "CRC64NVME";
        var expected = full ? Checksum(algorithm, bytes) : MultipartChecksum.Composite(algorithm, values).Value;
        CompletedPart[] claimed = [.. parts.Select((part, i) => part with { Checksums = full ? null : new(name, values[i], ObjectChecksums.FullObject) })];
        Task<PutResult> Complete(string value) => fixture.Store.CompleteMultipartUploadAsync(
            Id("k"), upload, new() { Parts = claimed, Checksums = new(name, value, full ? ObjectChecksums.FullObject : ObjectChecksums.Composite) }, default).AsTask();
        await RefusedAsync(S3ErrorCode.BadDigest, () => Complete("AAAA"));
        var result = await Complete(expected);
        Assert.Equal(new ObjectChecksums(name, expected, full ? ObjectChecksums.FullObject : ObjectChecksums.Composite), result.Checksums);
        var info = await fixture.Store.HeadObjectAsync(Id("k"), ObjectReadOptions.Whole, default);
        Assert.Equal([new(algorithm.ToHeaderName(), expected), new("x-amz-checksum-type", result.Checksums!.Type)], info.ChecksumHeaders);

        // A copy that asks for another algorithm gets it over the whole.
        await fixture.Store.CopyObjectAsync(Id("k"), Id("copy"), new() { ChecksumAlgorithm = name == "CRC32" ? "CRC32C" : "CRC32" }, default);
        info = await fixture.Store.HeadObjectAsync(Id("copy"), ObjectReadOptions.Whole, default);
        Assert.Equal(Checksum(name == "CRC32" ? ChecksumAlgorithm.Crc32C : ChecksumAlgorithm.Crc32, bytes), info.ChecksumHeaders[0].Value);
    }

    [Fact]
    public async Task Upload_OlderThanTheExpiry_IsAborted()
    {
        await using var fixture = await CreateAsync();
        var (old, _, _) = await UploadAsync(fixture, "old", [50_000]);
        fixture.Time.Advance(TimeSpan.FromDays(6));
        await fixture.Store.CreateMultipartUploadAsync(Id("young"), new(), default);
        fixture.Time.Advance(TimeSpan.FromDays(1.5));
        await fixture.Store.Janitor.ExpireOnceAsync();
        Assert.Equal(["young"], (await fixture.Store.ListMultipartUploadsAsync(Bucket, new(), default)).Uploads.Select(static upload => upload.Key));
        await RefusedAsync(S3ErrorCode.NoSuchUpload, async () => await fixture.Store.ListPartsAsync(Id("old"), old, 0, 10, default));
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
    }

    [Fact]
    public async Task Uploads_MoreThanOneLookFinds_AreAllAborted()
    {
        // No look of its own meanwhile.
        await using var fixture = await CreateAsync(static options => options.ExpiryInterval = TimeSpan.FromDays(30));
        await Task.WhenAll(Enumerable.Range(0, 2500).Select(i => fixture.Store.CreateMultipartUploadAsync(Id($"k{i}"), new(), default).AsTask()));
        fixture.Time.Advance(TimeSpan.FromDays(8));
        await fixture.Store.Janitor.ExpireOnceAsync();
        Assert.Empty((await fixture.Store.ListMultipartUploadsAsync(Bucket, new(), default)).Uploads);
    }

    [Fact]
    public async Task Limits_OfPartAndObject_AreHeldWhereNoHeaderCouldTell()
    {
        await using var fixture = await CreateAsync(static options => (options.MaxPutBytes, options.MaxObjectBytes) = (3 << 20, 7 << 20));
        var (upload, parts, bytes) = await UploadAsync(fixture, "k", [3 << 20, 3 << 20, 1 << 20, 1]);
        await RefusedAsync(S3ErrorCode.EntityTooLarge, async () => await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = parts }, default));
        await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new() { Parts = parts[..3] }, default);
        Assert.Equal(bytes[..^1], await fixture.GetAsync("k"));

        // The length of a body in chunks is not known before its end, that of a copied range only the source tells.
        var tooMuch = Random((3 << 20) + 1, 9);
        await RefusedAsync(S3ErrorCode.EntityTooLarge, async () => await fixture.Store.PutObjectAsync(Id("k"), Content(tooMuch, known: false), new(), default));
        upload = await fixture.Store.CreateMultipartUploadAsync(Id("k"), new(), default);
        await RefusedAsync(S3ErrorCode.EntityTooLarge, async () => await fixture.Store.UploadPartAsync(Id("k"), upload, 1, Content(tooMuch, known: false), default));
        await RefusedAsync(S3ErrorCode.EntityTooLarge, async () => await fixture.Store.UploadPartCopyAsync(Id("k"), null, null, Id("k"), upload, 1, default));
        await fixture.Store.AbortMultipartUploadAsync(Id("k"), upload, default);
        Assert.Equal(bytes[..^1], await fixture.GetAsync("k"));
        await fixture.ReopenAsync();
        Assert.Equal(3, fixture.BodyFiles().Length);
    }

    private static string Checksum(ChecksumAlgorithm algorithm, byte[] bytes)
    {
        using var checksum = IncrementalChecksum.Create(algorithm);
        checksum.Append(bytes);
        return checksum.GetBase64AndReset();
    }

    private static async Task<(string Upload, CompletedPart[] Parts, byte[] Bytes)> UploadAsync(StoreFixture fixture, string key, int[] sizes, PutOptions? options = null)
    {
        var upload = await fixture.Store.CreateMultipartUploadAsync(Id(key), options ?? new(), default);
        var bodies = sizes.Select(static (size, i) => Random(size, i)).ToArray();
        var parts = await Task.WhenAll(bodies.Select((body, i) => fixture.Store.UploadPartAsync(Id(key), upload, i + 1, Content(body), default).AsTask()));
        return (upload, [.. parts.Select(static part => new CompletedPart(part.Number, part.ETag, null))], bodies.SelectMany(static body => body).ToArray());
    }
}
