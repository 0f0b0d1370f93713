using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.Cache.Policy;
using Proxy.Server.WebConsole;

namespace Proxy.UnitTests.WebConsole;

/// <summary>Collections, partitions, segments and index builds of the Milvus page, and what each adds up.</summary>
public sealed class MilvusTreeTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly ClassRules _rules = new(new CacheOptions());

    [Fact]
    public void Build_OfMilvusKeys_SortsThemByTheirIdsAndAddsThemUp()
    {
        var roots = MilvusTree.Build(
        [
            Object("files/index_files/77/1/55/66/HNSW_0", size: 100, memory: 50, nvme: 25, reads: 7, lastRead: Noon, firstHit: true),
            Object("files/insert_log/44/55/66/100/1", size: 10, memory: 10, reads: 2, lastRead: Noon.AddMinutes(-1), firstHit: false),
            Object("files/insert_log/44/55/67/100/1", size: 1),
            Object("files/insert_log/45/56/68/100/1", size: 1000),
            Object("some/other/key", size: 5000),
        ]);

        Assert.Equal(["a-bucket: 44", "a-bucket: 45"], roots.Select(root => root.Name));
        var collection = roots[0];
        Assert.Equal((3, 111L, 60L, 25L, 9L), (collection.Objects, collection.Size, collection.MemoryBytes, collection.NvmeBytes, collection.Reads));
        Assert.Equal((Noon, 2, 1), (collection.LastRead, collection.FirstReads, collection.FirstReadHits));
        Assert.Equal(new KeySelection { Bucket = "a-bucket", Collection = 44 }, collection.Selection);

        var partition = Assert.Single(collection.Children);
        Assert.Equal((MilvusLevel.Partition, "55", 3), (partition.Level, partition.Name, partition.Objects));
        Assert.Equal(["66", "67"], partition.Children.Select(segment => segment.Name));
        var segment = partition.Children.First();
        Assert.Equal((2, 110L), (segment.Objects, segment.Size));
        Assert.Equal(new KeySelection { Bucket = "a-bucket", Collection = 44, Partition = 55, Segment = 66 }, segment.Selection);
        Assert.Equal([(MilvusLevel.Build, "77", 100L), (MilvusLevel.Files, "insert logs", 10L)], segment.Children.Select(child => (child.Level, child.Name, child.Size)));
        Assert.Equal([new KeySelection { Bucket = "a-bucket", Build = 77 }, null], segment.Children.Select(child => child.Selection));
    }

    [Fact]
    public void Build_IndexFileOfAPartitionNobodyNamed_StandsUnderNoCollection()
    {
        var root = Assert.Single(MilvusTree.Build([Object("files/index_files/77/1/55/66/HNSW_0", size: 100)]));
        Assert.Equal(("a-bucket: collection not known", null), (root.Name, root.Selection));
        Assert.Equal("55", Assert.Single(root.Children).Name);
    }

    private CachedObject Object(string key, long size, long memory = 0, long nvme = 0, long reads = 0, DateTimeOffset? lastRead = null, bool? firstHit = null) => new()
    {
        Bucket = "a-bucket",
        Key = key,
        ETag = "\"e\"",
        Size = size,
        Class = ObjectClass.Immutable,
        Milvus = _rules.TryParseMilvus(key, out var milvus) ? milvus : null,
        MemoryBytes = memory,
        NvmeBytes = nvme,
        Reads = reads,
        LastRead = lastRead,
        FirstReadWasHit = firstHit,
    };
}
