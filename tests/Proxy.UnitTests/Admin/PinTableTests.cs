using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.Cache.Tiers;
using Proxy.UnitTests.Cache;
using Proxy.UnitTests.Tiers;

namespace Proxy.UnitTests.Admin;

/// <summary>What the pins select, and how often the catalog is gone through for it.</summary>
public sealed class PinTableTests
{
    private const int BlockSize = 1 << 20;
    private readonly PinnedContents _pinned = new();
    private readonly ClassRules _rules = new(new CacheOptions());
    private readonly List<CatalogEntry> _catalog = [];
    private int _walks;

    [Theory]
    [InlineData(1)]
    [InlineData(50)]
    public void Update_HoweverManyPins_WalksTheCatalogOnce(int pins)
    {
        var table = Table(limit: long.MaxValue);
        for (var i = 1; i <= pins; i++)
        {
            // In turns a prefix, one key and a collection.
            table.Add(new KeySelection { Bucket = "a", Prefix = i % 3 == 1 ? $"logs/{i}/" : "", Key = i % 3 == 2 ? $"key-{i}" : null, Collection = i % 3 == 0 ? i : 0 });
            Known($"logs/{i}/x", 10);
            Known($"key-{i}", 10);
            Known($"files/insert_log/{i}/7{i}/5/100/1", 10);
        }

        table.Update(Walk(), _rules);
        Assert.Equal(1, _walks);
        Assert.Equal((pins, 10L * pins, 0), (table.State.Objects, table.State.Bytes, table.State.OverLimit));
        Assert.Equal(pins, _pinned.Count);
        table.Update(Walk(), _rules);
        Assert.Equal(2, _walks);
    }

    [Fact]
    public void Update_WithoutPins_WalksNothingAndLetsGo()
    {
        var table = Table(limit: long.MaxValue);
        Known("key", 10);
        table.Update(Walk(), _rules);
        var pin = table.Add(new KeySelection { Bucket = "a" });
        table.Update(Walk(), _rules);
        Assert.Equal((1, 1), (_walks, _pinned.Count));
        Assert.True(table.Remove(pin.Id));
        table.Update(Walk(), _rules);
        Assert.Equal((1, 0, 0), (_walks, _pinned.Count, table.State.Objects));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Update_IndexFileOfAPinnedCollection_IsFoundByItsPartition_WhicheverIsMetFirst(bool indexFirst)
    {
        var table = Table(limit: long.MaxValue);
        table.Add(new KeySelection { Bucket = "a", Collection = 44 });
        CatalogEntry Log() => Known("files/insert_log/44/55/66/100/1", 10);
        CatalogEntry Index() => Known("files/index_files/77/1/55/66/HNSW_0", 20);
        var (index, log) = indexFirst ? (Index(), Log()) : default;
        if (!indexFirst)
        {
            (log, index) = (Log(), Index());
        }

        var other = Known("files/index_files/78/1/56/67/HNSW_0", 40);
        var otherBucket = Known("files/index_files/77/1/55/66/HNSW_0", 80, bucket: "b");
        table.Update(Walk(), _rules);
        Assert.Equal((2, 30L), (table.State.Objects, table.State.Bytes));
        Assert.True(IsPinned(index) && IsPinned(log));
        Assert.False(IsPinned(other) || IsPinned(otherBucket));
    }

    [Fact]
    public void Update_OverTheLimit_ServesTheOldestPinFirst_AndCountsAnObjectOnce()
    {
        var table = Table(limit: 100);
        table.Add(new KeySelection { Bucket = "a", Prefix = "old/" });
        table.Add(new KeySelection { Bucket = "a" });
        var late = Known("new/x", 60);
        var first = Known("old/x", 60);
        var second = Known("old/y", 60);
        var small = Known("new/y", 40);
        Known("new/empty", 0);
        table.Update(Walk(), _rules);
        Assert.True(IsPinned(first) && IsPinned(small));
        Assert.False(IsPinned(late) || IsPinned(second));
        Assert.Equal((2, 100L, 2), (table.State.Objects, table.State.Bytes, table.State.OverLimit));
    }

    [Fact]
    public async Task Limit_RingSmallerThanConfigured_IsHalfOfTheRing()
    {
        using var directory = new TestDirectory();
        var tiers = await TierStacks.OpenAsync(directory.Path);
        await using var fixture = new CacheFixture(options => options.Nvme.CapacityBytes = 1L << 30, tiers: tiers);
        fixture.Cache.Admin.AddPin(new KeySelection { Bucket = "a" });
        Assert.Equal(32L << 20, fixture.Cache.Admin.PinState.LimitBytes);
    }

    private PinTable Table(long limit) => new(new PinFile(null, NullLogger.Instance), _pinned, () => limit, new FakeTimeProvider());

    private CatalogEntry Known(string key, long size, string bucket = "a")
    {
        var entry = new CatalogEntry
        {
            Bucket = bucket,
            Key = key,
            ETag = "\"e\"",
            Layout = ObjectLayout.Single(ContentIds.OfObject(bucket, key, "\"e\"", size, BlockSize), size, BlockSize),
            Policy = _rules.Find(bucket, key),
        };
        _catalog.Add(entry);
        return entry;
    }

    private bool IsPinned(CatalogEntry entry) => _pinned.Contains(entry.Layout.Extents[0].Content);

    private IEnumerable<CatalogEntry> Walk()
    {
        _walks++;
        foreach (var entry in _catalog)
        {
            yield return entry;
        }
    }
}
