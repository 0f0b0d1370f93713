using System.Collections.Immutable;

namespace Proxy.Cache.Policy;

/// <summary>What the rules say about one key.</summary>
/// <param name="Ttl">How long a validation holds; meaningless unless the class is revalidate.</param>
/// <param name="FillWhole">Read whole by its reader anyway: a first touch brings the whole object when it is small enough.</param>
public readonly record struct KeyPolicy(ObjectClass Class, TimeSpan Ttl, MilvusKind Kind, bool FillWhole);

/// <summary>Which class a key has: configured rules in order, then the Milvus profile, then revalidate.</summary>
/// <remarks>Thread-safe: <see cref="Replace"/> swaps all rules at once; a question sees the old ones or the new ones. Matching allocates nothing.</remarks>
public sealed class ClassRules
{
    private volatile RuleSet _set;

    public ClassRules(CacheOptions options) => _set = new RuleSet(options);

    /// <summary>From now on <paramref name="options"/> decides; what is cached under the old rules is the caller's to forget.</summary>
    public void Replace(CacheOptions options) => _set = new RuleSet(options);

    public KeyPolicy Find(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
    {
        var set = _set;
        var ttl = set.Ttl;
        var isMilvus = set.TryParseMilvus(key, out var milvus);
        foreach (var rule in set.Rules)
        {
            if ((rule.Bucket is null || bucket.SequenceEqual(rule.Bucket)) && KeyPattern.Matches(rule.Pattern, key))
            {
                return new KeyPolicy(rule.Class, rule.Ttl ?? ttl, milvus.Kind, IsReadWhole(milvus.Kind));
            }
        }

        // Directory markers: zero bytes, rewritten at any time by Arrow's file system. Locks and footers of Woodpecker: overwritten, and its
        // root may be one we were not told.
        if (key.EndsWith('/') || key.EndsWith("/write.lock") || key.EndsWith("/footer.blk"))
        {
            return new KeyPolicy(ObjectClass.Bypass, ttl, milvus.Kind, FillWhole: false);
        }

        return isMilvus
            ? new KeyPolicy(MilvusClass(milvus), ttl, milvus.Kind, IsReadWhole(milvus.Kind))
            : new KeyPolicy(ObjectClass.Revalidate, ttl, MilvusKind.Other, FillWhole: false);
    }

    /// <summary>Takes a key apart when it lies under one of the configured roots.</summary>
    public bool TryParseMilvus(ReadOnlySpan<char> key, out MilvusKey milvus) => _set.TryParseMilvus(key, out milvus);

    /// <summary>The root under which a key looks like one of Milvus's, though nobody named it; null when it does not, or Milvus is not expected at all.</summary>
    public string? FindUnnamedRoot(string key)
        => _set is { ExpectsMilvus: true } set && !set.TryParseMilvus(key, out _) && RuleSet.TryFindAnywhere(key, out _, out var start) ? key[..start].TrimEnd('/') : null;

    /// <summary>
    /// Milvus names everything but these by ids that its allocator never gives twice, so what stands under a name never changes.
    /// Woodpecker polls for objects to appear, deletes and overwrites them (blocks, footer.blk, write.lock): all of wp is bypassed.
    /// </summary>
    private static ObjectClass MilvusClass(in MilvusKey key) => key.Kind switch
    {
        MilvusKind.Wal => ObjectClass.Bypass,
        MilvusKind.StatsLog or MilvusKind.Bm25Stats when key.IsCompound => ObjectClass.Revalidate,
        MilvusKind.Other => ObjectClass.Revalidate,
        _ => ObjectClass.Immutable,
    };

    /// <summary>Query nodes read these whole, always (client C never sends a Range; Go reads statistics and deltas in one GET).</summary>
    private static bool IsReadWhole(MilvusKind kind) => kind is MilvusKind.Index or MilvusKind.StatsLog or MilvusKind.Bm25Stats or MilvusKind.DeltaLog or MilvusKind.TextLog;

    /// <summary>The rules of one configuration. Immutable.</summary>
    private sealed class RuleSet
    {
        private readonly ImmutableArray<string> _roots;
        private readonly bool _anyRoot;

        public RuleSet(CacheOptions options)
        {
            Rules = [.. options.Rules];
            Ttl = options.RevalidateTtl;
            var roots = options.Milvus.Enabled ? options.Milvus.EffectiveRootPaths : [];
            ExpectsMilvus = options.Milvus.Enabled;
            _anyRoot = roots.Contains("*");
            // With the slash in place one StartsWith decides; an empty root stays empty.
            _roots = [.. roots.Where(root => root != "*").Select(root => root.Trim('/')).Select(root => root.Length == 0 ? "" : root + "/")];
        }

        public bool ExpectsMilvus { get; }

        public ImmutableArray<CacheRule> Rules { get; }

        public TimeSpan Ttl { get; }

        public bool TryParseMilvus(ReadOnlySpan<char> key, out MilvusKey milvus)
        {
            foreach (var root in _roots)
            {
                if (key.StartsWith(root) && MilvusKey.TryParse(key[root.Length..], out milvus))
                {
                    return true;
                }
            }

            milvus = default;
            return _anyRoot && TryFindAnywhere(key, out milvus, out _);
        }

        /// <summary>Under a root nobody named, a folder's name alone proves little: the id after it is asked for too.</summary>
        /// <param name="start">Where what follows the root begins.</param>
        public static bool TryFindAnywhere(ReadOnlySpan<char> key, out MilvusKey milvus, out int start)
        {
            start = 0;
            while (start < key.Length)
            {
                if (MilvusKey.TryParse(key[start..], out milvus) && (milvus.Kind == MilvusKind.Wal || (milvus.Collection | milvus.Build) != 0))
                {
                    return true;
                }

                var slash = key[start..].IndexOf('/');
                start = slash < 0 ? key.Length : start + slash + 1;
            }

            milvus = default;
            return false;
        }
    }
}
