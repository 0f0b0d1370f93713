using System.Text;
using System.Text.RegularExpressions;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Differential;

/// <summary>The same conversation held with a backend directly and through the proxy, with Ceph RGW and with our own server: every line that differs is our doing.</summary>
[Collection(TestServers.Collection)]
public sealed partial class DifferentialTests(TestServers servers)
{
    /// <summary>What may differ: ids and times of the moment, what belongs to a hop, and what the proxy adds or settles on purpose.</summary>
    private static readonly HashSet<string> AllowedHeaders = new(StringComparer.OrdinalIgnoreCase)
    {
        "Date", "x-amz-request-id", "x-amz-id-2", "Last-Modified",   // of the moment
        "Connection", "Transfer-Encoding", "Content-Length",         // of the hop: bodies are compared instead
        "X-Cache", "x-minio-error-code", "x-minio-error-desc",       // the proxy's own
        "x-rgw-object-type", "Accept-Ranges",                        // RGW's own, which a read from the cache does not know; Accept-Ranges also stands on its errors
    };

    private static readonly (string Method, string Path, string Body, (string, string)[] Headers)[] Script =
    [
        ("PUT", "", "", []),
        ("HEAD", "", "", []),
        ("GET", "?location", "", []),
        ("GET", "?versioning", "", []),
        ("PUT", "/a", "hello world", [("Content-Type", "text/x-a"), ("x-amz-meta-One", "1"), ("Cache-Control", "no-cache")]),
        ("GET", "/a", "", []),
        ("GET", "/a", "", []),
        ("HEAD", "/a", "", []),
        ("GET", "/a", "", [("Range", "bytes=0-4")]),
        ("GET", "/a", "", [("Range", "bytes=-3")]),
        ("GET", "/a", "", [("If-None-Match", "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"")]),
        ("GET", "/a", "", [("If-Match", "\"other\"")]),
        ("GET", "/a?response-content-type=x%2Fy", "", []),
        ("GET", "/absent", "", []),
        ("HEAD", "/absent", "", []),
        ("PUT", "/a", "second", [("If-None-Match", "*")]),
        ("PUT", "/b%20c%2Bd", "odd", []),
        ("PUT", "/dir/x", "1", []),
        ("PUT", "/dir/y", "2", []),
        ("GET", "?list-type=2&delimiter=/", "", []),
        ("GET", "?prefix=dir/&max-keys=1", "", []),
        ("GET", "?list-type=2&encoding-type=url", "", []),
        ("PUT", "/copy", "", [("x-amz-copy-source", "{bucket}/a")]),
        ("GET", "/copy", "", []),
        ("PUT", "/a?tagging", "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>", []),
        ("GET", "/a?tagging", "", []),
        ("HEAD", "/a", "", []),
        ("DELETE", "/a?tagging", "", []),
        ("PUT", "/a", "wrong", [("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")]),
        ("GET", "/a?acl", "", []),
        ("GET", "?uploads", "", []),
        ("DELETE", "/a", "", []),
        ("GET", "/a", "", []),
        ("DELETE", "", "", []),
        ("DELETE", "/copy", "", []),
        ("GET", "/no-such?uploadId=x", "", []),
    ];

    [Fact]
    public async Task Conversation_ThroughTheProxy_ReadsLikeTheGatewaysOwn()
    {
        var ceph = await servers.CephAsync();
        await ConverseAsync(ceph.Endpoint, (await servers.BeforeCephAsync()).Endpoint);
    }

    [Fact]
    public async Task Conversation_ThroughTwoOfOurServers_ReadsLikeOne()
    {
        var proxy = await servers.ChainedAsync();
        await ConverseAsync((await servers.FarAsync()).Endpoint, proxy.Endpoint);
    }

    private static async Task ConverseAsync(Uri backend, Uri proxy)
    {
        await using var direct = new S3Wire(backend, "differential-direct");
        await using var proxied = new S3Wire(proxy, "differential-proxied");
        var differences = new List<string>();
        foreach (var (method, path, body, headers) in Script)
        {
            var expected = await SendAsync(direct, method, path, body, headers);
            var actual = await SendAsync(proxied, method, path, body, headers);
            differences.AddRange(Compare(expected, actual).Select(line => $"{method} {path}: {line}"));
        }

        Assert.True(differences.Count == 0, $"{differences.Count} lines differ:\n{string.Join('\n', differences)}");
    }

    private static Task<Answer> SendAsync(S3Wire s3, string method, string path, string body, (string Name, string Value)[] headers) =>
        s3.SendAsync(method, path, Encoding.UTF8.GetBytes(body), [.. headers.Select(header => (header.Name, header.Value.Replace("{bucket}", s3.Bucket, StringComparison.Ordinal)))]);

    private static IEnumerable<string> Compare(Answer expected, Answer actual)
    {
        if (expected.Status != actual.Status)
        {
            yield return $"status {expected.Status} directly, {actual.Status} through the proxy";
        }

        foreach (var name in expected.Headers.Concat(actual.Headers).Select(header => header.Key).Distinct(StringComparer.OrdinalIgnoreCase).Where(name => !AllowedHeaders.Contains(name)))
        {
            // RFC 9110 asks for the ETag of a 304; RGW leaves it out.
            if (Settle(expected.Header(name)) != Settle(actual.Header(name)) && !(expected.Status == 304 && expected.Header(name) is null && name.Equals("ETag", StringComparison.OrdinalIgnoreCase)))
            {
                yield return $"{name}: '{expected.Header(name)}' directly, '{actual.Header(name)}' through the proxy";
            }
        }

        // Errors of a read come from the proxy's own table, which has the messages that RGW leaves out: there the code is what counts.
        if (expected.Status >= 400)
        {
            if (expected.Body.Length > 0 && expected.ErrorCode != actual.ErrorCode)
            {
                yield return $"code {expected.ErrorCode} directly, {actual.ErrorCode} through the proxy";
            }
        }
        else if (Settle(expected.Text) != Settle(actual.Text))
        {
            yield return $"body\n  {Settle(expected.Text)}\n  {Settle(actual.Text)}";
        }
    }

    /// <summary>Without the two buckets' names and the moment's times.</summary>
    private static string? Settle(string? text) => text is null ? null : Times().Replace(text.Replace("differential-direct", "BUCKET", StringComparison.Ordinal).Replace("differential-proxied", "BUCKET", StringComparison.Ordinal), "TIME");

    [GeneratedRegex(@"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Times();
}
