using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

public sealed class EntryTableTests
{
    private const string Bucket = "a-bucket";

    [Fact]
    public void Find_AfterAnyChanges_IsWhatADictionaryWouldSay()
    {
        var table = new EntryTable(long.MaxValue);
        var model = new Dictionary<string, CatalogEntry>();
        var random = new Random(7);
        for (var step = 0; step < 200_000; step++)
        {
            var key = $"k/{random.Next(5_000)}";
            switch (random.Next(4))
            {
                case 0:
                    Assert.Same(model.GetValueOrDefault(key), table.Remove(Bucket, key));
                    model.Remove(key);
                    break;
                case 1:
                    table.Set(model[key] = Entry(key));
                    break;
                default:
                    Assert.Same(model.GetValueOrDefault(key), table.Find(Bucket, key));
                    break;
            }
        }

        Assert.Equal(model.Count, table.Count);
        Assert.Equal(model.Values.Sum(entry => entry.CostBytes), table.UsedBytes);
        Assert.Equal(model.Values.ToHashSet(), table.Enumerate().ToHashSet());
        Assert.Null(table.Find("another", "k/1"));
    }

    /// <summary>An object's type is as long as its writer likes. Where it did not count, the bound bounded nothing.</summary>
    [Fact]
    public void Set_WhateverWritersSayOfObjects_StaysWithinTheBound()
    {
        const int Long = 8_000;
        var table = new EntryTable(1_000_000);
        for (var i = 0; i < 1_000; i++)
        {
            var info = new ObjectInfo { Size = 1, ETag = "v", LastModified = default, ContentType = new string('a', Long), ChecksumHeaders = [new("x-amz-checksum-sha256", new string('b', Long))] };
            table.Set(Entry($"k/{i}").With(info, default, validatedAt: 0));
        }

        Assert.InRange(table.Enumerate().Sum(static entry => 2L * (entry.Info!.ContentType!.Length + entry.Info.ChecksumHeaders[0].Value.Length)), 500_000, 1_000_000);
    }

    [Fact]
    public void Set_PastTheBound_ThrowsOutTheUnusedAndStaysWithin()
    {
        var cost = Entry("hot/0000").CostBytes;
        var table = new EntryTable(10_000 * cost);
        for (var i = 0; i < 2_000; i++)
        {
            table.Set(Entry($"hot/{i:0000}"));
        }

        for (var i = 0; i < 100_000; i++)
        {
            table.Set(Entry($"scan/{i:000000}"));
            table.Find(Bucket, $"hot/{i % 2_000:0000}");
        }

        Assert.InRange(table.UsedBytes, 9_900 * cost, 10_000 * cost);
        Assert.InRange(table.Evictions, 91_000, 93_000);
        Assert.InRange(Enumerable.Range(0, 2_000).Count(i => table.Find(Bucket, $"hot/{i:0000}") is not null), 1_950, 2_000);
    }

    [Fact]
    public async Task Find_WhileNeighboursComeAndGo_NeverMissesWhatStays()
    {
        var table = new EntryTable(long.MaxValue);
        var stays = Enumerable.Range(0, 3_000).Select(i => Entry($"stays/{i}")).ToArray();
        Array.ForEach(stays, table.Set);
        using var over = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        long looks = 0;
        var writers = Enumerable.Range(0, 2).Select(writer => Task.Run(() =>
        {
            for (var i = 0; !over.IsCancellationRequested; i++)
            {
                var key = $"goes/{writer}/{i % 4_000}";
                if (table.Remove(Bucket, key) is null)
                {
                    table.Set(Entry(key));
                }

                if (i % 7 == 0)
                {
                    table.Set(stays[i % stays.Length]);
                }
            }
        }));
        var readers = Enumerable.Range(0, 2).Select(reader => Task.Run(() =>
        {
            var random = new Random(reader);
            while (!over.IsCancellationRequested)
            {
                var one = stays[random.Next(stays.Length)];
                Assert.Same(one, table.Find(Bucket, one.Key));
                Assert.Null(table.Find(Bucket, "never"));
                Interlocked.Increment(ref looks);
            }
        }));
        await Task.WhenAll([.. writers, .. readers]);
        Assert.True(looks > 10_000, "The run was too small to mean anything.");
    }

    [Fact]
    public void Find_AllocatesNothing()
    {
        var table = new EntryTable(long.MaxValue);
        table.Set(Entry("k/1"));
        Assert.Equal(0, Allocations.Least(100, Look));

        void Look()
        {
            for (var i = 0; i < 1000; i++)
            {
                table.Find("a-bucket".AsSpan(), "k/1".AsSpan());
                table.Find("a-bucket".AsSpan(), "k/2".AsSpan());
            }
        }
    }

    internal static CatalogEntry Entry(string key) => new()
    {
        Bucket = Bucket,
        Key = key,
        ETag = "\"0123456789abcdef0123456789abcdef\"",
        Layout = ObjectLayout.Single(new ContentId(1, 2), 1000, 1 << 20),
        Policy = new KeyPolicy(),
    };
}
