using Microsoft.Extensions.Time.Testing;
using Proxy.Cache.Admin;
using Proxy.Cache.Policy;
using Proxy.Server.WebConsole;

namespace Proxy.UnitTests.WebConsole;

/// <summary>The console's walks over the catalog: how often, however many look.</summary>
public sealed class CatalogViewTests
{
    private readonly FakeTimeProvider _time = new();
    private int _walks;

    [Theory]
    [InlineData(0.001, 3)]
    [InlineData(1, 100)]
    [InlineData(10, 1000)]
    public void Get_AskedEverySecondByFivePages_WalksAHundredthOfTheTimeAtMost(double walkSeconds, int restSeconds)
    {
        var view = View(TimeSpan.FromSeconds(walkSeconds));
        var first = view.Get();
        for (var second = 0; second < restSeconds; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            for (var page = 0; page < 5; page++)
            {
                Assert.Same(first, view.Get());
            }

            Assert.Equal(second + 1, view.AgeOf(first).TotalSeconds);
        }

        Assert.Equal(1, _walks);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.NotSame(first, view.Get());
        Assert.Equal(2, _walks);
    }

    [Fact]
    public void Renew_AfterAnAction_ShowsWhatIsNow()
    {
        var view = View(TimeSpan.FromSeconds(10));
        var first = view.Get();
        view.Renew();
        Assert.NotSame(first, view.Get());
        Assert.Equal(2, _walks);
    }

    [Fact]
    public async Task Get_WhileAnotherWalks_AnswersWithTheLastPicture()
    {
        using var walking = new SemaphoreSlim(0);
        using var goOn = new SemaphoreSlim(0);
        var view = new CatalogView(
            () =>
            {
                if (_walks++ > 0)
                {
                    walking.Release();
                    Assert.True(goOn.Wait(TimeSpan.FromSeconds(20)));
                }

                return [];
            },
            _time);
        var first = view.Get();
        _time.Advance(TimeSpan.FromSeconds(4));
        var second = Task.Run(view.Get, TestContext.Current.CancellationToken);
        await walking.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Same(first, view.Get());
        goOn.Release();
        Assert.NotSame(first, await second);
        Assert.Equal(2, _walks);
    }

    [Fact]
    public void Get_OfManyObjects_NamesTheHottestTheLargestAndTheBuckets()
    {
        var objects = Enumerable.Range(0, 100).Select(number => Object($"bucket-{number % 3}", $"key-{number:00}", reads: number % 50, cached: 1000 - number)).ToList();
        var picture = new CatalogView(() => objects, _time).Get();
        Assert.Equal(["key-49", "key-99", "key-48", "key-98", "key-47", "key-97", "key-46", "key-96"], picture.Hottest.Select(found => found.Key));
        Assert.Equal(Enumerable.Range(0, 8).Select(number => $"key-{number:00}"), picture.Largest.Select(found => found.Key));
        Assert.Equal(["bucket-0", "bucket-1", "bucket-2"], picture.Buckets);
        Assert.Empty(new CatalogView(() => [Object("a", "unread", 0, 0)], _time).Get().Hottest);
    }

    private static CachedObject Object(string bucket, string key, long reads, long cached)
        => new() { Bucket = bucket, Key = key, ETag = "\"e\"", Size = cached, Class = ObjectClass.Revalidate, Reads = reads, MemoryBytes = cached };

    private CatalogView View(TimeSpan walk) => new(
        () =>
        {
            _walks++;
            _time.Advance(walk);
            return [];
        },
        _time);
}
