using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Clients;

/// <summary>Six clients people really use, against the local store, a proxy in front of another server of ours, and Ceph RGW.</summary>
[Collection(TestServers.Collection)]
public sealed class ClientTests(TestServers servers)
{
    /// <summary>
    /// Checks that Ceph RGW 16.2 fails when asked directly, by client: it keeps no x-amz-checksum-*, answers Complete with an
    /// empty ETag, says NoSuchKey for an aborted upload, knows no aws-chunked trailers, and its error XML has no Message,
    /// over which the AWS command line stumbles. Behind the proxy these may pass or fail; all others must pass.
    /// </summary>
    private static readonly Dictionary<string, string[]> FailingAtCeph = new(StringComparer.Ordinal)
    {
        ["boto3"] = ["multipart-complete-answers-etag", "multipart-abort", "checksum-crc32", "checksum-sha1", "checksum-sha256"],
        ["awscli"] = ["range-past-end", "missing", "conditional", "multipart-abort", "checksums", "bad-credentials", "delete-all"],
        ["aws-js"] =
        [
            "put-stream-with-trailer", "multipart-managed", "multipart-abort",
            "checksum-crc32", "checksum-crc32c", "checksum-crc64nvme", "checksum-sha1", "checksum-sha256", "checksum-wrong",
        ],
        ["minio-js"] = [],
        ["minio-go"] = ["put-empty"],
        ["lancedb"] = [],
    };

    public static TheoryData<string> Clients => [.. ClientChecks.All];

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Client_OnLocalStore_PassesEveryCheck(string client)
    {
        var proxy = await servers.LocalAsync();
        AssertAllPass(await ClientChecks.RunAsync(client, proxy.Endpoint), proxy);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Client_ThroughProxyToOwnServer_PassesEveryCheck(string client)
    {
        var proxy = await servers.ChainedAsync();
        AssertAllPass(await ClientChecks.RunAsync(client, proxy.Endpoint), proxy);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Client_ThroughProxyToCeph_FailsNothingThatPassesDirectly(string client)
    {
        var ceph = await servers.CephAsync();
        var proxy = await servers.BeforeCephAsync();
        var direct = await ClientChecks.RunAsync(client, ceph.Endpoint);
        var proxied = await ClientChecks.RunAsync(client, proxy.Endpoint);

        var unlisted = direct.Failed.Except(FailingAtCeph[client], StringComparer.Ordinal).ToList();
        Assert.True(unlisted.Count == 0, $"Ceph itself now fails {string.Join(", ", unlisted)}:\n{direct.Output}");
        var worse = proxied.Failed.Except(direct.Failed, StringComparer.Ordinal).ToList();
        Assert.True(
            worse.Count == 0,
            $"{string.Join("\n", worse.Select(check => $"{check}: {proxied.Checks[check]}"))}\npass directly but not through the proxy, whose log ends:\n{proxy.LogTail}");
        Assert.True(proxied.Checks.Count == direct.Checks.Count, "the two runs made different checks");
    }

    private static void AssertAllPass(ClientReport report, ProxyProcess proxy)
        => Assert.True(
            !report.Failed.Any(),
            $"{report.Client}:\n{string.Join("\n", report.Failed.Select(check => $"{check}: {report.Checks[check]}"))}\nThe proxy's log ends:\n{proxy.LogTail}");
}
