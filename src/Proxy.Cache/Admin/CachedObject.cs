using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;

namespace Proxy.Cache.Admin;

/// <summary>One key the cache knows, for people.</summary>
public sealed record CachedObject
{
    public required string Bucket { get; init; }

    public required string Key { get; init; }

    public required string ETag { get; init; }

    public required long Size { get; init; }

    public required ObjectClass Class { get; init; }

    /// <summary>Null when the key is none of Milvus's.</summary>
    public MilvusKey? Milvus { get; init; }

    /// <summary>What told the cache of this version.</summary>
    public Origin Origin { get; init; }

    /// <summary>Null when not known.</summary>
    public DateTimeOffset? LearnedAt { get; init; }

    /// <summary>GETs since the proxy learned of this version or started.</summary>
    public long Reads { get; init; }

    public DateTimeOffset? LastRead { get; init; }

    /// <summary>Whether the first read after a write through this proxy was a hit; null when there was none.</summary>
    public bool? FirstReadWasHit { get; init; }

    /// <summary>In both tiers counts as memory.</summary>
    public long MemoryBytes { get; init; }

    public long NvmeBytes { get; init; }

    public bool Pinned { get; init; }

    public long CachedBytes => MemoryBytes + NvmeBytes;
}
