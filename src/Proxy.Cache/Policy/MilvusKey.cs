namespace Proxy.Cache.Policy;

/// <summary>What of Milvus's an object is, by its key.</summary>
public enum MilvusKind
{
    /// <summary>Not one of Milvus's, or a place of Milvus's that no rule below names.</summary>
    Other,
    Index,
    InsertLog,
    StatsLog,
    Bm25Stats,
    DeltaLog,
    TextLog,
    JsonStats,
    Snapshot,
    Wal,

    /// <summary>Written-once folders without a metric of their own: ngram_log, analyze_stats, part_stats, raw_datas, json_key_index_log.</summary>
    Auxiliary,
}

/// <summary>A key of Milvus's taken apart. Ids are 0 where the key does not name them.</summary>
/// <remarks>
/// Layout of <c>{root}/…</c>, as Milvus 2.5 to 3.0 write it (pkg/common/common.go, pkg/util/metautil):
/// insert_log/{collection}/{partition}/{segment}/{field or column group}/{log}; stats_log and bm25_stats the same; delta_log without the field;
/// index_files/{build}/{version}/{partition}/{segment}/{file}; text_log/{build}/{version}/{collection}/{partition}/{segment}/{field}/{file};
/// json_stats/{format}/{build}/{version}/{collection}/{partition}/{segment}/{field}/….
/// </remarks>
public readonly record struct MilvusKey
{
    public MilvusKind Kind { get; init; }

    public long Collection { get; init; }

    public long Partition { get; init; }

    public long Segment { get; init; }

    public long Field { get; init; }

    public long Build { get; init; }

    public long Version { get; init; }

    /// <summary>The last segment is exactly <c>1</c>: the merged statistics with a fixed name that a retry overwrites.</summary>
    internal bool IsCompound { get; init; }

    /// <param name="rest">The key after its root path and slash.</param>
    /// <returns>False when the first folder is none of Milvus's.</returns>
    public static bool TryParse(ReadOnlySpan<char> rest, out MilvusKey key)
    {
        key = default;
        var slash = rest.IndexOf('/');
        if (slash <= 0)
        {
            return false;
        }

        var kind = rest[..slash] switch
        {
            "index_files" => MilvusKind.Index,
            "insert_log" => MilvusKind.InsertLog,
            "stats_log" => MilvusKind.StatsLog,
            "bm25_stats" => MilvusKind.Bm25Stats,
            "delta_log" => MilvusKind.DeltaLog,
            "text_log" => MilvusKind.TextLog,
            "json_stats" => MilvusKind.JsonStats,
            "snapshots" => MilvusKind.Snapshot,
            "wp" => MilvusKind.Wal,
            "ngram_log" or "analyze_stats" or "part_stats" or "raw_datas" or "json_key_index_log" => MilvusKind.Auxiliary,
            _ => MilvusKind.Other,
        };
        if (kind == MilvusKind.Other)
        {
            return false;
        }

        var tail = rest[(slash + 1)..];
        var ids = new Ids(tail);
        key = kind switch
        {
            MilvusKind.InsertLog => new() { Kind = kind, Collection = ids.Next(), Partition = ids.Next(), Segment = ids.Next(), Field = ids.Next() },
            MilvusKind.StatsLog or MilvusKind.Bm25Stats => new()
            {
                Kind = kind,
                Collection = ids.Next(),
                Partition = ids.Next(),
                Segment = ids.Next(),
                Field = ids.Next(),
                IsCompound = tail.EndsWith("/1"),
            },
            MilvusKind.DeltaLog => new() { Kind = kind, Collection = ids.Next(), Partition = ids.Next(), Segment = ids.Next() },
            MilvusKind.Index => new() { Kind = kind, Build = ids.Next(), Version = ids.Next(), Partition = ids.Next(), Segment = ids.Next() },
            MilvusKind.TextLog => Built(kind, ref ids),
            MilvusKind.JsonStats => BuiltAfterFormat(kind, ref ids),
            MilvusKind.Snapshot => new() { Kind = kind, Collection = ids.Next() },
            _ => new() { Kind = kind },
        };
        return true;
    }

    private static MilvusKey Built(MilvusKind kind, ref Ids ids) => new()
    {
        Kind = kind,
        Build = ids.Next(),
        Version = ids.Next(),
        Collection = ids.Next(),
        Partition = ids.Next(),
        Segment = ids.Next(),
        Field = ids.Next(),
    };

    private static MilvusKey BuiltAfterFormat(MilvusKind kind, ref Ids ids)
    {
        _ = ids.Next();
        return Built(kind, ref ids);
    }

    /// <summary>Takes decimal segments one after another; the first that is none ends them.</summary>
    private ref struct Ids(ReadOnlySpan<char> rest)
    {
        private ReadOnlySpan<char> _rest = rest;

        public long Next()
        {
            var slash = _rest.IndexOf('/');
            var segment = slash < 0 ? _rest : _rest[..slash];
            if (!long.TryParse(segment, System.Globalization.NumberStyles.None, null, out var id))
            {
                _rest = default;
                return 0;
            }

            _rest = slash < 0 ? default : _rest[(slash + 1)..];
            return id;
        }
    }
}
