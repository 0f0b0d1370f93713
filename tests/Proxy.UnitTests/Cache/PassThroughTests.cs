using Proxy.S3.Errors;

namespace Proxy.UnitTests.Cache;

/// <summary>Past all budgets a read has a stream of its own, up to a bound.</summary>
public sealed class PassThroughTests
{
    private const int MiB = CacheFixture.MiB;

    [Fact]
    public async Task FillBudget_Spent_ReadsPassThrough()
    {
        await using var fixture = new CacheFixture(options => options.Fills.MaxBytesInFlight = 64 << 10);
        var bytes = CacheFixture.Random(3 * MiB);
        fixture.Source.Put(CacheFixture.Log, bytes);
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Log)).Bytes);
        Assert.Equal(1, fixture.Cache.Snapshot().Fills.PassedThrough);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Memory_AllLeased_ReadsPassThrough()
    {
        await using var fixture = new CacheFixture(options =>
        {
            options.Memory.CapacityBytes = 16 * MiB;
            options.Fills.MaxBytesInFlight = 64 * MiB;
        });
        var bytes = CacheFixture.Random(24 * MiB);
        fixture.Source.Put(CacheFixture.Index, bytes);
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task PassThrough_AtItsBound_IsSlowDown()
    {
        await using var fixture = new CacheFixture(options =>
        {
            options.Fills.MaxBytesInFlight = 64 << 10;
            options.Fills.MaxPassThrough = 1;
        });
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(3 * MiB));
        await using (var read = await fixture.OpenAsync(CacheFixture.Log))
        {
            Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Log))).Code);
        }

        await fixture.GetAsync(CacheFixture.Log);
        await fixture.AssertQuietAsync();
    }
}
