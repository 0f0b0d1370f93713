using System.Text.Json.Serialization;
using Proxy.Cache.Policy;

namespace Proxy.Cache.Admin;

/// <summary>Which keys an operator means: one key, all with a prefix, or all of a Milvus collection, partition, segment or index build.</summary>
/// <remarks>Everything that is set must hold: a collection and a prefix select that collection's keys with that prefix. Immutable.</remarks>
public sealed record KeySelection
{
    /// <summary>Never empty.</summary>
    public required string Bucket { get; init; }

    /// <summary>Empty is the whole bucket.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>Exactly this key; null when a prefix or Milvus ids select.</summary>
    public string? Key { get; init; }

    /// <summary>Milvus ids; 0 selects any.</summary>
    public long Collection { get; init; }

    public long Partition { get; init; }

    public long Segment { get; init; }

    public long Build { get; init; }

    [JsonIgnore]
    public bool IsMilvus => (Collection | Partition | Segment | Build) != 0;

    /// <param name="milvus">The key taken apart; null when it is none of Milvus's.</param>
    /// <param name="partitions">Partitions of <see cref="Collection"/>: index files name their partition but not their collection.</param>
    public bool Matches(string bucket, string key, MilvusKey? milvus, IReadOnlySet<long> partitions)
        => MayMatch(bucket, key, milvus) && (Collection == 0 || milvus!.Value.Collection == Collection || partitions.Contains(milvus.Value.Partition));

    /// <summary>Whether it matches if its partition is one of <see cref="Collection"/>'s.</summary>
    public bool MayMatch(string bucket, string key, MilvusKey? milvus)
    {
        if (!bucket.Equals(Bucket, StringComparison.Ordinal) || (Key is null ? !key.StartsWith(Prefix, StringComparison.Ordinal) : !key.Equals(Key, StringComparison.Ordinal)))
        {
            return false;
        }

        if (!IsMilvus)
        {
            return true;
        }

        return milvus is { } ids
            && (Collection == 0 || ids.Collection == Collection || (ids.Collection == 0 && ids.Partition != 0))
            && (Partition == 0 || ids.Partition == Partition)
            && (Segment == 0 || ids.Segment == Segment)
            && (Build == 0 || ids.Build == Build);
    }

    /// <summary>For people: <c>a-bucket/files/…</c>, <c>a-bucket: collection 7, segment 12</c>.</summary>
    public override string ToString()
    {
        if (Key is not null || !IsMilvus)
        {
            return $"{Bucket}/{Key ?? Prefix}";
        }

        string[] parts = [Name("collection", Collection), Name("partition", Partition), Name("segment", Segment), Name("index build", Build), Prefix.Length == 0 ? "" : $"under {Prefix}"];
        return $"{Bucket}: {string.Join(", ", parts.Where(part => part.Length > 0))}";

        static string Name(string what, long id) => id == 0 ? "" : $"{what} {id}";
    }
}
