using System.Text.Json;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>One decision a request: what the headers say, the counters count, and the access log writes adds up.</summary>
public sealed class AccountingTests
{
    private const string Index = "/data/files/index_files/1/2/3/4/HNSW";
    private const string Log = "/data/files/insert_log/7/3/4/100/5";
    private const string Other = "/data/some/key";
    private const string Late = "/data/some/later-key";
    private const string Wal = "/data/files/wp/1/2";

    [Fact]
    public async Task EveryOutcome_HeaderCountersAndAccessLog_AddUp()
    {
        var backend = await FaultyBackend.StartAsync(buckets: "data");
        var stopped = false;
        var bytes = new byte[3 << 20];
        new Random(1).NextBytes(bytes);
        foreach (var key in (string[])[Index, Log, Other, Late, Wal])
        {
            backend.Store.TryPut("data", key["/data/".Length..], FaultyObject.Of(bytes));
        }

        var folder = Directory.CreateTempSubdirectory("proxy-access-log-").FullName;
        var log = Path.Combine(folder, "access.log");
        await using var proxy = await ProxyProcess.StartAsync(
            [
                "--set", "Cache:RevalidateTtl=00:00:00", "--set", "Cache:StaleIfUnreachable=01:00:00", "--set", "Cache:VerifyRecovered=false",
                "--set", "Backend:ReadAttempts=1", "--set", "Telemetry:SlowRequest=00:00:00", "--set", $"Telemetry:AccessLog={log}",
            ],
            new Uri(backend.Url));
        using var client = new SignedClient(proxy.Endpoint);
        var answers = new List<SignedClient.Answer>();
        var pages = new List<MetricsPage>();
        try
        {
            await ExpectAsync("MISS", client.GetAsync(Index));
            await ExpectAsync("HIT-MEMORY", client.GetAsync(Index));
            await ExpectAsync("HIT-MEMORY", client.GetAsync(Index, "bytes=10-99"));
            await ExpectAsync("HIT-MEMORY", client.SendAsync(HttpMethod.Head, Index));
            await ExpectAsync("MISS", client.GetAsync(Log, "bytes=0-1048575"));
            await ExpectAsync("PARTIAL", client.GetAsync(Log));
            await ExpectAsync("MISS", client.GetAsync(Other));
            await ExpectAsync("REVALIDATED", client.GetAsync(Other));
            await ExpectAsync("REVALIDATED", client.SendAsync(HttpMethod.Head, Other));
            await ExpectAsync("BYPASS", client.GetAsync(Wal));
            await ExpectAsync("BYPASS", client.SendAsync(HttpMethod.Head, Wal));
            await ExpectAsync("BYPASS", client.GetAsync(Index, "bytes=0-1,5-6"));

            // None of these is an answered object read.
            Assert.Equal(404, (await ExpectAsync(null, client.GetAsync("/data/nothing/here"))).Status);
            Assert.Equal(404, (await ExpectAsync(null, client.SendAsync(HttpMethod.Head, "/data/nothing/here"))).Status);
            Assert.Equal(416, (await ExpectAsync(null, client.GetAsync(Index, "bytes=99999999-"))).Status);
            Assert.Equal(304, (await ExpectAsync(null, client.SendAsync(HttpMethod.Get, Index, header: ("If-None-Match", answers[0].ETag!)))).Status);
            Assert.Equal(403, (await ExpectAsync(null, client.SendAsync(HttpMethod.Get, Index, secretKey: "not-the-secret"))).Status);
            Assert.Equal(200, (await ExpectAsync(null, client.SendAsync(HttpMethod.Put, "/data/new/key", bytes))).Status);
            Assert.Equal(204, (await ExpectAsync(null, client.SendAsync(HttpMethod.Delete, "/data/new/key"))).Status);
            pages.Add(await PageAsync(proxy, client.Sent));

            var before = client.Sent;
            await proxy.RestartAsync();
            await ExpectAsync("HIT-NVME", client.GetAsync(Index));
            await ExpectAsync("MISS", client.GetAsync(Late));
            await backend.DisposeAsync();
            stopped = true;
            await ExpectAsync("STALE", client.GetAsync(Late));
            pages.Add(await PageAsync(proxy, client.Sent - before));
            await proxy.StopAsync();
        }
        finally
        {
            if (!stopped)
            {
                await backend.DisposeAsync();
            }
        }

        var lines = (await File.ReadAllLinesAsync(log)).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Directory.Delete(folder, recursive: true);

        // Requests.
        Assert.Equal(client.Sent, lines.Count);
        Assert.Equal(client.Sent, Sum("s3_proxy_requests_total"));
        Assert.Equal(client.Sent, Sum("s3_proxy_request_duration_seconds_count"));
        Assert.Equal(client.Sent, Sum("s3_proxy_slow_requests_total"));
        Assert.Equal(lines.Count, lines.Select(line => line.GetProperty("request_id").GetString()).Distinct().Count());
        Assert.Equal(answers.Select(answer => answer.Status), lines.Select(line => line.GetProperty("status").GetInt32()));

        // Outcomes.
        string[] outcomes = ["HIT-MEMORY", "HIT-NVME", "PARTIAL", "MISS", "REVALIDATED", "STALE", "BYPASS"];
        Assert.Equal(answers.Select(answer => answer.XCache), lines.Select(XCacheOf));
        foreach (var outcome in outcomes)
        {
            var sent = answers.Count(answer => answer.XCache == outcome);
            var label = $"cache=\"{outcome.ToLowerInvariant().Replace('-', '_')}\"";
            Assert.True(sent > 0, $"no request was answered {outcome}");
            Assert.Equal(sent, Sum("s3_proxy_object_reads_total", label));
            Assert.Equal(sent, Sum("s3_proxy_milvus_reads_total", label));
            Assert.Equal(sent, Sum("s3_proxy_object_read_first_byte_seconds_count", label));
        }

        Assert.Equal(answers.Count(answer => answer.XCache is "MISS" or "PARTIAL"), Sum("s3_proxy_misses_total"));
        Assert.Equal(1, Sum("s3_proxy_misses_total", "reason=\"evicted\""));
        Assert.Equal(1, Sum("s3_proxy_stale_served_total"));
        Assert.Equal(1, Sum("s3_proxy_auth_failures_total", "code=\"SignatureDoesNotMatch\""));

        // Hits and stale answers of GETs, revalidated GETs, hits of HEADs.
        Assert.Equal(6, Sum("s3_proxy_saved_requests_total"));

        // Bytes.
        Assert.Equal(answers.Sum(answer => answer.Body.Length), Sum("s3_proxy_sent_bytes_total"));
        Assert.Equal(answers.Sum(answer => answer.Body.Length), lines.Sum(line => line.GetProperty("bytes").GetInt64()));
        Assert.Equal(answers.Where(answer => answer.XCache is not null).Sum(answer => answer.Body.Length), Sum("s3_proxy_object_read_bytes_total"));
        Assert.Equal(
            answers.Where(answer => answer.XCache is not (null or "BYPASS")).Sum(answer => answer.Body.Length), Sum("s3_proxy_collection_read_bytes_total"));
        Assert.Equal(bytes.Length, Sum("s3_proxy_received_bytes_total"));
        Assert.Equal(0, Sum("s3_proxy_object_read_bytes_total", "tier=\"memory\"") + Sum("s3_proxy_object_read_bytes_total", "tier=\"nvme\"") - Sum("s3_proxy_saved_bytes_total"));
        Assert.Equal(
            answers.Where(answer => answer.XCache is "HIT-MEMORY" or "HIT-NVME" or "REVALIDATED" or "STALE").Sum(answer => answer.Body.Length) + (1 << 20) /* of the one that was partial */,
            Sum("s3_proxy_saved_bytes_total"));

        async Task<SignedClient.Answer> ExpectAsync(string? outcome, Task<SignedClient.Answer> asking)
        {
            var answer = await asking;
            answers.Add(answer);
            Assert.True(outcome == answer.XCache, $"request {answers.Count}: {outcome ?? "no X-Cache"} was expected and {answer.XCache ?? "none"} came with status {answer.Status}\n{proxy.LogTail}");
            return answer;
        }

        double Sum(string name, params string[] labels) => pages.Sum(page => page.Sum(name, labels));
    }

    /// <summary>The page once every request is counted: the last one is, a moment after its client has its answer.</summary>
    private static async Task<MetricsPage> PageAsync(ProxyProcess proxy, int requests)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (true)
        {
            var page = new MetricsPage(await proxy.ReadMetricsAsync());
            if (page.Sum("s3_proxy_requests_total") >= requests && page.Sum("s3_proxy_nvme_write_queue_bytes") == 0 && page.Sum("s3_proxy_open_reads") == 0)
            {
                return page;
            }

            await Task.Delay(20, patience.Token);
        }
    }

    private static string? XCacheOf(JsonElement line) => line.TryGetProperty("x_cache", out var value) ? value.GetString() : null;
}
