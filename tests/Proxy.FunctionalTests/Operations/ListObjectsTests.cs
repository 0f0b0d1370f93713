using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>ListObjects, both versions, as exact as S3: order, truncation, groups over page borders.</summary>
public sealed class ListObjectsTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task V2_EmptyBucket_IsEmpty(Setup setup) => RunAsync(setup, async s3 =>
    {
        var answer = (await s3.GetAsync("?list-type=2")).Expect(200);
        Assert.Equal("ListBucketResult", answer.Xml.Name.LocalName);
        Assert.Empty(answer.Values("Contents"));
        Assert.Equal("0", answer.Value("KeyCount"));
        Assert.Equal("1000", answer.Value("MaxKeys"));
        Assert.Equal("false", answer.Value("IsTruncated"));
        Assert.Equal(s3.Bucket, answer.Value("Name"));
        Assert.Null(answer.Value("NextContinuationToken"));
    });

    [Theory, EverySetup]
    public Task V2_Entry_HasWhatAnObjectHas(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/k", "hello")).Expect(200).ETag;
        var plain = (await s3.GetAsync("?list-type=2")).Expect(200);
        Assert.Equal("5", plain.Value("Size"));
        Assert.Equal(etag, plain.Value("ETag"));
        Assert.Equal("STANDARD", plain.Value("StorageClass"));
        Assert.Matches("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$", plain.Value("LastModified")!);
        Assert.Empty(plain.Values("Owner"));
        Assert.Single((await s3.GetAsync("?list-type=2&fetch-owner=true")).Expect(200).Values("Contents", "Owner"));
        Assert.Single((await s3.GetAsync("")).Expect(200).Values("Contents", "Owner"));
    });

    [Theory, EverySetup]
    public Task Pages_OfEverySize_GiveEveryKeyOnce(Setup setup) => RunAsync(setup, async s3 =>
    {
        var keys = Enumerable.Range(0, 23).Select(i => $"k{i:00}").ToList();
        await PutAllAsync(s3, keys);
        foreach (var size in (int[])[1, 5, 22, 23, 24])
        {
            var (v2, pages) = await WalkV2Async(s3, $"max-keys={size}");
            Assert.Equal(keys, v2);
            Assert.Equal((keys.Count + size - 1) / size, pages);
            Assert.Equal(keys, await WalkV1Async(s3, $"max-keys={size}"));
        }
    });

    [Theory, EverySetup]
    public Task MaxKeys_ZeroAndBeyond(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a", "b"]);
        var none = (await s3.GetAsync("?list-type=2&max-keys=0")).Expect(200);
        Assert.Empty(none.Values("Contents"));
        Assert.Equal("false", none.Value("IsTruncated"));
        var all = (await s3.GetAsync("?list-type=2&max-keys=5000")).Expect(200);
        Assert.Equal(2, all.Values("Contents").Count);
        (await s3.GetAsync("?list-type=2&max-keys=blah")).Expect(400, "InvalidArgument");
        (await s3.GetAsync("?max-keys=-1")).Expect(400, "InvalidArgument");
    });

    [Theory, EverySetup]
    public Task Delimiter_GroupsOverPageBorders(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a", "b/1", "b/2", "b/3", "b0", "c/", "c/x/1", "c/x/2", "c/y", "d"]);
        string[] expected = ["a", "b/*", "b0", "c/*", "d"];
        foreach (var size in (int[])[1, 2, 3, 5, 1000])
        {
            Assert.Equal(expected, (await WalkV2Async(s3, $"delimiter=/&max-keys={size}")).Keys);
            Assert.Equal(expected, await WalkV1Async(s3, $"delimiter=/&max-keys={size}"));
            Assert.Equal(["c/", "c/x/*", "c/y"], (await WalkV2Async(s3, $"delimiter=/&prefix=c/&max-keys={size}")).Keys);
        }
    });

    [Theory, EverySetup]
    public Task Truncation_IsExact(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a", "b/1", "b/2"]);
        var exact = (await s3.GetAsync("?list-type=2&delimiter=/&max-keys=2")).Expect(200);
        Assert.Equal("false", exact.Value("IsTruncated"));
        Assert.Equal("2", exact.Value("KeyCount"));
        var one = (await s3.GetAsync("?list-type=2&delimiter=/&max-keys=1")).Expect(200);
        Assert.Equal("true", one.Value("IsTruncated"));
        Assert.NotNull(one.Value("NextContinuationToken"));
        Assert.Equal("a", (await s3.GetAsync("?delimiter=/&max-keys=1")).Expect(200).Value("NextMarker"));
    });

    [Theory, EverySetup]
    public Task Prefix_AndDelimiters_OfAnyKind(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["bar", "baz", "cab", "foo", "foo/bar"]);
        var answer = (await s3.GetAsync("?list-type=2&delimiter=a")).Expect(200);
        Assert.Equal(["foo"], answer.Values("Contents", "Key"));
        Assert.Equal(["ba", "ca", "foo/ba"], answer.Values("CommonPrefixes", "Prefix"));
        Assert.Equal(["foo", "foo/bar"], (await s3.GetAsync("?list-type=2&prefix=foo")).Expect(200).Values("Contents", "Key"));
        Assert.Empty((await s3.GetAsync("?list-type=2&prefix=nothing")).Expect(200).Values("Contents"));
        var none = (await s3.GetAsync("?list-type=2&delimiter=")).Expect(200);
        Assert.Equal(5, none.Values("Contents").Count);
        Assert.Empty(none.Values("Delimiter"));
    });

    [Theory, EverySetup]
    public Task StartAfterAndMarker_AreExclusive(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a", "b", "c"]);
        var answer = (await s3.GetAsync("?list-type=2&start-after=b")).Expect(200);
        Assert.Equal(["c"], answer.Values("Contents", "Key"));
        Assert.Equal("b", answer.Value("StartAfter"));
        Assert.Equal(["b", "c"], (await s3.GetAsync("?list-type=2&start-after=aa")).Expect(200).Values("Contents", "Key"));
        var marked = (await s3.GetAsync("?marker=a")).Expect(200);
        Assert.Equal(["b", "c"], marked.Values("Contents", "Key"));
        Assert.Equal("a", marked.Value("Marker"));
        Assert.Empty((await s3.GetAsync("?marker=zzz")).Expect(200).Values("Contents"));
    });

    [Theory, EverySetup]
    public Task EncodingType_EscapesNames(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a b/c", "d%e", "ü"]);
        var answer = (await s3.GetAsync("?list-type=2&encoding-type=url&delimiter=%2F")).Expect(200);
        Assert.Equal("url", answer.Value("EncodingType"));
        Assert.Equal(["d%25e", "%C3%BC"], answer.Values("Contents", "Key"));
        Assert.Equal("a%20b/", answer.Values("CommonPrefixes", "Prefix").Single());
        (await s3.GetAsync("?list-type=2&encoding-type=zip")).Expect(400, "InvalidArgument");
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task EmptyTokenAndUnaskedMetadata_ArePassedOver(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a", "b"]);
        var answer = (await s3.GetAsync("?list-type=2&continuation-token=")).Expect(200);
        Assert.Equal(["a", "b"], answer.Values("Contents", "Key"));
        Assert.Equal("", answer.Value("ContinuationToken"));
        Assert.Equal(["a", "b"], (await s3.GetAsync("?list-type=2&metadata=true")).Expect(200).Values("Contents", "Key"));
    });

    [Theory, EverySetup]
    public Task Deletion_WhileListing_LosesNoOther(Setup setup) => RunAsync(setup, async s3 =>
    {
        var keys = Enumerable.Range(0, 60).Select(i => $"k{i:00}").ToList();
        await PutAllAsync(s3, keys);
        var seen = new List<string>();
        string? token = null;
        do
        {
            var page = (await s3.GetAsync($"?list-type=2&max-keys=7{(token is null ? "" : "&continuation-token=" + Uri.EscapeDataString(token))}")).Expect(200);
            var listed = page.Values("Contents", "Key");
            seen.AddRange(listed);
            foreach (var key in listed)
            {
                (await s3.DeleteAsync("/" + key)).Expect(204);
            }

            token = page.Value("NextContinuationToken");
        }
        while (token is not null);
        Assert.Equal(keys, seen);
        Assert.Empty((await s3.GetAsync("?list-type=2")).Expect(200).Values("Contents"));
    });

    private static async Task PutAllAsync(S3Wire s3, IEnumerable<string> keys)
    {
        foreach (var key in keys)
        {
            (await s3.PutAsync("/" + Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal), key)).Expect(200);
        }
    }

    private static async Task<(List<string> Keys, int Pages)> WalkV2Async(S3Wire s3, string query)
    {
        var keys = new List<string>();
        string? token = null;
        for (var pages = 1; ; pages++)
        {
            var page = (await s3.GetAsync($"?list-type=2&{query}{(token is null ? "" : "&continuation-token=" + Uri.EscapeDataString(token))}")).Expect(200);
            keys.AddRange(InOrder(page));
            token = page.Value("NextContinuationToken");
            Assert.Equal(token is not null, page.Value("IsTruncated") == "true");
            if (token is null)
            {
                return (keys, pages);
            }
        }
    }

    private static async Task<List<string>> WalkV1Async(S3Wire s3, string query)
    {
        var keys = new List<string>();
        var marker = "";
        while (true)
        {
            var page = (await s3.GetAsync($"?{query}&marker={Uri.EscapeDataString(marker)}")).Expect(200);
            keys.AddRange(InOrder(page));
            if (page.Value("IsTruncated") != "true")
            {
                return keys;
            }

            // Without a delimiter S3 gives no NextMarker: the last key is it.
            marker = page.Value("NextMarker") ?? page.Values("Contents", "Key")[^1];
        }
    }

    /// <summary>Keys and groups (with a star) in the one order they were counted in.</summary>
    private static IEnumerable<string> InOrder(Answer page) =>
        page.Values("Contents", "Key").Concat(page.Values("CommonPrefixes", "Prefix").Select(prefix => prefix + "*")).Order(StringComparer.Ordinal);
}
