using Proxy.Cache;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

public sealed class ReadaheadTests
{
    private const int MiB = CacheFixture.MiB;

    [Fact]
    public async Task IndexSlice_Missing_BringsTheTwoThatFollow()
    {
        await using var fixture = new CacheFixture(options => options.Fills.SiblingSlices = 2);
        var slices = Enumerable.Range(0, 4).Select(i => new ObjectId("a-bucket", $"files/index_files/1/2/3/4/HNSW_{i}")).ToArray();
        for (var i = 0; i < slices.Length; i++)
        {
            fixture.Source.Put(slices[i], CacheFixture.Random(MiB + i, i));
        }

        await fixture.GetAsync(slices[0]);
        await KnownAsync(fixture, slices[2]);
        await fixture.Cache.IdleAsync(); // known is what it is before its bytes are there
        Assert.False(fixture.Cache.Explain(slices[3]).Known);
        Assert.Equal(0, fixture.Cache.Snapshot().SiblingsAheadUsed);
        for (var i = 1; i <= 2; i++)
        {
            var (bytes, outcome, _) = await fixture.GetAsync(slices[i]);
            Assert.Equal((CacheOutcome.HitMemory, true), (outcome, bytes.AsSpan().SequenceEqual(CacheFixture.Random(MiB + i, i))));
        }

        Assert.Equal(3, fixture.Source.Requests);
        await fixture.GetAsync(slices[1]);
        Assert.Equal((2, 2), (fixture.Cache.Snapshot().SiblingsAhead, fixture.Cache.Snapshot().SiblingsAheadUsed));
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task IndexSlice_WithoutRoomInTheBudget_BringsNone()
    {
        await using var fixture = new CacheFixture(options => (options.Fills.SiblingSlices, options.Fills.MaxBytesInFlight) = (2, 3 * MiB));
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(2 * MiB));
        await fixture.GetAsync(CacheFixture.Index);
        Assert.Equal((0, 1), (fixture.Cache.Snapshot().SiblingsAhead, fixture.Cache.Snapshot().AheadRefused));
        Assert.Equal(1, fixture.Source.Requests);
    }

    [Fact]
    public async Task SequentialReader_FindsItsNextRangeThere_ARandomOneBringsNothing()
    {
        await using var fixture = new CacheFixture(options => options.Fills.ReadaheadBytes = 4 * MiB);
        var bytes = CacheFixture.Random(40 * MiB);
        fixture.Source.Put(CacheFixture.Log, bytes);
        foreach (var at in new[] { 30, 10, 20 })
        {
            await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(at * MiB, ((at + 1) * MiB) - 1));
        }

        await fixture.Cache.IdleAsync();
        Assert.Equal(3 * MiB, fixture.Source.GivenBytes);
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(21 * MiB, (22 * MiB) - 1));
        await fixture.Cache.IdleAsync();
        Assert.Equal(8 * MiB, fixture.Source.GivenBytes);
        Assert.Equal((1, 0), (fixture.Cache.Snapshot().RangesAhead, fixture.Cache.Snapshot().RangesAheadUsed));
        for (var at = 22; at < 26; at++)
        {
            var got = await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(at * MiB, ((at + 1) * MiB) - 1));
            Assert.Equal(CacheOutcome.HitMemory, got.Outcome);
            Assert.True(bytes.AsSpan(at * MiB, MiB).SequenceEqual(got.Bytes));
        }

        Assert.Equal((1, 1), (fixture.Cache.Snapshot().RangesAhead, fixture.Cache.Snapshot().RangesAheadUsed));

        // A sequential reader whose next range is there already asks for nothing ahead.
        foreach (var at in new[] { 8, 9 })
        {
            await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(at * MiB, ((at + 1) * MiB) - 1));
        }

        Assert.Equal((1, 1), (fixture.Cache.Snapshot().RangesAhead, fixture.Cache.Snapshot().RangesAheadUsed));
        await fixture.AssertQuietAsync();
    }

    private static async Task KnownAsync(CacheFixture fixture, ObjectId id)
    {
        while (!fixture.Cache.Explain(id).Known)
        {
            await Task.Yield();
        }

        await fixture.Cache.IdleAsync();
    }
}
