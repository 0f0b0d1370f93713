using Proxy.Cache;
using Proxy.Cache.Policy;

namespace Proxy.UnitTests.Telemetry;

public sealed class CollectionTableTests
{
    private readonly CollectionTable _table = new(new ClassRules(new CacheOptions()));

    [Fact]
    public void IndexBytes_JoinTheirCollection_OnceItsPartitionIsKnown()
    {
        _table.TallyOf("files/index_files/100/1/12/13/HNSW").Add(cached: 10, backend: 1);
        Assert.Equal([new CollectionBytes(0, 10, 1)], _table.Snapshot());
        _table.TallyOf("files/insert_log/11/12/13/100/1").Add(cached: 5, backend: 2);
        Assert.Contains(new CollectionBytes(11, 15, 3), _table.Snapshot());
        Assert.Contains(new CollectionBytes(0, 0, 0), _table.Snapshot());
    }

    [Fact]
    public void WrittenKey_TellsWhosePartitionItIs()
    {
        _table.Learn("files/insert_log/11/12/13/100/1");
        _table.TallyOf("files/index_files/100/1/12/13/HNSW").Add(10, 0);
        Assert.Contains(new CollectionBytes(11, 10, 0), _table.Snapshot());
    }

    [Fact]
    public void OtherKeys_ShareOneTally() => Assert.Same(_table.TallyOf("a/b"), _table.TallyOf("c/d"));
}
