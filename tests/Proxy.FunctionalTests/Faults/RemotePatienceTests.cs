using Proxy.Backends.Remote;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Faults;

/// <summary>A backend that fails, keeps silent or is gone: what is tried again, for how long, and where.</summary>
public sealed class RemotePatienceTests : RemoteStore
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Get_BodyBreaksOffOrStalls_IsAnIOException(bool stalls)
    {
        Faulty.Break("GetObject", stalls ? new Fault { StallAfterBytes = 100_000 } : new Fault { ResetAfterBytes = 100_000 });
        await using var body = await Backend.Source.GetObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);

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
        Faulty.Break("GetObject", new Fault { Status = status }, times: 2);

        Assert.Equal(Bytes, await GetAsync(null));
        Assert.Equal(3, Faulty.Count("GetObject"));
        Assert.Equal(2, Backend.Counters.Retries);
        Assert.Equal(2, Backend.Counters.Rows.Single(row => row.Operation == "GetObject" && row.Status == status).Count);
    }

    [Fact]
    public async Task Get_BackendKeepsSaying503_Is503AfterTheWait()
    {
        Faulty.Break("*", new Fault { Status = 503 });
        var before = Backend.ReadLimit;

        var refusal = await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null));
        Assert.Contains(refusal.Headers, header => header.Key == "Retry-After");
        Assert.InRange(Faulty.Count("GetObject"), 4, 200);
        Assert.InRange(Backend.ReadLimit, 4, before / 2);
        Assert.Equal(0, Backend.ReadsInFlight);
    }

    [Fact]
    public async Task Get_AnswerLaterThanNearlyAll_IsAskedASecondTimeAndCountedOnce()
    {
        for (var i = 0; i < 400; i++)
        {
            await GetAsync(ByteRange.FromTo(0, 9));
        }

        Faulty.Break("GetObject", new Fault { Latency = TimeSpan.FromSeconds(2.5) }, times: 1);
        var started = TimeProvider.System.GetTimestamp();
        Assert.Equal(Expected(ByteRange.FromTo(5, 20_000)), await GetAsync(ByteRange.FromTo(5, 20_000)));
        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(2), "the late answer was waited for");
        Assert.InRange(Backend.Counters.Hedges, 1, 20);
        Assert.InRange(Backend.Counters.HedgesWon, 1, 20);
        Assert.Equal(Backend.Counters.Hedges, Backend.Counters.HedgesWon + Backend.Counters.HedgesLost);
        Assert.Equal(0, Backend.ReadsInFlight);
    }

    [Fact]
    public async Task Get_ConnectionClosedBeforeTheAnswer_IsAbsorbed()
    {
        Faulty.Break("GetObject", new Fault { ResetBeforeDoing = true }, times: 1);
        Assert.Equal(Bytes, await GetAsync(null));
    }

    [Fact]
    public async Task Get_BackendDown_Is503AndNever404()
    {
        await Faulty.DisposeAsync();
        for (var i = 0; i < 4; i++)
        {
            await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null));
            await AssertCodeAsync(S3ErrorCode.SlowDown, HeadAsync);
        }

        Assert.False(Backend.IsReachable);
        Assert.Equal(5, Backend.Counters.Requests);
    }

    [Fact]
    public async Task Get_NoAnswerInTime_Is503()
    {
        Faulty.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await AssertCodeAsync(S3ErrorCode.SlowDown, HeadAsync);
    }

    /// <summary>One deadline over all tries, not one each.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Read_BackendKeepsSilent_AllTriesShareOneDeadline(bool head)
    {
        Faulty.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await using var backend = Connect(options => options with { ResponseTimeout = TimeSpan.FromSeconds(2), ReadTimeout = TimeSpan.FromSeconds(3), ReadAttempts = 5 }, Faulty.Url);
        var started = TimeProvider.System.GetTimestamp();
        await AssertCodeAsync(S3ErrorCode.SlowDown, async () => head ? (object)await backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default) : await GetAsync(null, backend));
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 2.9, 6);
        Assert.Equal(2, Faulty.Requests.Count);
    }

    /// <summary>What a timer that fires early leaves of the deadline is no time for another try.</summary>
    [Fact]
    public async Task Read_DeadlineFiresEarly_IsNotTriedOnceMore()
    {
        Faulty.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await using var backend = Connect(
            options => options with { ResponseTimeout = TimeSpan.FromSeconds(1), ReadTimeout = TimeSpan.FromSeconds(1), ReadAttempts = 5, RetryDelay = TimeSpan.Zero },
            new EarlyTimers(TimeSpan.FromMilliseconds(5)),
            Faulty.Url);
        await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null, backend));
        Assert.Single(Faulty.Requests);
    }

    /// <summary>What is left of the deadline is enough for an address that works.</summary>
    [Fact]
    public async Task Get_FirstOfTwoEndpointsKeepsSilent_SecondAnswersInTime()
    {
        await using var silent = await FaultyBackend.StartAsync(0, "data");
        silent.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) });
        await using var backend = Connect(options => options with { ResponseTimeout = TimeSpan.FromSeconds(1), ReadTimeout = TimeSpan.FromSeconds(6) }, silent.Url, Faulty.Url);
        Assert.Equal(Bytes, await GetAsync(null, backend));
        Assert.Single(silent.Requests);
    }

    [Fact]
    public async Task Get_TwoEndpointsOneDown_AnswersFromTheOther()
    {
        var gone = await FaultyBackend.StartAsync();
        await gone.DisposeAsync();
        await using var both = Connect(gone.Url, Faulty.Url);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(Bytes.Length, (await both.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default)).Size);
        }

        Assert.InRange(both.Counters.Rows.Where(row => row.Status == 0).Sum(row => row.Count), 5, 7);
    }

    /// <summary>Whoever waits because our own connections are in use waits for its turn, and the backend is not blamed.</summary>
    [Fact]
    public async Task Get_EveryConnectionHeldByReaders_WaitsForItsTurn()
    {
        await using var backend = Connect(
            options => options with { MaxConnections = 2, Health = new BackendHealthOptions { FailuresToOpen = 1, OpenFor = TimeSpan.FromMinutes(5) } },
            Faulty.Url);
        var held = Task.Delay(backend.Options.ResponseTimeout + TimeSpan.FromSeconds(1.5));
        var reads = Enumerable.Range(0, 4).Select(async _ =>
        {
            await using var body = await backend.Source.GetObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);
            await held;
            return await ReadAsync(body);
        });
        Assert.All(await Task.WhenAll(reads), read => Assert.Equal(Bytes, read));
        Assert.True(backend.IsReachable);
    }

    /// <summary>As one that was routed before an edit of the configuration may meet it.</summary>
    [Fact]
    public async Task Anything_OfABackendThatWasClosed_IsSlowDown()
    {
        var closed = Connect(Faulty.Url);
        _ = await GetAsync(null, closed);
        await closed.DisposeAsync();
        await AssertCodeAsync(S3ErrorCode.SlowDown, () => GetAsync(null, closed));
        await AssertCodeAsync(S3ErrorCode.SlowDown, async () => await closed.Source.ListObjectsAsync("data", new ListQuery(), default));
    }

    private sealed class EarlyTimers(TimeSpan by) : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
            => base.CreateTimer(callback, state, dueTime > by ? dueTime - by : dueTime, period);
    }
}
