using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

public sealed class ClassRulesTests
{
    [Theory]
    [InlineData("files/index_files/1/2/3/4/HNSW_0", ObjectClass.Immutable, MilvusKind.Index)]
    [InlineData("files/insert_log/1/2/3/0/5", ObjectClass.Immutable, MilvusKind.InsertLog)]
    [InlineData("file/insert_log/1/2/3/0/5", ObjectClass.Immutable, MilvusKind.InsertLog)]
    [InlineData("file/wp/1/2/3.blk", ObjectClass.Bypass, MilvusKind.Wal)]
    [InlineData("files/insert_log/1/2/3/_metadata/manifest-1.avro", ObjectClass.Immutable, MilvusKind.InsertLog)]
    [InlineData("files/delta_log/1/2/3/4", ObjectClass.Immutable, MilvusKind.DeltaLog)]
    [InlineData("files/stats_log/1/2/3/100/77", ObjectClass.Immutable, MilvusKind.StatsLog)]
    [InlineData("files/stats_log/1/2/3/100/1", ObjectClass.Revalidate, MilvusKind.StatsLog)]
    [InlineData("files/bm25_stats/1/2/3/100/1", ObjectClass.Revalidate, MilvusKind.Bm25Stats)]
    [InlineData("files/bm25_stats/1/2/3/100/11", ObjectClass.Immutable, MilvusKind.Bm25Stats)]
    [InlineData("files/text_log/1/2/3/4/5/6/f", ObjectClass.Immutable, MilvusKind.TextLog)]
    [InlineData("files/json_stats/2/1/2/3/4/5/6/meta.json", ObjectClass.Immutable, MilvusKind.JsonStats)]
    [InlineData("files/part_stats/1/2/by-dev_1/3", ObjectClass.Immutable, MilvusKind.Auxiliary)]
    [InlineData("files/snapshots/1/metadata/2.json", ObjectClass.Immutable, MilvusKind.Snapshot)]
    [InlineData("files/wp/1/2/3.blk", ObjectClass.Bypass, MilvusKind.Wal)]
    [InlineData("files/wp/conditional_write_test-1", ObjectClass.Bypass, MilvusKind.Wal)]
    [InlineData("elsewhere/1/footer.blk", ObjectClass.Bypass, MilvusKind.Other)]
    [InlineData("elsewhere/1/write.lock", ObjectClass.Bypass, MilvusKind.Other)]
    [InlineData("files/insert_log/1/", ObjectClass.Bypass, MilvusKind.InsertLog)]
    [InlineData("files/insert_logs/1", ObjectClass.Revalidate, MilvusKind.Other)]
    [InlineData("other/insert_log/1/2/3/0/5", ObjectClass.Revalidate, MilvusKind.Other)]
    [InlineData("", ObjectClass.Revalidate, MilvusKind.Other)]
    public void Find_MilvusKeys_AsTheirTableSays(string key, ObjectClass expected, MilvusKind kind)
    {
        var policy = new ClassRules(new CacheOptions()).Find("b", key);
        Assert.Equal((expected, kind), (policy.Class, policy.Kind));
    }

    [Theory]
    [InlineData("*", "a/b/insert_log/1/2/3/0/5", true)]
    [InlineData("*", "docs/insert_log/readme", false)]
    [InlineData("", "insert_log/1/2/3/0/5", true)]
    [InlineData("x/y/", "x/y/insert_log/1/2/3/0/5", true)]
    public void Find_OtherRoots_AreFoundWhenNamed(string root, string key, bool immutable)
        => Assert.Equal(immutable, new ClassRules(new CacheOptions { Milvus = { RootPaths = { root } } }).Find("b", key).Class == ObjectClass.Immutable);

