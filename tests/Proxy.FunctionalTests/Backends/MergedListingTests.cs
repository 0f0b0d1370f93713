using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>A bucket whose prefixes live in three stores lists exactly as one that lives in a single store, to the byte, page by page.</summary>
public sealed partial class MergedListingTests : IAsyncLifetime
{
    private readonly string _file = Path.Combine(Directory.CreateTempSubdirectory("proxy-merged-").FullName, "proxy.json");
    private ProxyProcess _one = null!;
    private ProxyProcess _two = null!;
    private ProxyProcess _proxy = null!;
    private S3Caller _s3 = null!;

    public async ValueTask InitializeAsync()
    {
        _one = await ProxyProcess.StartAsync();
        _two = await ProxyProcess.StartAsync();
        static object Remote(ProxyProcess far) => new { Endpoints = new[] { far.Endpoint.ToString() }, ProxyProcess.AccessKey, ProxyProcess.SecretKey };
        await File.WriteAllTextAsync(_file, JsonSerializer.Serialize(new
        {
            Backends = new Dictionary<string, object> { ["one"] = Remote(_one), ["two"] = Remote(_two) },
            Routes = new object[]
            {
                new { Bucket = "split", Prefix = "far/mine/", Backend = "default" },
                new { Bucket = "split", Prefix = "far/", Backend = "one" },
                new { Bucket = "split", Prefix = "a/b", Backend = "two" },
                new { Bucket = "split", Prefix = "z", Backend = "one", BackendBucket = "renamed" },
                new { Bucket = "half", Prefix = "x/", Backend = "two" },
            },
        }));
        _proxy = await ProxyProcess.StartAsync(["--config", _file]);
        _s3 = new S3Caller(_proxy.Endpoint);
    }

    public async ValueTask DisposeAsync()
    {
        _s3.Dispose();
        await _proxy.DisposeAsync();
        await _one.DisposeAsync();
        await _two.DisposeAsync();
        Directory.Delete(Path.GetDirectoryName(_file)!, recursive: true);
    }

    [Fact]
    public async Task EveryPage_IsThatOfAnUndividedBucket()
    {
        using var one = new S3Caller(_one.Endpoint);
        using var two = new S3Caller(_two.Endpoint);
        foreach (var (s3, bucket) in new[] { (_s3, "split"), (_s3, "plain"), (one, "split"), (one, "renamed"), (two, "split") })
        {
            (await s3.PutAsync($"/{bucket}", [])).Ok();
        }

        // U+FF46 sorts before the four-byte letter in UTF-8 and after it in UTF-16.
        var random = new Random(20261122);
        string[] words = ["a", "b", "far", "mine", "z", "é", "\uFF46", "\U0001D4B3"];
        var keys = new SortedSet<string>(StringComparer.Ordinal) { "far/", "far/mine/only", "a/", "a/b", "a/b/", "z", "far" };
        while (keys.Count < 110)
        {
            keys.Add(string.Join('/', Enumerable.Range(0, random.Next(1, 5)).Select(_ => words[random.Next(words.Length)])) + (random.Next(8) == 0 ? "/" : ""));
        }

        foreach (var key in keys)
        {
            var path = Uri.EscapeDataString(key);
            (await _s3.PutAsync($"/split/{path}", [1, 2, 3])).Ok();
            (await _s3.PutAsync($"/plain/{path}", [1, 2, 3])).Ok();
        }

        // What stands in a store that it is not routed to is no part of the bucket.
        for (var i = 0; i < 120; i++)
        {
            var key = Uri.EscapeDataString(string.Join('/', Enumerable.Range(0, random.Next(1, 4)).Select(_ => words[random.Next(words.Length)])));
            (await (i % 2 == 0 ? one : two).PutAsync($"/split/stale-{key}", [9])).Ok();
            (await one.PutAsync($"/split/far/mine/stale-{key}", [9])).Ok();
            (await one.PutAsync($"/split/q/stale-{key}", [9])).Ok();
            (await two.PutAsync($"/split/far/stale-{key}", [9])).Ok();
            (await one.PutAsync($"/renamed/far/stale-{key}", [9])).Ok();
        }

        var pages = 0;
        foreach (var prefix in (string[])["", "a", "a/", "a/b", "f", "far/", "far/m", "z", "q/", "é"])
        {
            foreach (var delimiter in (string[])["", "/", "a"])
            {
                foreach (var max in (int[])[2, 9, 1000])
                {
                    var after = random.Next(3) == 0 ? keys.ElementAt(random.Next(keys.Count)) : "";
                    pages += await ComparePagesAsync(prefix, delimiter, max, random.Next(2) == 0, after);
                }
            }
        }

        // What a listing begins behind may end like a common prefix and be none: the prefix itself, or a folder above it.
        foreach (var (prefix, after) in ((string, string)[])[("far/", "far/"), ("far/m", "far/"), ("far/mine", "far/"), ("a/", "a/"), ("a/", "/"), ("", "far/"), ("", "far/mine/"), ("f", "far/")])
        {
            foreach (var v2 in (bool[])[true, false])
            {
                pages += await ComparePagesAsync(prefix, "/", 1, v2, after);
                pages += await ComparePagesAsync(prefix, "/", 1000, v2, after);
            }
        }

        Assert.InRange(pages, 200, 10_000);
    }

