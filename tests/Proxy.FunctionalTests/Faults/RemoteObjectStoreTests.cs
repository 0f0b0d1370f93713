using System.Globalization;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Faults;

/// <summary>What a remote backend says is what its readers are told, or it is refused.</summary>
public sealed class RemoteObjectStoreTests : RemoteStore
{
    [Fact]
    public async Task Head_Object_GivesItsFactsOffTheWire()
    {
        var info = await Backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);

        Assert.Equal(Bytes.Length, info.Size);
        Assert.Equal(Faulty.Store.Find("data", "k")!.ETag, info.ETag);
        Assert.Equal(Faulty.Store.Find("data", "k")!.LastModified, info.LastModified);
        Assert.Equal("application/x-test", info.ContentType);
        Assert.Contains(new("x-amz-meta-Fenced", "true"), info.Headers);
        Assert.Contains(new("Content-Encoding", "gzip"), info.Headers);
        Assert.Contains(new("Server", "FaultyS3/1.0"), info.Headers);
        Assert.DoesNotContain(info.Headers, header => header.Key.ToLowerInvariant() is "x-amz-request-id" or "date" or "etag" or "content-length" or "accept-ranges");
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData(0L, 0L)]
    [InlineData(1000L, 70_000L)]
    [InlineData(299_999L, 400_000L)]
    [InlineData(250_000L, null)]
    [InlineData(null, 12_345L)]
    public async Task Get_Range_GivesExactlyThatSpan(long? first, long? last)
    {
        ByteRange? range = first is null && last is null ? null : new ByteRange(first, last);
        await using var body = await Backend.Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Range = range }, default);

        Assert.Equal(Expected(range), await ReadAsync(body));
        Assert.Equal(Bytes.Length, body.Info.Size);
    }

    [Theory]
    [InlineData("a/../b")]
    [InlineData("a//b")]
    [InlineData("./x/.")]
    [InlineData("space and+plus%20")]
    [InlineData("été/日本")]
    [InlineData("/leading")]
    [InlineData("//two")]
    [InlineData("/")]
    [InlineData("q?a=b&c#d")]
    [InlineData("s;u=b:d@e,l!i'm(s)*~$&")]
    public async Task Get_OddKey_IsThatKey(string key)
    {
        Faulty.Store.TryPut("data", key, FaultyObject.Of("odd"u8.ToArray()));

        await using var body = await Backend.Source.GetObjectAsync(new("data", key), ObjectReadOptions.Whole, default);
        Assert.Equal("odd"u8.ToArray(), await ReadAsync(body));
        Assert.Equal(3, (await Backend.Source.HeadObjectAsync(new("data", key), new ObjectReadOptions { WithChecksums = true }, default)).Size);
        Assert.All(Faulty.Requests, arrived => arrived.AssertSigned("key", "secret", "us-east-1"));
        Assert.All(Faulty.Requests, arrived => Assert.Equal("s3-tier-proxy", arrived.Header("User-Agent")));
    }

    [Fact]
    public async Task Get_StoreIgnoresRanges_StillGivesTheRightBytes()
    {
        Faulty.Break("GetObject", new Fault { IgnoreRange = true });
        var range = ByteRange.FromTo(100_000, 100_009);
        await using var body = await Backend.Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Range = range }, default);

        Assert.Equal(Expected(range), await ReadAsync(body));
    }

    [Fact]
    public async Task Get_WrongContentRange_IsRefused()
    {
        Faulty.Break("GetObject", new Fault { WrongContentRange = true });
        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(ByteRange.FromTo(0, 9)));
    }

    [Fact]
    public async Task Get_NoETag_IsRefused()
    {
        Faulty.Break("*", new Fault { ETag = "" });
        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null));
        await AssertCodeAsync(S3ErrorCode.InternalError, HeadAsync);
    }

    [Fact]
    public async Task Get_NoLength_IsRefused()
    {
        Faulty.Break("GetObject", new Fault { Chunked = true });
        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null));
    }

    [Theory]
    [InlineData("\"no-md5\"")]
    [InlineData("\"00000000000000000000000000000000\"")]
    public async Task Get_ETagThatIsNoMd5_IsServedAndKept(string etag)
    {
        Faulty.Break("GetObject", new Fault { ETag = etag });
        await using var body = await Backend.Source.GetObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);

        Assert.Equal(Bytes, await ReadAsync(body));
        Assert.Equal(etag, body.Info.ETag);
    }

    [Fact]
    public async Task Get_IfMatchIgnoredByTheStore_Is412()
    {
        Faulty.Break("GetObject", new Fault { ETag = "\"another\"" });
        var etag = Faulty.Store.Find("data", "k")!.ETag;
        await AssertCodeAsync(S3ErrorCode.PreconditionFailed, async () =>
            await Backend.Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Preconditions = new Preconditions { IfMatch = etag } }, default));
    }

    [Fact]
    public async Task Get_Conditions_AreTheBackendsWord()
    {
        var etag = Faulty.Store.Find("data", "k")!.ETag;
        await AssertCodeAsync(S3ErrorCode.PreconditionFailed, () => WithAsync(new Preconditions { IfMatch = "\"other\"" }));
        await AssertCodeAsync(S3ErrorCode.NotModified, () => WithAsync(new Preconditions { IfNoneMatch = etag }));

        async Task<ObjectInfo> WithAsync(Preconditions conditions) => await Backend.Source.HeadObjectAsync(new("data", "k"), new ObjectReadOptions { Preconditions = conditions }, default);
    }

    [Theory]
    [InlineData(403, null, "AccessDenied")]
    [InlineData(403, "SignatureDoesNotMatch", "InternalError")]
    [InlineData(403, "InvalidAccessKeyId", "InternalError")]
    [InlineData(404, null, "NoSuchKey")]
    [InlineData(404, "NoSuchBucket", "NoSuchBucket")]
    [InlineData(412, null, "PreconditionFailed")]
    public async Task Get_Refusal_IsSaidOnceAndTruly(int status, string? code, string expected)
    {
        Faulty.Break("GetObject", new Fault { Status = status, Code = code });
        var refusal = await Assert.ThrowsAsync<S3Exception>(() => GetAsync(null));

        Assert.Equal(expected, refusal.Code.Name);
        Assert.Equal(1, Faulty.Count("GetObject"));
    }

    /// <summary>What a proxy before the backend says of time is no word about the request.</summary>
    [Theory]
    [InlineData(408)]
    [InlineData(425)]
    [InlineData(499)]
    public async Task Get_AnswerOfSomebodyWhoWaitedInVain_IsAskedAgain(int status)
    {
        Faulty.Break("GetObject", new Fault { Status = status }, times: 1);

        Assert.Equal(Bytes, await GetAsync(null));
        Assert.Equal(2, Faulty.Count("GetObject"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Read_ClockIsWrong_IsAskedAgainWithTheBackendsTime(bool head)
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), Faulty.Url);
        Faulty.Break("*", new Fault { Status = 403, Code = "RequestTimeTooSkewed" }, times: 1);
        Task Ask() => head ? late.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default).AsTask() : GetAsync(null, late);

        await Ask();

        Assert.Equal([true, false], Faulty.Requests.Select(request => IsDatedBackBy(request, TimeSpan.FromMinutes(50))));
    }

    /// <summary>Once: a clock that was followed in vain is a refusal like another.</summary>
    [Fact]
    public async Task Get_ClockStaysWrong_IsARefusalOfOurKeys()
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), Faulty.Url);
        Faulty.Break("*", new Fault { Status = 403, Code = "RequestTimeTooSkewed" });

        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null, late));
        Assert.Equal(2, Faulty.Requests.Count);
    }

    [Fact]
    public async Task Get_RefusedForAnotherReason_LeavesTheClockAlone()
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), Faulty.Url);
        Faulty.Break("*", new Fault { Status = 403, Code = "AccessDenied" }, times: 1);

        await AssertCodeAsync(S3ErrorCode.AccessDenied, () => GetAsync(null, late));
        await GetAsync(null, late);

        Assert.All(Faulty.Requests, request => Assert.True(IsDatedBackBy(request, TimeSpan.FromMinutes(50))));
    }

    [Fact]
    public async Task Get_SentAwayByOtherThanAws_IsToldWhatToConfigure()
    {
        Faulty.Break("GetObject", new Fault { Status = 307, Code = "TemporaryRedirect" });
        var refusal = await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null));

        Assert.Contains("Endpoints and Region", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(1, Faulty.Count("GetObject"));
    }

    [Fact]
    public async Task Head_Missing_IsNoSuchKeyThoughThereIsNoBody()
        => Assert.Equal(S3ErrorCode.NoSuchKey, (await Assert.ThrowsAsync<S3Exception>(async () => await Backend.Source.HeadObjectAsync(new("data", "none"), ObjectReadOptions.Whole, default))).Code);

    [Fact]
    public async Task Get_RangePastEnd_IsInvalidRange() => await AssertCodeAsync(S3ErrorCode.InvalidRange, () => GetAsync(ByteRange.From(300_000)));

    [Fact]
    public async Task List_ClockIsWrong_IsAskedAgainWithTheBackendsTime()
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), Faulty.Url);
        Faulty.Break("ListObjectsV2", new Fault { Status = 403, Code = "RequestTimeTooSkewed" }, times: 1);

        Assert.Single((await late.Source.ListObjectsAsync("data", new ListQuery(), default)).Objects);
        Assert.Equal([true, false], Faulty.Requests.Select(request => IsDatedBackBy(request, TimeSpan.FromMinutes(50))));
        Assert.All(Faulty.Requests, request => request.AssertSigned("key", "secret", "us-east-1", at: request.Header("x-amz-date")));
    }

    [Fact]
    public async Task List_PageByPage_GivesEveryNameOnce()
    {
        string[] keys = ["a/1", "a/2", "b", "c +%&/x", "d", "e/é", "e/ü"];
        Faulty.Store.CreateBucket("list");
        foreach (var key in keys)
        {
            Faulty.Store.TryPut("list", key, FaultyObject.Of([1, 2]));
        }

        Assert.Equal(keys, await NamesAsync(null));
        Assert.Equal(["a/", "b", "c +%&/", "d", "e/"], await NamesAsync("/"));
        await AssertCodeAsync(S3ErrorCode.NoSuchBucket, async () => await Backend.Source.ListObjectsAsync("none", new ListQuery(), default));

        async Task<List<string>> NamesAsync(string? delimiter)
        {
            var names = new List<string>();
            string? after = null;
            do
            {
                var page = await Backend.Source.ListObjectsAsync("list", new ListQuery { Delimiter = delimiter, After = after, MaxKeys = 2 }, default);
                names.AddRange(page.Objects.Select(one => one.Key).Concat(page.CommonPrefixes).Order(StringComparer.Ordinal));
                Assert.Equal(page.IsTruncated, page.NextAfter is not null);
                after = page.NextAfter;
            }
            while (after is not null);
            return names;
        }
    }

    private static bool IsDatedBackBy(FaultyRequest request, TimeSpan least)
    {
        var date = DateTimeOffset.ParseExact(request.Header("x-amz-date")!, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        return TimeProvider.System.GetUtcNow() - date > least;
    }
}
