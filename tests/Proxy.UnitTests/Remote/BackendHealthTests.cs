using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Proxy.Backends.Remote;
using Proxy.S3.Errors;

namespace Proxy.UnitTests.Remote;

public sealed class BackendHealthTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void TryPick_FailuresInARow_LeavesTheEndpointAloneThenProbesOnce()
    {
        var health = new BackendHealth(1, new BackendHealthOptions { FailuresToOpen = 2, OpenFor = TimeSpan.FromSeconds(1) }, _time);
        Assert.False(health.Unreachable(0));
        Assert.True(health.TryPick(out _));
        Assert.True(health.Unreachable(0));
        Assert.False(health.TryPick(out _));
        Assert.False(health.IsReachable);

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(health.IsReachable);
        Assert.True(health.TryPick(out _));
        Assert.False(health.TryPick(out _));

        Assert.True(health.Reached(0));
        Assert.True(health.TryPick(out _));
        Assert.False(health.Reached(0));
    }

    [Fact]
    public void TryPick_AnswerBetweenFailures_CountsAnew()
    {
        var health = new BackendHealth(1, new BackendHealthOptions { FailuresToOpen = 2 }, _time);
        for (var i = 0; i < 10; i++)
        {
            health.Unreachable(0);
            health.Reached(0);
        }

        Assert.True(health.TryPick(out _));
    }

    [Fact]
    public void TryPick_SeveralEndpoints_TakesTurnsAmongThoseThatWork()
    {
        var health = new BackendHealth(3, new BackendHealthOptions { FailuresToOpen = 1 }, _time);
        health.Unreachable(1);
        var picked = Enumerable.Range(0, 6).Select(_ => health.TryPick(out var endpoint) ? endpoint : -1);

        Assert.Equal([0, 2, 0, 2, 0, 2], picked);
    }

    [Fact]
    public async Task ReadLimit_Throttled_HalvesAndGrowsBack()
    {
        var limit = new ReadLimit(new BackendHealthOptions { MaxConcurrency = 8, MinConcurrency = 2 }, _time);
        limit.Throttled();
        limit.Throttled();
        Assert.Equal(4, limit.Current);

        _time.Advance(TimeSpan.FromSeconds(1));
        limit.Throttled();
        _time.Advance(TimeSpan.FromSeconds(1));
        limit.Throttled();
        Assert.Equal(2, limit.Current);
        for (var i = 0; i < 100; i++)
        {
            limit.Succeeded();
        }

        Assert.Equal(8, limit.Current);
        (await limit.EnterAsync(default)).Dispose();
        Assert.Equal(0, limit.InUse);
    }

    /// <summary>A read that waits for a connection looks like a backend that is silent; each may be asked twice.</summary>
    [Theory]
    [InlineData(256, 128, 128)]
    [InlineData(256, 200, 128)]
    [InlineData(64, 128, 32)]
    [InlineData(64, 20, 20)]
    [InlineData(1, 128, 1)]
    public void ReadLimit_OfABackend_IsHalfOfItsConnectionsAtMost(int connections, int most, int expected)
    {
        var options = new RemoteOptions { Endpoints = ["http://127.0.0.1:1"], AccessKey = "k", SecretKey = "s", MaxConnections = connections, Health = new BackendHealthOptions { MaxConcurrency = most } };
        using var backend = new RemoteBackend("test", options, _time, NullLoggerFactory.Instance);
        Assert.Equal(expected, backend.ReadLimit);
    }

    [Fact]
    public async Task ReadLimit_Full_WaitsInOrderThenSaysSlowDown()
    {
        var limit = new ReadLimit(new BackendHealthOptions { MaxConcurrency = 1, MinConcurrency = 1, MaxWait = TimeSpan.FromSeconds(10) }, _time);
        var first = await limit.EnterAsync(default);
        var second = limit.EnterAsync(default).AsTask();
        using var gone = new CancellationTokenSource();
        var canceled = limit.EnterAsync(gone.Token).AsTask();
        var late = limit.EnterAsync(default).AsTask();
        Assert.False(second.IsCompleted);

        first.Dispose();
        first.Dispose();
        using (await second)
        {
            await gone.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled);
            _time.Advance(TimeSpan.FromSeconds(10));
            var refusal = await Assert.ThrowsAsync<S3Exception>(() => late);
            Assert.Equal(S3ErrorCode.SlowDown, refusal.Code);
        }

        Assert.Equal(0, limit.InUse);
    }
}
