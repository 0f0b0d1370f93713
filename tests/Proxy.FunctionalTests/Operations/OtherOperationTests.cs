using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>What the proxy does not know: an honest 501 on the local store, forwarded to a remote backend.</summary>
public sealed class OtherOperationTests(TestServers servers) : OperationTests(servers)
{
    [Theory]
    [InlineData("GET", "?policy")]
    [InlineData("GET", "?cors")]
    [InlineData("PUT", "?versioning")]
    [InlineData("GET", "?lifecycle")]
    [InlineData("PUT", "?acl")]
    [InlineData("PUT", "/k?versionId=null")]
    [InlineData("GET", "/k?versionId=abc")]
    [InlineData("DELETE", "/k?versionId=abc")]
    [InlineData("PUT", "/k?retention")]
    [InlineData("POST", "/k?select&select-type=2")]
    [InlineData("PUT", "/k?no-such-thing")]
    public Task Unknown_OnTheLocalStore_Is501(string method, string path) => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.SendAsync(method, path)).Expect(501, "NotImplemented");
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Theory]
    [InlineData("DELETE", "x-minio-force-delete", "true")]
    [InlineData("PUT", "x-amz-rename-source", "/b/k2")]
    [InlineData("PUT", "x-amz-meta-snowball-auto-extract", "true")]
    [InlineData("PUT", "x-amz-write-offset-bytes", "1")]
    public Task HeadersThatChangeTheMeaning_OnTheLocalStore_Are501(string method, string header, string value) => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.SendAsync(method, "/k", null, (header, value))).Expect(501, "NotImplemented");
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    /// <summary>A browser asks unsigned, or with the signature of the request that is to follow. No rules are kept that could allow it anything.</summary>
    [Fact]
    public Task Preflight_OnTheLocalStore_IsRefusedAsOfABucketWithoutRules() => RunAsync(Setup.Local, async s3 =>
    {
        KeyValuePair<string, string> origin = new("Origin", "http://example.com"), method = new("Access-Control-Request-Method", "GET");
        foreach (var path in (string[])["", "/k", "/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"])
        {
            Task<Answer> Ask(params KeyValuePair<string, string>[] headers) => s3.SendAsync(new WireRequest("OPTIONS", $"/{s3.Bucket}{path}") { Signing = Signing.None, UnsignedHeaders = [.. headers] });
            (await Ask()).Expect(400, "BadRequest");
            (await Ask(method)).Expect(400, "BadRequest");
            (await Ask(origin)).Expect(400, "BadRequest");
            var refused = (await Ask(origin, method)).Expect(403, "AccessForbidden");
            Assert.Null(refused.Header("Access-Control-Allow-Origin"));
        }
    });

    [Fact]
    public Task Unknown_BeforeCeph_IsForwarded() => RunAsync(Setup.BeforeCeph, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        Assert.Equal("AccessControlPolicy", (await s3.GetAsync("?acl")).Expect(200).Xml.Name.LocalName);
        Assert.Equal("AccessControlPolicy", (await s3.GetAsync("/k?acl")).Expect(200).Xml.Name.LocalName);
        Assert.Equal("ListVersionsResult", (await s3.GetAsync("?versions")).Expect(200).Xml.Name.LocalName);
    });

    [Fact]
    public Task Versions_BeforeCeph_ArePassedThrough() => RunAsync(Setup.BeforeCeph, async s3 =>
    {
        (await s3.PutAsync("?versioning", "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>")).Expect(200);
        var first = (await s3.PutAsync("/k", "one")).Expect(200).Header("x-amz-version-id");
        var second = (await s3.PutAsync("/k", "two")).Expect(200).Header("x-amz-version-id");
        Assert.NotNull(first);
        Assert.Equal("two", (await s3.GetAsync("/k")).Expect(200).Text);
        Assert.Equal("one", (await s3.GetAsync($"/k?versionId={first}")).Expect(200).Text);
        Assert.Equal("two", (await s3.GetAsync("/k")).Expect(200).Text);

        // A deletion of the newest version brings the older one back: the cache must not keep what was.
        (await s3.DeleteAsync($"/k?versionId={second}")).Expect(204);
        Assert.Equal("one", (await s3.GetAsync("/k")).Expect(200).Text);
    });
}