    [Theory]
    [InlineData("other/insert_log/1/2/3/0/5", "other")]
    [InlineData("a/b/index_files/1/2/3/4/HNSW_0", "a/b")]
    [InlineData("insert_log/1/2/3/0/5", "")]
    [InlineData("files/insert_log/1/2/3/0/5", null)]
    [InlineData("other/insert_log/readme", null)]
    [InlineData("other/objects/1", null)]
    public void FindUnnamedRoot_OnlyOfKeysLikeMilvuss(string key, string? root)
    {
        Assert.Equal(root, new ClassRules(new CacheOptions()).FindUnnamedRoot(key));
        Assert.Null(new ClassRules(new CacheOptions { Milvus = { Enabled = false } }).FindUnnamedRoot(key));
    }

    [Fact]
    public void UnnamedRoot_IsToldOnce()
    {
        var (rules, lines) = (new ClassRules(new CacheOptions()), new SaidLines<ObjectCache>());
        var root = new UnnamedRoot(rules, lines);
        foreach (var key in (string[])["files/insert_log/1/2/3/0/5", "some/key", "backup/b/binlogs/insert_log/1/2/3/0/5", "mine/insert_log/1/2/3/0/5", "yours/insert_log/1/2/3/0/5"])
        {
            root.Look(new ObjectId("b", key), rules.Find("b", key));
        }

        Assert.Contains("minio.rootPath \"mine\"", Assert.Single(lines.Said), StringComparison.Ordinal);
    }

    [Fact]
    public void Find_ConfiguredRules_GoFirstInOrder()
    {
        var rules = new ClassRules(new CacheOptions
        {
            Rules =
            {
                new CacheRule { Bucket = "b", Pattern = "files/insert_log/9/**", Class = ObjectClass.Bypass },
                new CacheRule { Pattern = "static/*.js", Class = ObjectClass.Immutable },
                new CacheRule { Pattern = "static/**", Class = ObjectClass.Revalidate, Ttl = TimeSpan.FromHours(1) },
            },
        });
        Assert.Equal(ObjectClass.Bypass, rules.Find("b", "files/insert_log/9/2/3/0/5").Class);
        Assert.Equal(ObjectClass.Immutable, rules.Find("c", "files/insert_log/9/2/3/0/5").Class);
        Assert.Equal(ObjectClass.Immutable, rules.Find("b", "static/a.js").Class);
        Assert.Equal(TimeSpan.FromHours(1), rules.Find("b", "static/x/a.js").Ttl);
    }

    [Fact]
    public void TryParseMilvus_IndexFile_NamesItsIds()
    {
        Assert.True(new ClassRules(new CacheOptions()).TryParseMilvus("files/index_files/11/2/33/44/HNSW_0", out var key));
        Assert.Equal((11L, 2L, 33L, 44L), (key.Build, key.Version, key.Partition, key.Segment));
    }

    [Fact]
    public void Matches_RandomPatterns_AsTheSlowDefinitionSays()
    {
        var random = new Random(5);
        for (var i = 0; i < 50_000; i++)
        {
            var pattern = Text(random, "ab/*?", 8);
            var key = Text(random, "ab/", 8);
            Assert.True(Slow(pattern, key) == KeyPattern.Matches(pattern, key), $"{pattern} against {key}");
        }
    }

    private static string Text(Random random, string alphabet, int most)
        => string.Create(random.Next(most), (random, alphabet), static (span, state) =>
        {
            foreach (ref var c in span)
            {
                c = state.alphabet[state.random.Next(state.alphabet.Length)];
            }
        });

    private static bool Slow(string pattern, string key)
    {
        if (pattern.Length == 0)
        {
            return key.Length == 0;
        }

        if (pattern.StartsWith("**", StringComparison.Ordinal))
        {
            return Enumerable.Range(0, key.Length + 1).Any(skip => Slow(pattern[2..], key[skip..]));
        }

        if (pattern[0] == '*')
        {
            return Enumerable.Range(0, key.Length + 1).TakeWhile(skip => skip == 0 || key[skip - 1] != '/').Any(skip => Slow(pattern[1..], key[skip..]));
        }

        return key.Length > 0 && (pattern[0] == key[0] || (pattern[0] == '?' && key[0] != '/')) && Slow(pattern[1..], key[1..]);
    }
}
