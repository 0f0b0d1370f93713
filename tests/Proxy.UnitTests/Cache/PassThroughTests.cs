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

    /// <summary>Who has begun cannot be told 503 any more: it was cut at once.</summary>
    [Fact]
    public async Task ReaderThatHasBegun_AtTheBound_WaitsForAStream()
    {
        await using var fixture = AtItsBound();
        var bytes = await BegunAsync(fixture);
        var holder = await fixture.OpenAsync(CacheFixture.Index);
        await using var read = await fixture.OpenAsync(CacheFixture.Log);
        var first = (await read.ReadNextAsync(default)).ToArray();
        Assert.InRange(first.Length, 1, bytes.Length - 1);
        var waiting = CacheFixture.DrainAsync(read, taken: first.Length);
        Assert.False(waiting.IsCompleted, "it did not wait");

        // Who comes now is told, and takes nothing from who waits.
        Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Index))).Code);
        await holder.DisposeAsync();
        Assert.Equal(bytes[first.Length..], await waiting);
        await read.DisposeAsync();
        await fixture.AssertQuietAsync();
    }

    /// <summary>A client that leaves while it waits leaves no stream behind.</summary>
    [Fact]
    public async Task ReaderThatWaitsForAStream_AndLeaves_TakesNone()
    {
        await using var fixture = AtItsBound();
        var bytes = await BegunAsync(fixture);
        var holder = await fixture.OpenAsync(CacheFixture.Index);
        using var gone = new CancellationTokenSource();
        await using (var read = await fixture.OpenAsync(CacheFixture.Log))
        {
            await read.ReadNextAsync(default);
            var waiting = read.ReadNextAsync(gone.Token).AsTask();
            Assert.False(waiting.IsCompleted, "it did not wait");
            await gone.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        await holder.DisposeAsync();
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Log)).Bytes);
        await fixture.AssertQuietAsync();
    }

    /// <summary>A client takes a silence of ten seconds for a broken connection.</summary>
    [Fact]
    public async Task ReaderThatWaitsForAStream_AndGetsNone_IsCutBeforeItGivesUp()
    {
        await using var fixture = AtItsBound();
        await BegunAsync(fixture);
        await using (await fixture.OpenAsync(CacheFixture.Index))
        await using (var read = await fixture.OpenAsync(CacheFixture.Log))
        {
            await read.ReadNextAsync(default);
            var refused = fixture.Cache.Snapshot().Fills.Refused;
            await Assert.ThrowsAsync<IOException>(() => read.ReadNextAsync(default).AsTask().WaitAsync(TimeSpan.FromMinutes(1)));
            Assert.Equal(refused + 1, fixture.Cache.Snapshot().Fills.Refused);
        }

        await fixture.GetAsync(CacheFixture.Log);
        await fixture.AssertQuietAsync();
    }

    /// <summary>Room for one small fill, and one stream past the tiers.</summary>
    private static CacheFixture AtItsBound() => new(options => (options.Fills.MaxBytesInFlight, options.Fills.MaxPassThrough, options.Fills.ReadaheadBytes) = (64 << 10, 1, 0));

    /// <returns>Of <see cref="CacheFixture.Log"/>, the beginning of which is in memory from here on.</returns>
    private static async Task<byte[]> BegunAsync(CacheFixture fixture)
    {
        var bytes = CacheFixture.Random(3 * MiB);
        fixture.Source.Put(CacheFixture.Log, bytes);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(3 * MiB, seed: 2));
        await fixture.HeadAsync(CacheFixture.Log);
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(0, 99));
        await fixture.Cache.IdleAsync();
        return bytes;
    }
}
