using System.Security.Cryptography;
using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>ListObjectVersions, and the version <c>null</c>, of a bucket that never had versioning: what clients that empty a bucket ask for.</summary>
public sealed class VersionTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task ListVersions_EveryObject_IsItsOnlyVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a", "b/1", "b/2", "c%20d"]);
        var all = (await s3.GetAsync("?versions")).Expect(200);
        Assert.Equal("ListVersionsResult", all.Xml.Name.LocalName);
        Assert.Equal(["a", "b/1", "b/2", "c d"], all.Values("Version", "Key"));
        Assert.Equal(["null", "null", "null", "null"], all.Values("Version", "VersionId"));
        Assert.All(all.Values("Version", "IsLatest"), latest => Assert.Equal("true", latest));
        Assert.Equal("false", all.Value("IsTruncated"));
        Assert.Empty(all.Values("DeleteMarker"));

        var folded = (await s3.GetAsync("?versions&delimiter=%2F")).Expect(200);
        Assert.Equal(["a", "c d"], folded.Values("Version", "Key"));
        Assert.Equal(["b/"], folded.Values("CommonPrefixes", "Prefix"));
        Assert.Equal(["b/1", "b/2"], (await s3.GetAsync("?versions&prefix=b%2F")).Expect(200).Values("Version", "Key"));
    });

    [Theory, EverySetup]
    public Task ListVersions_InPages_LosesAndRepeatsNothing(Setup setup) => RunAsync(setup, async s3 =>
    {
        string[] keys = [.. Enumerable.Range(0, 7).Select(i => $"k{i}")];
        await PutAllAsync(s3, keys);
        var seen = new List<string>();
        var query = "?versions&max-keys=3";
        while (query is not null)
        {
            var page = (await s3.GetAsync(query)).Expect(200);
            seen.AddRange(page.Values("Version", "Key"));
            query = page.Value("IsTruncated") == "true"
                ? $"?versions&max-keys=3&key-marker={Uri.EscapeDataString(page.Value("NextKeyMarker")!)}&version-id-marker={Uri.EscapeDataString(page.Value("NextVersionIdMarker")!)}"
                : null;
        }

        Assert.Equal(keys, seen);
        (await s3.SendAsync(new("GET", "/no-such-bucket-anywhere?versions"))).Expect(404, "NoSuchBucket");
    });

    [Theory, EverySetup]
    public Task NullVersion_IsTheObject(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "body")).Expect(200);
        Assert.Equal("body", (await s3.GetAsync("/k?versionId=null")).Expect(200).Text);
        Assert.Equal("4", (await s3.HeadAsync("/k?versionId=null")).Expect(200).Header("Content-Length"));
        (await s3.DeleteAsync("/k?versionId=null")).Expect(204);
        (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");
    });

    [Theory, EverySetup]
    public Task DeleteObjects_NamingTheNullVersion_EmptiesTheBucket(Setup setup) => RunAsync(setup, async s3 =>
    {
        await PutAllAsync(s3, ["a", "b"]);
        var answer = (await DeleteAsync(s3, "<Object><Key>a</Key><VersionId>null</VersionId></Object><Object><Key>b</Key><VersionId>null</VersionId></Object>")).Expect(200);
        Assert.Empty(answer.Values("Error"));
        Assert.Equal(["a", "b"], answer.Values("Deleted", "Key").Order(StringComparer.Ordinal));
        Assert.Empty((await s3.GetAsync("?versions")).Expect(200).Values("Version"));
        (await s3.DeleteAsync("")).Expect(204);
    });

    [Fact]
    public Task DeleteObjects_NamingAnotherVersion_DeletesNothing() => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/a", "1")).Expect(200);
        var answer = (await DeleteAsync(s3, "<Object><Key>a</Key><VersionId>3sL4kqtJlcpXroDTDmJ</VersionId></Object>")).Expect(200);
        Assert.Equal(["NoSuchVersion"], answer.Values("Error", "Code"));
        Assert.Equal("1", (await s3.GetAsync("/a")).Expect(200).Text);
    });

    private static async Task PutAllAsync(S3Wire s3, IEnumerable<string> paths)
    {
        foreach (var path in paths)
        {
            (await s3.PutAsync("/" + path, "x")).Expect(200);
        }
    }

    private static Task<Answer> DeleteAsync(S3Wire s3, string objects)
    {
        var body = Encoding.UTF8.GetBytes($"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{objects}</Delete>");
        return s3.SendAsync("POST", "?delete", body, ("Content-MD5", Convert.ToBase64String(MD5.HashData(body))));
    }
}
