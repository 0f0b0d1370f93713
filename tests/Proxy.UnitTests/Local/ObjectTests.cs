using System.Security.Cryptography;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using static Proxy.UnitTests.Local.StoreFixture;

namespace Proxy.UnitTests.Local;

public sealed class ObjectTests
{
    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(16, true)]
    [InlineData(16 << 10, true)]
    [InlineData(16 << 10, false)]
    [InlineData((16 << 10) + 1, true)]
    [InlineData((16 << 10) + 1, false)]
    [InlineData(1 << 20, false)]
    [InlineData((3 << 20) + 7, true)]
    public async Task Put_AnySize_ComesBackWholeAlsoAfterReopen(int size, bool lengthKnown)
    {
        await using var fixture = await CreateAsync(static options => options.Fsync = true);
        var bytes = Random(size, size);
        var put = await fixture.Store.PutObjectAsync(Id("k"), Content(bytes, lengthKnown), new PutOptions(), default);
        Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData(bytes))}\"", put.ETag);
        Assert.Equal(bytes, await fixture.GetAsync("k"));
        await fixture.ReopenAsync();
        Assert.Equal(bytes, await fixture.GetAsync("k"));
        Assert.Equal(size > fixture.Options.InlineBytes ? 1 : 0, fixture.BodyFiles().Length);
    }

    [Theory]
    [InlineData("..")]
    [InlineData("../../etc/passwd")]
    [InlineData("/")]
    [InlineData("//a//")]
    [InlineData(" ")]
    [InlineData("\n")]
    [InlineData("a\0b")]
    [InlineData("%2e%2e/ü/日本/😀")]
    [InlineData("a/")]
    public async Task Put_OddKey_IsAnOrdinaryName(string key)
    {
        await using var fixture = await CreateAsync();
        await fixture.PutAsync(key, key);
        Assert.Equal(key, await fixture.GetTextAsync(key));
        Assert.Equal(key, Assert.Single((await fixture.Store.ListObjectsAsync(Bucket, new ListQuery(), default)).Objects).Key);
    }

    [Fact]
    public async Task Put_KeyOf1024Bytes_IsTheLongest()
    {
        await using var fixture = await CreateAsync();
        var longest = string.Concat(Enumerable.Repeat("é", 512));
        await fixture.PutAsync(longest, "x");
        Assert.Equal("x", await fixture.GetTextAsync(longest));
        await RefusedAsync(S3ErrorCode.KeyTooLongError, async () => await fixture.PutAsync(longest + "a", "x"));
    }

    [Fact]
    public async Task Head_AfterPut_TellsWhatWasStored()
    {
        await using var fixture = await CreateAsync();
        var checksums = new ObjectChecksums("CRC32", "AAAAAA==", ObjectChecksums.FullObject);
        var options = new PutOptions
        {
            ContentType = "text/plain",
            Headers = [new("cache-control", "no-store"), new("x-amz-meta-empty", ""), new("x-amz-meta-a", "1"), new("x-amz-storage-class", "STANDARD_IA")],
            Tags = [new("t", "v"), new("u", "")],
        };
        await fixture.Store.PutObjectAsync(Id("k"), Content([1, 2, 3], checksums: checksums), options, default);
        var info = await fixture.Store.HeadObjectAsync(Id("k"), ObjectReadOptions.Whole, default);
        Assert.Equal(3, info.Size);
        Assert.Equal("text/plain", info.ContentType);
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), info.LastModified);
        Assert.Equal(
            [new("cache-control", "no-store"), new("x-amz-meta-empty", ""), new("x-amz-meta-a", "1"), new("x-amz-tagging-count", "2"), new("x-amz-storage-class", "STANDARD_IA")],
            info.Headers);
        Assert.Equal([new("x-amz-checksum-crc32", "AAAAAA=="), new("x-amz-checksum-type", "FULL_OBJECT")], info.ChecksumHeaders);
        Assert.Null(info.PartCount);
        var listed = Assert.Single((await fixture.Store.ListObjectsAsync(Bucket, new ListQuery(), default)).Objects);
        Assert.Equal(("STANDARD_IA", "CRC32", "FULL_OBJECT"), (listed.StorageClass, listed.ChecksumAlgorithm, listed.ChecksumType));
    }

    [Fact]
    public async Task Get_Ranges_GiveThoseBytes()
    {
        await using var fixture = await CreateAsync();
        var bytes = Random(100_000, 1);
        await fixture.PutAsync("k", bytes);
        Assert.Equal(bytes[10..20], await fixture.GetAsync("k", new() { Range = ByteRange.FromTo(10, 19) }));
        Assert.Equal(bytes[99_990..], await fixture.GetAsync("k", new() { Range = ByteRange.FromTo(99_990, 200_000) }));
        Assert.Equal(bytes[^5..], await fixture.GetAsync("k", new() { Range = ByteRange.Suffix(5) }));
        var refusal = await RefusedAsync(S3ErrorCode.InvalidRange, () => fixture.GetAsync("k", new() { Range = ByteRange.From(100_000) }));
        Assert.Equal(new KeyValuePair<string, string>("Content-Range", "bytes */100000"), Assert.Single(refusal.Headers));
        Assert.Equal(bytes, await fixture.GetAsync("k", new() { PartNumber = 1 }));
        await RefusedAsync(S3ErrorCode.InvalidPart, () => fixture.GetAsync("k", new() { PartNumber = 2 }));
    }

    [Fact]
    public async Task Get_Conditions_DecideAsHttpSays()
    {
        await using var fixture = await CreateAsync();
        var etag = (await fixture.PutAsync("k", "x")).ETag;
        Task Read(Preconditions conditions) => fixture.GetAsync("k", new() { Preconditions = conditions });
        await Read(new() { IfMatch = etag });
        await RefusedAsync(S3ErrorCode.PreconditionFailed, () => Read(new() { IfMatch = "\"other\"" }));
        var unchanged = await RefusedAsync(S3ErrorCode.NotModified, () => Read(new() { IfNoneMatch = etag }));
        Assert.Contains(unchanged.Headers, header => header is { Key: "ETag" } && header.Value == etag);
        await RefusedAsync(S3ErrorCode.NotModified, () => Read(new() { IfModifiedSince = fixture.Time.GetUtcNow() }));
        await RefusedAsync(S3ErrorCode.PreconditionFailed, () => Read(new() { IfUnmodifiedSince = fixture.Time.GetUtcNow().AddDays(-1) }));
    }

    [Fact]
    public async Task Missing_BucketOrKey_IsNamedInTheRefusal()
    {
        await using var fixture = await CreateAsync();
        var key = await RefusedAsync(S3ErrorCode.NoSuchKey, () => fixture.GetAsync("none"));
        Assert.Equal("/bucket/none", key.Resource);
        var bucket = await RefusedAsync(S3ErrorCode.NoSuchBucket, async () => await fixture.Store.ListObjectsAsync("elsewhere", new(), default));
        Assert.Contains(new KeyValuePair<string, string>("BucketName", "elsewhere"), bucket.Details);
        await RefusedAsync(S3ErrorCode.NoSuchBucket, async () => await fixture.Store.PutObjectAsync(new("elsewhere", "k"), Content([]), new(), default));
        await fixture.Store.DeleteObjectAsync(Id("none"), null, default);
    }

    [Fact]
    public async Task Overwrite_WhileReading_ReaderKeepsTheOldWhole()
    {
        await using var fixture = await CreateAsync();
        var old = Random(2 << 20, 1);
        await fixture.PutAsync("k", old);
        var body = await fixture.Store.GetObjectAsync(Id("k"), ObjectReadOptions.Whole, default);
        await fixture.PutAsync("k", "new");
        await fixture.Store.DeleteObjectAsync(Id("k"), null, default);
        Assert.Single(fixture.BodyFiles());
        Assert.Equal(old, await ReadAsync(body));
        await body.DisposeAsync();
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
    }

    [Fact]
    public async Task OverwriteAndRead_AtOnce_NeverMixesVersions()
    {
        await using var fixture = await CreateAsync();
        var versions = Enumerable.Range(0, 8).Select(i => Enumerable.Repeat((byte)i, i % 2 == 0 ? 40_000 : 100).ToArray()).ToArray();
        await fixture.PutAsync("k", versions[0]);
        using var stop = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var reads = 0;
            while (!stop.IsCancellationRequested)
            {
                var bytes = await fixture.GetAsync("k");
                Assert.Equal(versions[bytes[0]], bytes);
                reads++;
            }

            return reads;
        })).ToArray();
        for (var i = 0; i < 300; i++)
        {
            await fixture.PutAsync("k", versions[i % 8]);
        }

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(readers), reads => Assert.True(reads > 0));
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
    }

    [Fact]
    public async Task ConditionalPut_Racing_ExactlyOneWins()
    {
        await using var fixture = await CreateAsync();
        for (var round = 0; round < 20; round++)
        {
            var key = "k" + round;
            var results = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => TryAsync(() => fixture.PutAsync(key, "v" + i, new() { IfNoneMatch = "*" })))));
            Assert.Equal(1, results.Count(static result => result is null));
            Assert.All(results.Where(static result => result is not null), result => Assert.Same(S3ErrorCode.PreconditionFailed, result));

            var etag = (await fixture.Store.HeadObjectAsync(Id(key), ObjectReadOptions.Whole, default)).ETag;
            results = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => TryAsync(() => fixture.PutAsync(key, "w" + i, new() { IfMatch = etag })))));
            Assert.Equal(1, results.Count(static result => result is null));
        }
    }

    [Fact]
    public async Task IfMatch_OnAMissingKey_IsNoSuchKey()
    {
        await using var fixture = await CreateAsync();
        await RefusedAsync(S3ErrorCode.NoSuchKey, async () => await fixture.PutAsync("k", "x", new() { IfMatch = "\"a\"" }));
        var etag = (await fixture.PutAsync("k", "x")).ETag;
        await RefusedAsync(S3ErrorCode.PreconditionFailed, async () => await fixture.Store.DeleteObjectAsync(Id("k"), new() { IfMatch = "\"a\"" }, default));
        await fixture.Store.DeleteObjectAsync(Id("k"), new() { IfMatch = etag }, default);
        await RefusedAsync(S3ErrorCode.NoSuchKey, () => fixture.GetAsync("k"));
    }

    [Fact]
    public async Task Copy_SharesTheBodyUntilTheLastUserGoes()
    {
        await using var fixture = await CreateAsync();
        var bytes = Random(100_000, 1);
        await fixture.PutAsync("a", bytes, new() { ContentType = "x/a", Headers = [new("x-amz-meta-m", "1")], Tags = [new("t", "1")] });
        await fixture.Store.CopyObjectAsync(Id("a"), Id("b"), new(), default);
        await fixture.Store.CopyObjectAsync(Id("a"), Id("c"), new() { Replacement = new() { ContentType = "x/c" }, KeepTags = false, Tags = [] }, default);
        Assert.Single(fixture.BodyFiles());
        var b = await fixture.Store.HeadObjectAsync(Id("b"), ObjectReadOptions.Whole, default);
        Assert.Equal("x/a", b.ContentType);
        Assert.Equal([new("x-amz-meta-m", "1"), new("x-amz-tagging-count", "1")], b.Headers);
        var c = await fixture.Store.HeadObjectAsync(Id("c"), ObjectReadOptions.Whole, default);
        Assert.Equal("x/c", c.ContentType);
        Assert.Empty(c.Headers);

        // Onto itself, with new metadata: the last reference is never let go in between.
        await fixture.Store.CopyObjectAsync(Id("a"), Id("a"), new() { Replacement = new() { ContentType = "x/new" } }, default);
        await RefusedAsync(S3ErrorCode.InvalidRequest, async () => await fixture.Store.CopyObjectAsync(Id("a"), Id("a"), new(), default));
        await fixture.Store.DeleteObjectAsync(Id("a"), null, default);
        await fixture.Store.DeleteObjectAsync(Id("b"), null, default);
        Assert.Equal(bytes, await fixture.GetAsync("c"));
        await fixture.Store.DeleteObjectAsync(Id("c"), null, default);
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
        await RefusedAsync(S3ErrorCode.NoSuchKey, async () => await fixture.Store.CopyObjectAsync(Id("a"), Id("b"), new(), default));
    }

    [Fact]
    public async Task Copy_SourceConditions_Refuse()
    {
        await using var fixture = await CreateAsync();
        var etag = (await fixture.PutAsync("a", "x")).ETag;
        await RefusedAsync(S3ErrorCode.PreconditionFailed, async () => await fixture.Store.CopyObjectAsync(Id("a"), Id("b"), new() { SourceConditions = new() { IfNoneMatch = etag } }, default));
        await RefusedAsync(S3ErrorCode.PreconditionFailed, async () => await fixture.Store.CopyObjectAsync(Id("a"), Id("b"), new() { SourceConditions = new() { IfMatch = "\"n\"" } }, default));
        await fixture.Store.CopyObjectAsync(Id("a"), Id("b"), new() { SourceConditions = new() { IfMatch = etag }, IfNoneMatch = "*" }, default);
        await RefusedAsync(S3ErrorCode.PreconditionFailed, async () => await fixture.Store.CopyObjectAsync(Id("a"), Id("b"), new() { IfNoneMatch = "*" }, default));
    }

    [Fact]
    public async Task Tags_PutAndRemoved_DoNotTouchTheObject()
    {
        await using var fixture = await CreateAsync();
        var etag = (await fixture.PutAsync("k", "x")).ETag;
        await fixture.Store.PutTaggingAsync(Id("k"), [new("a", "b")], default);
        Assert.Equal([new("a", "b")], await fixture.Store.GetTaggingAsync(Id("k"), default));
        await fixture.Store.PutTaggingAsync(Id("k"), [], default);
        Assert.Empty(await fixture.Store.GetTaggingAsync(Id("k"), default));
        var info = await fixture.Store.HeadObjectAsync(Id("k"), ObjectReadOptions.Whole, default);
        Assert.Equal(etag, info.ETag);
        Assert.Empty(info.Headers);
        await RefusedAsync(S3ErrorCode.NoSuchKey, async () => await fixture.Store.PutTaggingAsync(Id("none"), [], default));
    }

    [Fact]
    public async Task Buckets_CreateListDelete()
    {
        await using var fixture = await CreateAsync();
        await fixture.Store.CreateBucketAsync("another", default);
        await RefusedAsync(S3ErrorCode.BucketAlreadyOwnedByYou, async () => await fixture.Store.CreateBucketAsync("another", default));
        await RefusedAsync(S3ErrorCode.InvalidBucketName, async () => await fixture.Store.CreateBucketAsync("../x", default));
        await fixture.PutAsync("k", "x");
        await fixture.ReopenAsync();
        Assert.Equal(["another", "bucket"], (await fixture.Store.ListBucketsAsync(default)).Select(static bucket => bucket.Name));
        await RefusedAsync(S3ErrorCode.BucketNotEmpty, async () => await fixture.Store.DeleteBucketAsync(Bucket, default));
        await fixture.Store.DeleteObjectAsync(Id("k"), null, default);
        var upload = await fixture.Store.CreateMultipartUploadAsync(Id("k"), new(), default);
        await fixture.Store.UploadPartAsync(Id("k"), upload, 1, Content(Random(100_000, 1)), default);
        await fixture.Store.DeleteBucketAsync(Bucket, default);
        await RefusedAsync(S3ErrorCode.NoSuchBucket, async () => await fixture.Store.HeadBucketAsync(Bucket, default));
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());

        // The same name again is a new bucket: nothing of the old one shows.
        await fixture.Store.CreateBucketAsync(Bucket, default);
        Assert.Empty((await fixture.Store.ListMultipartUploadsAsync(Bucket, new(), default)).Uploads);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(3 << 20)]
    public async Task Put_StreamFailsMidway_ChangesNothing(int size)
    {
        await using var fixture = await CreateAsync();
        await fixture.PutAsync("k", "old");
        var failing = new FailingStream(size / 2, new S3Exception(S3ErrorCode.BadDigest));
        await RefusedAsync(S3ErrorCode.BadDigest, async () => await fixture.Store.PutObjectAsync(Id("k"), new(failing, size, () => null), new(), default));
        failing = new FailingStream(size / 2, new OperationCanceledException());
        await Assert.ThrowsAsync<OperationCanceledException>(async () => await fixture.Store.PutObjectAsync(Id("k"), new(failing, null, () => null), new(), default));
        await RefusedAsync(S3ErrorCode.IncompleteBody, async () => await fixture.Store.PutObjectAsync(Id("k"), new(new MemoryStream(new byte[size / 2]), size, () => null), new(), default));
        Assert.Equal("old", await fixture.GetTextAsync("k"));
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
    }

    [Fact]
    public async Task Clock_GoingBack_BreaksNothing()
    {
        await using var fixture = await CreateAsync();
        fixture.Time.AdjustTime(new DateTimeOffset(1999, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await fixture.PutAsync("k", "x");
        var first = await fixture.Store.CreateMultipartUploadAsync(Id("m"), new(), default);
        fixture.Time.AdjustTime(new DateTimeOffset(1998, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var second = await fixture.Store.CreateMultipartUploadAsync(Id("m"), new(), default);
        await fixture.PutAsync("k", "y");
        Assert.Equal("y", await fixture.GetTextAsync("k"));
        Assert.Equal([first, second], (await fixture.Store.ListMultipartUploadsAsync(Bucket, new(), default)).Uploads.Select(static upload => upload.UploadId));
    }

    internal static async Task<S3ErrorCode?> TryAsync<T>(Func<ValueTask<T>> action)
    {
        try
        {
            await action();
            return null;
        }
        catch (S3Exception e)
        {
            return e.Code;
        }
    }

    private sealed class FailingStream(int good, Exception failure) : MemoryStream(new byte[good])
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await base.ReadAsync(buffer, cancellationToken) is > 0 and var read ? read : throw failure;
    }
}
