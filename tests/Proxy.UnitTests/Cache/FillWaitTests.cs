using Microsoft.Extensions.Time.Testing;

namespace Proxy.UnitTests.Cache;

/// <summary>Readers that wait for bytes of a running fill.</summary>
public sealed class FillWaitTests
{
    private const int MiB = CacheFixture.MiB;

    /// <summary>It was woken for the bytes of a reader before it, gave up after eight times and opened a stream of its own.</summary>
    [Fact]
    public async Task Reader_DeepInARunningFill_WaitsForItsOwnBytes()
    {
        await using var fixture = new CacheFixture(options => (options.Fills.HeadAheadOnMiss, options.Fills.MaxPassThrough) = (false, 0));
        var bytes = CacheFixture.Random(24 * MiB);
        fixture.Source.Put(CacheFixture.Index, bytes);
        await fixture.HeadAsync(CacheFixture.Index);
        using var pieces = new SemaphoreSlim(0);
        fixture.Source.BeforePiece = (_, _) => pieces.WaitAsync();
        var first = fixture.GetAsync(CacheFixture.Index);
        var deep = fixture.GetAsync(CacheFixture.Index, CacheFixture.Range(16 * MiB, (24 * MiB) - 1));
        for (var piece = 1; piece <= 64; piece++)
        {
            pieces.Release();
            var due = (long)piece * fixture.Source.PieceBytes;
            await Patience.UntilAsync(() => Interlocked.Read(ref fixture.Source.GivenBytes) >= due, () => $"the source gave {fixture.Source.GivenBytes} bytes, {due} were due");

            // The first reader takes it and waits for the next.
            await Task.Delay(5);
        }

        pieces.Release(1000);
        Assert.Equal(bytes, (await first).Bytes);
        Assert.Equal(bytes[(16 * MiB)..], (await deep).Bytes);
        var fills = fixture.Cache.Snapshot().Fills;
        Assert.Equal((1, 0, 0), (fixture.Source.Gets, fills.PassedThrough, fills.Refused));
        await fixture.AssertQuietAsync();
    }

    /// <summary>Clients take a silence of ten seconds for a broken connection.</summary>
    [Fact]
    public async Task Backend_OfAFewBytesASecond_ItsReaderGetsThemWithinTwo()
    {
        var time = new FakeTimeProvider();
        await using var fixture = new CacheFixture(time: time);
        fixture.Source.PieceBytes = 4 << 10;
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB));
        using var pieces = new SemaphoreSlim(1);
        fixture.Source.BeforePiece = (_, _) => pieces.WaitAsync();
        await using (var read = await fixture.OpenAsync(CacheFixture.Index))
        {
            Assert.Equal(4 << 10, (await read.ReadNextAsync(default)).Length);
            var next = read.ReadNextAsync(default).AsTask();
            for (var second = 1; second <= 2; second++)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                pieces.Release();
            }

            Assert.InRange((await next.WaitAsync(TimeSpan.FromSeconds(30))).Length, 4 << 10, 8 << 10);
        }

        pieces.Release(1000);
        await fixture.AssertQuietAsync();
    }
}
