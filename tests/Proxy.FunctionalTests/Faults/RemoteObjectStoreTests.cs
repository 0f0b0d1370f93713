using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.FunctionalTests.Backends;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Faults;

public sealed class RemoteObjectStoreTests : IAsyncLifetime
{
    private static readonly byte[] Bytes = SeveralBackendsTests.MakeBytes(300_000);

    private FaultyBackend _faulty = null!;
    private RemoteBackend _backend = null!;

    public async ValueTask InitializeAsync()
    {
        _faulty = await FaultyBackend.StartAsync(0, "data");
        _faulty.Store.TryPut("data", "k", FaultyObject.Of(Bytes, new("Content-Type", "application/x-test"), new("x-amz-meta-Fenced", "true"), new("Content-Encoding", "gzip")));
        _backend = Connect(_faulty.Url);
    }

    public async ValueTask DisposeAsync()
    {
        await _backend.DisposeAsync();
        await _faulty.DisposeAsync();
    }

    [Fact]
    public async Task Head_Object_GivesItsFactsOffTheWire()
    {
        var info = await _backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);

        Assert.Equal(Bytes.Length, info.Size);
        Assert.Equal(_faulty.Store.Find("data", "k")!.ETag, info.ETag);
        Assert.Equal(_faulty.Store.Find("data", "k")!.LastModified, info.LastModified);
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
        await using var body = await _backend.Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Range = range }, default);

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
        _faulty.Store.TryPut("data", key, FaultyObject.Of("odd"u8.ToArray()));

        await using var body = await _backend.Source.GetObjectAsync(new("data", key), ObjectReadOptions.Whole, default);
        Assert.Equal("odd"u8.ToArray(), await ReadAsync(body));
        Assert.Equal(3, (await _backend.Source.HeadObjectAsync(new("data", key), new ObjectReadOptions { WithChecksums = true }, default)).Size);
        Assert.All(_faulty.Requests, arrived => arrived.AssertSigned("key", "secret", "us-east-1"));
        Assert.All(_faulty.Requests, arrived => Assert.Equal("s3-tier-proxy", arrived.Header("User-Agent")));
    }

    [Fact]
    public async Task Get_StoreIgnoresRanges_StillGivesTheRightBytes()
    {
        _faulty.Break("GetObject", new Fault { IgnoreRange = true });
        var range = ByteRange.FromTo(100_000, 100_009);
        await using var body = await _backend.Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Range = range }, default);

        Assert.Equal(Expected(range), await ReadAsync(body));
    }

    [Fact]
    public async Task Get_WrongContentRange_IsRefused()
    {
        _faulty.Break("GetObject", new Fault { WrongContentRange = true });
        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(ByteRange.FromTo(0, 9)));
    }

    [Fact]
    public async Task Get_NoETag_IsRefused()
    {
        _faulty.Break("*", new Fault { ETag = "" });
        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null));
        await AssertCodeAsync(S3ErrorCode.InternalError, HeadAsync);
    }

    [Fact]
    public async Task Get_NoLength_IsRefused()
    {
        _faulty.Break("GetObject", new Fault { Chunked = true });
        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null));
    }

    [Theory]
    [InlineData("\"no-md5\"")]
    [InlineData("\"00000000000000000000000000000000\"")]
    public async Task Get_ETagThatIsNoMd5_IsServedAndKept(string etag)
    {
        _faulty.Break("GetObject", new Fault { ETag = etag });
        await using var body = await _backend.Source.GetObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);

        Assert.Equal(Bytes, await ReadAsync(body));
        Assert.Equal(etag, body.Info.ETag);
    }

    [Fact]
    public async Task Get_IfMatchIgnoredByTheStore_Is412()
    {
        _faulty.Break("GetObject", new Fault { ETag = "\"another\"" });
        var etag = _faulty.Store.Find("data", "k")!.ETag;
        await AssertCodeAsync(S3ErrorCode.PreconditionFailed, async () =>
            await _backend.Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Preconditions = new Preconditions { IfMatch = etag } }, default));
    }

    [Fact]
    public async Task Get_Conditions_AreTheBackendsWord()
    {
        var etag = _faulty.Store.Find("data", "k")!.ETag;
        await AssertCodeAsync(S3ErrorCode.PreconditionFailed, () => WithAsync(new Preconditions { IfMatch = "\"other\"" }));
        await AssertCodeAsync(S3ErrorCode.NotModified, () => WithAsync(new Preconditions { IfNoneMatch = etag }));

        async Task<ObjectInfo> WithAsync(Preconditions conditions) => await _backend.Source.HeadObjectAsync(new("data", "k"), new ObjectReadOptions { Preconditions = conditions }, default);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Get_BodyBreaksOffOrStalls_IsAnIOException(bool stalls)
    {
        _faulty.Break("GetObject", stalls ? new Fault { StallAfterBytes = 100_000 } : new Fault { ResetAfterBytes = 100_000 });
        await using var body = await _backend.Source.GetObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);

        var read = new MemoryStream();
        await Assert.ThrowsAsync<IOException>(() => body.Content.CopyToAsync(read));
        Assert.Equal(Bytes[..(int)read.Length], read.ToArray());
        Assert.InRange(read.Length, 0, 100_000);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(429)]
    public async Task Get_BackendFailsTwice_IsAbsorbed(int status)
    {
        _faulty.Break("GetObject", new Fault { Status = status }, times: 2);

        Assert.Equal(Bytes, await GetAsync(null));
        Assert.Equal(3, _faulty.Count("GetObject"));
        Assert.Equal(2, _backend.Counters.Retries);
        Assert.Equal(2, _backend.Counters.Rows.Single(row => row.Operation == "GetObject" && row.Status == status).Count);
    }

    [Fact]
    public async Task Get_BackendKeepsSaying503_Is503AfterTheWait()
    {
        _faulty.Break("*", new Fault { Status = 503 });
        var before = _backend.ReadLimit;

        var refusal = await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null));
        Assert.Contains(refusal.Headers, header => header.Key == "Retry-After");
        Assert.InRange(_faulty.Count("GetObject"), 4, 200);
        Assert.InRange(_backend.ReadLimit, 4, before / 2);
        Assert.Equal(0, _backend.ReadsInFlight);
    }

    [Fact]
    public async Task Get_AnswerLaterThanNearlyAll_IsAskedASecondTimeAndCountedOnce()
    {
        for (var i = 0; i < 400; i++)
        {
            await GetAsync(ByteRange.FromTo(0, 9));
        }

        _faulty.Break("GetObject", new Fault { Latency = TimeSpan.FromSeconds(2.5) }, times: 1);
        var started = TimeProvider.System.GetTimestamp();
        Assert.Equal(Expected(ByteRange.FromTo(5, 20_000)), await GetAsync(ByteRange.FromTo(5, 20_000)));
        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(2), "the late answer was waited for");
        Assert.InRange(_backend.Counters.Hedges, 1, 20);
        Assert.InRange(_backend.Counters.HedgesWon, 1, 20);
        Assert.Equal(_backend.Counters.Hedges, _backend.Counters.HedgesWon + _backend.Counters.HedgesLost);
        Assert.Equal(0, _backend.ReadsInFlight);
    }

    [Fact]
    public async Task Get_ConnectionClosedBeforeTheAnswer_IsAbsorbed()
    {
        _faulty.Break("GetObject", new Fault { ResetBeforeDoing = true }, times: 1);
        Assert.Equal(Bytes, await GetAsync(null));
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
        _faulty.Break("GetObject", new Fault { Status = status, Code = code });
        var refusal = await Assert.ThrowsAsync<S3Exception>(() => GetAsync(null));

        Assert.Equal(expected, refusal.Code.Name);
        Assert.Equal(1, _faulty.Count("GetObject"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Read_ClockIsWrong_IsAskedAgainWithTheBackendsTime(bool head)
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), _faulty.Url);
        _faulty.Break("*", new Fault { Status = 403, Code = "RequestTimeTooSkewed" }, times: 1);
        Task Ask() => head ? late.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default).AsTask() : GetAsync(null, late);

        await Ask();

        Assert.Equal([true, false], _faulty.Requests.Select(request => IsDatedBackBy(request, TimeSpan.FromMinutes(50))));
    }

    /// <summary>Once: a clock that was followed in vain is a refusal like another.</summary>
    [Fact]
    public async Task Get_ClockStaysWrong_IsARefusalOfOurKeys()
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), _faulty.Url);
        _faulty.Break("*", new Fault { Status = 403, Code = "RequestTimeTooSkewed" });

        await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null, late));
        Assert.Equal(2, _faulty.Requests.Count);
    }

    [Fact]
    public async Task Get_RefusedForAnotherReason_LeavesTheClockAlone()
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), _faulty.Url);
        _faulty.Break("*", new Fault { Status = 403, Code = "AccessDenied" }, times: 1);

        await AssertCodeAsync(S3ErrorCode.AccessDenied, () => GetAsync(null, late));
        await GetAsync(null, late);

        Assert.All(_faulty.Requests, request => Assert.True(IsDatedBackBy(request, TimeSpan.FromMinutes(50))));
    }

    [Fact]
    public async Task Get_SentAwayByOtherThanAws_IsToldWhatToConfigure()
    {
        _faulty.Break("GetObject", new Fault { Status = 307, Code = "TemporaryRedirect" });
        var refusal = await AssertCodeAsync(S3ErrorCode.InternalError, () => GetAsync(null));

        Assert.Contains("Endpoints and Region", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(1, _faulty.Count("GetObject"));
    }

    [Fact]
    public async Task Head_Missing_IsNoSuchKeyThoughThereIsNoBody()
        => Assert.Equal(S3ErrorCode.NoSuchKey, (await Assert.ThrowsAsync<S3Exception>(async () => await _backend.Source.HeadObjectAsync(new("data", "none"), ObjectReadOptions.Whole, default))).Code);

    [Fact]
    public async Task Get_RangePastEnd_IsInvalidRange() => await AssertCodeAsync(S3ErrorCode.InvalidRange, () => GetAsync(ByteRange.From(300_000)));

    [Fact]
    public async Task Get_BackendDown_Is503AndNever404()
    {
        await _faulty.DisposeAsync();
        for (var i = 0; i < 4; i++)
        {
            await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null));
            await AssertCodeAsync(S3ErrorCode.SlowDown, HeadAsync);
        }

        Assert.False(_backend.IsReachable);
        Assert.Equal(5, _backend.Counters.Requests);
    }

    [Fact]
    public async Task Get_NoAnswerInTime_Is503()
    {
        _faulty.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await AssertCodeAsync(S3ErrorCode.SlowDown, HeadAsync);
    }

    /// <summary>One deadline over all tries, not one each.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Read_BackendKeepsSilent_AllTriesShareOneDeadline(bool head)
    {
        _faulty.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await using var backend = Connect(options => options with { ResponseTimeout = TimeSpan.FromSeconds(2), ReadTimeout = TimeSpan.FromSeconds(3), ReadAttempts = 5 }, _faulty.Url);
        var started = TimeProvider.System.GetTimestamp();
        await AssertCodeAsync(S3ErrorCode.SlowDown, async () => head ? (object)await backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default) : await GetAsync(null, backend));
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 2.9, 6);
        Assert.Equal(2, _faulty.Requests.Count);
    }

    /// <summary>What a timer that fires early leaves of the deadline is no time for another try.</summary>
    [Fact]
    public async Task Read_DeadlineFiresEarly_IsNotTriedOnceMore()
    {
        _faulty.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await using var backend = Connect(
            options => options with { ResponseTimeout = TimeSpan.FromSeconds(1), ReadTimeout = TimeSpan.FromSeconds(1), ReadAttempts = 5, RetryDelay = TimeSpan.Zero },
            new EarlyTimers(TimeSpan.FromMilliseconds(5)),
            _faulty.Url);
        await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null, backend));
        Assert.Single(_faulty.Requests);
    }

    /// <summary>What is left of the deadline is enough for an address that works.</summary>
    [Fact]
    public async Task Get_FirstOfTwoEndpointsKeepsSilent_SecondAnswersInTime()
    {
        await using var silent = await FaultyBackend.StartAsync(0, "data");
        silent.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await using var backend = Connect(options => options with { ResponseTimeout = TimeSpan.FromSeconds(1), ReadTimeout = TimeSpan.FromSeconds(6) }, silent.Url, _faulty.Url);
        Assert.Equal(Bytes, await GetAsync(null, backend));
        Assert.Single(silent.Requests);
    }

    [Fact]
    public async Task List_ClockIsWrong_IsAskedAgainWithTheBackendsTime()
    {
        await using var late = Connect(new ClockBehind(TimeSpan.FromHours(1)), _faulty.Url);
        _faulty.Break("ListObjectsV2", new Fault { Status = 403, Code = "RequestTimeTooSkewed" }, times: 1);

        Assert.Single((await late.Source.ListObjectsAsync("data", new ListQuery(), default)).Objects);
        Assert.Equal([true, false], _faulty.Requests.Select(request => IsDatedBackBy(request, TimeSpan.FromMinutes(50))));
        Assert.All(_faulty.Requests, request => request.AssertSigned("key", "secret", "us-east-1", at: request.Header("x-amz-date")));
    }

    [Fact]
    public async Task Get_TwoEndpointsOneDown_AnswersFromTheOther()
    {
        var gone = await FaultyBackend.StartAsync();
        await gone.DisposeAsync();
        await using var both = Connect(gone.Url, _faulty.Url);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(Bytes.Length, (await both.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default)).Size);
        }

        Assert.InRange(both.Counters.Rows.Where(row => row.Status == 0).Sum(row => row.Count), 5, 7);
    }

    [Fact]
    public async Task List_PageByPage_GivesEveryNameOnce()
    {
        string[] keys = ["a/1", "a/2", "b", "c +%&/x", "d", "e/é", "e/ü"];
        _faulty.Store.CreateBucket("list");
        foreach (var key in keys)
        {
            _faulty.Store.TryPut("list", key, FaultyObject.Of([1, 2]));
        }

        Assert.Equal(keys, await NamesAsync(null));
        Assert.Equal(["a/", "b", "c +%&/", "d", "e/"], await NamesAsync("/"));
        await AssertCodeAsync(S3ErrorCode.NoSuchBucket, async () => await _backend.Source.ListObjectsAsync("none", new ListQuery(), default));

        async Task<List<string>> NamesAsync(string? delimiter)
        {
            var names = new List<string>();
            string? after = null;
            do
            {
                var page = await _backend.Source.ListObjectsAsync("list", new ListQuery { Delimiter = delimiter, After = after, MaxKeys = 2 }, default);
                names.AddRange(page.Objects.Select(one => one.Key).Concat(page.CommonPrefixes).Order(StringComparer.Ordinal));
                Assert.Equal(page.IsTruncated, page.NextAfter is not null);
                after = page.NextAfter;
            }
            while (after is not null);
            return names;
        }
    }

    /// <summary>As one that was routed before an edit of the configuration may meet it.</summary>
    [Fact]
    public async Task Anything_OfABackendThatWasClosed_IsSlowDown()
    {
        var closed = Connect(_faulty.Url);
        _ = await GetAsync(null, closed);
        await closed.DisposeAsync();
        await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null, closed));
        await AssertCodeAsync(S3ErrorCode.SlowDown, async () => await closed.Source.ListObjectsAsync("data", new ListQuery(), default));
    }

    private static bool IsDatedBackBy(FaultyRequest request, TimeSpan least)
    {
        var date = DateTimeOffset.ParseExact(request.Header("x-amz-date")!, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        return TimeProvider.System.GetUtcNow() - date > least;
    }

    private static RemoteBackend Connect(params string[] urls) => Connect(TimeProvider.System, urls);

    private static RemoteBackend Connect(TimeProvider time, params string[] urls) => Connect(static options => options, time, urls);

    private static RemoteBackend Connect(Func<RemoteOptions, RemoteOptions> configure, params string[] urls) => Connect(configure, TimeProvider.System, urls);

    private static RemoteBackend Connect(Func<RemoteOptions, RemoteOptions> configure, TimeProvider time, params string[] urls)
        => new("test", configure(new RemoteOptions
        {
            Endpoints = urls,
            AccessKey = "key",
            SecretKey = "secret",
            RetryDelay = TimeSpan.FromMilliseconds(2),
            StallTimeout = TimeSpan.FromMilliseconds(300),
            ResponseTimeout = TimeSpan.FromSeconds(3),
            Health = new BackendHealthOptions { OpenFor = TimeSpan.FromMinutes(5), MaxWait = TimeSpan.FromSeconds(1) },
        }), time, NullLoggerFactory.Instance);

    private static byte[] Expected(ByteRange? range)
        => range is not { } asked ? Bytes : asked.TryResolve(Bytes.Length, out var span) ? Bytes[(int)span.Offset..(int)span.End] : [];

    private static async Task<byte[]> ReadAsync(ObjectBody body)
    {
        var read = new MemoryStream();
        await body.Content.CopyToAsync(read);
        return read.ToArray();
    }

    private static async Task<S3Exception> AssertCodeAsync<T>(S3ErrorCode code, Func<Task<T>> act)
    {
        var refusal = await Assert.ThrowsAsync<S3Exception>(act);
        Assert.True(code == refusal.Code, $"{code} was expected, not {refusal.Code}: {refusal.Message} {refusal.InnerException}");
        return refusal;
    }

    private async Task<byte[]> GetAsync(ByteRange? range, RemoteBackend? backend = null)
    {
        await using var body = await (backend ?? _backend).Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Range = range }, default);
        return await ReadAsync(body);
    }

    private async Task<ObjectInfo> HeadAsync() => await _backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);

    private sealed class EarlyTimers(TimeSpan by) : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
            => base.CreateTimer(callback, state, dueTime > by ? dueTime - by : dueTime, period);
    }

    private sealed class ClockBehind(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() - by;
    }
}
