using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Proxy.Cache.Admin;
using Proxy.Cache.Tiers;
using Proxy.UnitTests.Cache;
using Proxy.UnitTests.Tiers;

namespace Proxy.UnitTests.Admin;

/// <summary>What a warm job makes of an object, when part of it is there already or something is in its way.</summary>
public sealed class WarmTests
{
    private const int BlockBytes = 64 << 10;
    private const int MiB = CacheFixture.MiB;
    private static readonly WarmPace NoPace = static (_, _) => ValueTask.CompletedTask;

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Warm_HalfOfAWindowsManyBlocksAreThere_BringsTheOthers()
    {
        await using var fixture = new CacheFixture(options => (options.BlockSizeBytes, options.Fills.ReadaheadBytes) = (BlockBytes, 0), _time);
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(8 * MiB));
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(0, (4 * MiB) - 1));
        await fixture.Cache.IdleAsync();
        Assert.Equal(4 * MiB, fixture.Cache.Admin.Find(CacheFixture.Log)!.MemoryBytes);

        var result = await fixture.Cache.Admin.WarmAsync(CacheFixture.Log, fixture.Source, NoPace, TestContext.Current.CancellationToken);
        Assert.Equal(new WarmResult(WarmEnd.Warm, 8 * MiB, 4 * MiB), result);
    }

    [Fact]
    public async Task Warm_BudgetSpentByReadersForLong_WaitsAndIsPacedOnce()
    {
        await using var fixture = new CacheFixture(options => (options.Fills.MaxBytesInFlight, options.Fills.ReadaheadBytes) = (MiB, 0), _time);
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(MiB));
        fixture.Source.Put(CacheFixture.Unknown, CacheFixture.Random(MiB));
        var gate = new TaskCompletionSource();
        fixture.Source.BeforePiece = (asked, _) => asked.Id == CacheFixture.Unknown ? gate.Task : Task.CompletedTask;
        var reader = fixture.GetAsync(CacheFixture.Unknown);
        await Patience.UntilAsync(() => fixture.Cache.Snapshot().Fills.BytesInFlight >= MiB, () => $"the reader has {fixture.Cache.Snapshot().Fills.BytesInFlight} bytes in flight");

        var paced = 0L;
        WarmPace pace = (bytes, _) =>
        {
            paced += bytes;
            return ValueTask.CompletedTask;
        };
        var warm = fixture.Cache.Admin.WarmAsync(CacheFixture.Log, fixture.Source, pace, TestContext.Current.CancellationToken);
        for (var i = 0; i < 300; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(50));
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        Assert.False(warm.IsCompleted);
        gate.SetResult();
        await reader;
        await Patience.UntilAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromMilliseconds(50));
                return warm.IsCompleted;
            },
            () => $"it still waits: {fixture.Cache.Snapshot().Fills}");

        Assert.Equal(new WarmResult(WarmEnd.Warm, MiB, MiB), await warm);
        Assert.Equal(MiB, paced);
    }

    /// <summary>Nobody moves the clock: whoever waits for a disk that stands aside waits for ever.</summary>
    [Fact]
    public async Task Warm_NvmeStandsAside_WaitsForNothingAndCountsAsNoHit()
    {
        using var directory = new TestDirectory();
        var tiers = TierStack.Open(TierStacks.Options(directory.Path) with { FreeSpaceReserveBytes = 1L << 49 }, TimeProvider.System, NullLoggerFactory.Instance);
        await TierStacks.UntilAsync(() => tiers.Snapshot().Nvme[0].State == NvmeState.Suspended, tiers);
        await using var fixture = new CacheFixture(options => options.BlockSizeBytes = BlockBytes, _time, tiers);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(4 * MiB));
        var warm = fixture.Cache.Admin.WarmAsync(CacheFixture.Index, fixture.Source, NoPace, TestContext.Current.CancellationToken);
        Assert.Equal(new WarmResult(WarmEnd.Warm, 4 * MiB, 4 * MiB), await warm.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        Assert.Equal(0, tiers.Snapshot().Memory.Hits);
    }
}
