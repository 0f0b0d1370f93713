using Proxy.Cache.Admin;
using Proxy.Cache.Policy;

namespace Proxy.Server.WebConsole;

internal enum MilvusLevel
{
    Collection,
    Partition,
    Segment,
    Build,

    /// <summary>A segment's files of one kind: insert logs, statistics …</summary>
    Files,
}

/// <summary>A collection, partition, segment or index build, as far as the cache knows its objects.</summary>
internal sealed class MilvusNode(MilvusLevel level, string name, KeySelection? selection)
{
    private readonly Dictionary<string, MilvusNode> _children = new(StringComparer.Ordinal);

    public MilvusLevel Level { get; } = level;

    public string Name { get; } = name;

    /// <summary>Null for what cannot be selected by itself.</summary>
    public KeySelection? Selection { get; } = selection;

    /// <summary>Tells it apart from all others.</summary>
    public string Path { get; private init; } = name;

    public int Objects { get; private set; }

    public long Size { get; private set; }

    public long MemoryBytes { get; private set; }

    public long NvmeBytes { get; private set; }

    public long Reads { get; private set; }

    public DateTimeOffset? LastRead { get; private set; }

    /// <summary>Objects whose first read after their write has happened, and for how many it was a hit.</summary>
    public int FirstReads { get; private set; }

    public int FirstReadHits { get; private set; }

    public IEnumerable<MilvusNode> Children => _children.Values.OrderBy(child => child.Level).ThenBy(child => child.Name.Length).ThenBy(child => child.Name, StringComparer.Ordinal);

    public MilvusNode Child(MilvusLevel level, string name, KeySelection? selection)
        => _children.TryGetValue(name, out var child) ? child : _children[name] = new MilvusNode(level, name, selection) { Path = $"{Path}/{name}" };

    public void Add(CachedObject found)
    {
        Objects++;
        Size += found.Size;
        MemoryBytes += found.MemoryBytes;
        NvmeBytes += found.NvmeBytes;
        Reads += found.Reads;
        LastRead = found.LastRead > LastRead || LastRead is null ? found.LastRead ?? LastRead : LastRead;
        FirstReads += found.FirstReadWasHit is null ? 0 : 1;
        FirstReadHits += found.FirstReadWasHit == true ? 1 : 0;
    }
}

/// <summary>Sorts what the catalog knows of Milvus into collections, partitions, segments and index builds.</summary>
internal static class MilvusTree
{
    public static IReadOnlyList<MilvusNode> Build(IReadOnlyList<CachedObject> objects)
    {
        // Index files name no collection; whatever else lies in their partition does.
        var collections = new Dictionary<(string, long), long>();
        foreach (var found in objects)
        {
            if (found.Milvus is { Collection: not 0, Partition: not 0 } ids)
            {
                collections[(found.Bucket, ids.Partition)] = ids.Collection;
            }
        }

        var roots = new Dictionary<(string, long), MilvusNode>();
        foreach (var found in objects)
        {
            if (found.Milvus is not { } ids || (ids.Collection | ids.Partition) == 0)
            {
                continue;
            }

            var id = ids.Collection != 0 ? ids.Collection : collections.GetValueOrDefault((found.Bucket, ids.Partition));
            if (!roots.TryGetValue((found.Bucket, id), out var node))
            {
                roots[(found.Bucket, id)] = node = new MilvusNode(
                    MilvusLevel.Collection, id == 0 ? $"{found.Bucket}: collection not known" : $"{found.Bucket}: {id}", id == 0 ? null : new KeySelection { Bucket = found.Bucket, Collection = id });
            }

            node.Add(found);
            if (ids.Partition == 0)
            {
                continue;
            }

            (node = node.Child(MilvusLevel.Partition, $"{ids.Partition}", new KeySelection { Bucket = found.Bucket, Collection = id, Partition = ids.Partition })).Add(found);
            if (ids.Segment == 0)
            {
                continue;
            }

            (node = node.Child(MilvusLevel.Segment, $"{ids.Segment}", new KeySelection { Bucket = found.Bucket, Collection = id, Partition = ids.Partition, Segment = ids.Segment })).Add(found);
            (ids.Build != 0
                ? node.Child(MilvusLevel.Build, $"{ids.Build}", new KeySelection { Bucket = found.Bucket, Build = ids.Build })
                : node.Child(MilvusLevel.Files, NameOf(ids.Kind), null)).Add(found);
        }

        return [.. roots.OrderBy(pair => pair.Key).Select(pair => pair.Value)];
    }

    private static string NameOf(MilvusKind kind) => kind switch
    {
        MilvusKind.InsertLog => "insert logs",
        MilvusKind.DeltaLog => "delta logs",
        MilvusKind.StatsLog => "statistics",
        MilvusKind.Bm25Stats => "BM25 statistics",
        _ => kind.ToString(),
    };
}