    private async Task<int> ComparePagesAsync(string prefix, string delimiter, int max, bool v2, string after)
    {
        var pages = 0;
        for (string? next = null; ;)
        {
            var query = string.Create(CultureInfo.InvariantCulture, $"?{(v2 ? "list-type=2&" : "")}prefix={Uri.EscapeDataString(prefix)}&delimiter={Uri.EscapeDataString(delimiter)}&max-keys={max}&encoding-type=url")
                + (next ?? $"&{(v2 ? "start-after" : "marker")}={Uri.EscapeDataString(after)}");
            var split = (await _s3.GetAsync("/split" + query)).Ok();
            var plain = (await _s3.GetAsync("/plain" + query)).Ok();
            var (expected, actual) = (Changing().Replace(plain.Text, ""), Changing().Replace(split.Text, ""));
            Assert.True(expected == actual, $"{query}\nexpected {expected}\n but got {actual}");
            pages++;
            if (plain.Only("IsTruncated") == "false")
            {
                return pages;
            }

            next = v2 ? $"&continuation-token={Uri.EscapeDataString(plain.Only("NextContinuationToken"))}"
                : $"&marker={(plain.All("NextMarker") is [var marker] ? marker : plain.All("Key")[^1]).Replace("+", "%20", StringComparison.Ordinal)}";
        }
    }

    [Fact]
    public async Task OneStoreAway_IsAnError_AndABucketNeverMadeThereIsEmpty()
    {
        (await _s3.PutAsync("/half", [])).Ok();
        (await _s3.PutAsync("/half/k", [1])).Ok();
        Assert.Equal(["k"], (await _s3.GetAsync("/half?list-type=2")).Ok().All("Key"));
        Assert.Equal("NotImplemented", (await _s3.GetAsync("/half?uploads")).Is(HttpStatusCode.NotImplemented).Code);
        Assert.Equal("NotImplemented", (await _s3.GetAsync("/half?versions")).Is(HttpStatusCode.NotImplemented).Code);
        (await _s3.GetAsync("/half?uploads&prefix=k")).Ok();

        await _two.KillAsync();
        Assert.Equal("SlowDown", (await _s3.GetAsync("/half?list-type=2")).Is(HttpStatusCode.ServiceUnavailable).Code);
        Assert.Equal(["k"], (await _s3.GetAsync("/half?list-type=2&prefix=k")).Ok().All("Key"));
        await _two.StartAgainAsync();
    }

    [GeneratedRegex("<LastModified>[^<]*</LastModified>|<Name>[^<]*</Name>", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Changing();
}
