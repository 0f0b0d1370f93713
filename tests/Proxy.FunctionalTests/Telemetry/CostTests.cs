using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>What two backends of different prices cost and what the cache saved there, beside an embedded store that nobody bills.</summary>
public sealed class CostTests : IAsyncLifetime
{
    private const string Key = "files/insert_log/1/2/3/100/7";
    private const double GiB = 1 << 30;

    private static readonly byte[] Bytes = SeveralBackendsTests.MakeBytes((9 << 20) + 77);

    private SeveralBackends _several = null!;

    public async ValueTask InitializeAsync()
    {
        _several = await SeveralBackends.StartAsync(several => new
        {
            Backends = new Dictionary<string, object> { ["near"] = SeveralBackends.Remote(several.First), ["far"] = SeveralBackends.Remote(several.Second) },
            Routes = new object[]
            {
                new { Bucket = "near-b", Backend = "near" }, new { Bucket = "far-b", Backend = "far" }, new { Bucket = "split", Prefix = "x/", Backend = "far" }, new { Bucket = "split", Backend = "near" },
            },
            Telemetry = new
            {
                Prices = new { GetPerThousand = 1000, PutPerThousand = 2000, EgressPerGiB = 1024 },
                BackendPrices = new Dictionary<string, object> { ["near"] = new { EgressPerGiB = 0 }, ["far"] = new { GetPerThousand = 5000 } },
            },
            Cache = new { Fills = new { MaxRangeBytes = "2MiB" } },
        });
        _several.First.Store.CreateBucket("near-b");
        _several.First.Store.CreateBucket("split");
        _several.Second.Store.CreateBucket("far-b");
        _several.Second.Store.CreateBucket("split");
        _several.First.Store.TryPut("near-b", Key, FaultyObject.Of(Bytes));
        _several.Second.Store.TryPut("far-b", Key, FaultyObject.Of(Bytes));
        _several.Second.Store.TryPut("split", "x/1", FaultyObject.Of([1]));
        (await _several.S3.PutAsync("/local-b", [])).Ok();
        (await _several.S3.PutAsync($"/local-b/{Key}", Bytes)).Ok();
    }

    public ValueTask DisposeAsync() => _several.DisposeAsync();

    [Fact]
    public async Task ColdReads_SaveNothingAndCostTheirOwnBackendsPrice()
    {
        await ReadAsync("near-b", "MISS");
        await ReadAsync("far-b", "MISS");
        var page = await PageAsync();
        Assert.Equal(0, page.Sum("s3_proxy_saved_bytes_total"));
        Assert.Equal(0, page.Sum("s3_proxy_saved_dollars_total"));
        foreach (var (name, perRequest, perByte) in (ReadOnlySpan<(string, double, double)>)[("near", 1, 0), ("far", 5, 1024 / GiB)])
        {
            var backend = $"backend=\"{name}\"";
            Assert.Equal(Bytes.Length, page.Sum("s3_proxy_backend_bytes_total", backend, "operation=\"get_object\"", "direction=\"received\""));
            Assert.Equal(Bytes.Length * perByte, page.Sum("s3_proxy_backend_egress_cost_dollars_total", backend), 1e-6);
            Assert.Equal(page.Sum("s3_proxy_backend_requests_total", backend, "operation=\"get_object\"") * perRequest, page.Sum("s3_proxy_backend_cost_dollars_total", backend, "operation=\"get_object\""), 1e-6);
        }
    }

    [Fact]
    public async Task WarmReads_SaveByTheirOwnBackendsPriceAndTheEmbeddedStoresNoMoney()
    {
        await ReadAsync("near-b", "MISS");
        await ReadAsync("far-b", "MISS");
        await ReadAsync("local-b", "HIT-MEMORY"); // it was written through the proxy

        var before = await PageAsync();
        await ReadAsync("local-b", "HIT-MEMORY");
        var local = await PageAsync();
        Assert.Equal(Bytes.Length, local.Sum("s3_proxy_saved_bytes_total") - before.Sum("s3_proxy_saved_bytes_total"));
        Assert.Equal(0, local.Sum("s3_proxy_saved_dollars_total"));

        await ReadAsync("near-b", "HIT-MEMORY");
        var near = await PageAsync();
        Assert.Equal(1, near.Sum("s3_proxy_saved_dollars_total"), 1e-6);

        await ReadAsync("far-b", "HIT-MEMORY");
        var far = await PageAsync();
        Assert.Equal(1 + 5 + (Bytes.Length * (1024 / GiB)), far.Sum("s3_proxy_saved_dollars_total"), 1e-6);
        Assert.Equal(3 * Bytes.Length, far.Sum("s3_proxy_saved_bytes_total") - before.Sum("s3_proxy_saved_bytes_total"));
    }

    [Fact]
    public async Task AnswersWithoutALengthAndListingsOfTheProxysOwn_AreCounted()
    {
        const string Document = "<ListBucketResult><Name>far-b</Name><IsTruncated>false</IsTruncated></ListBucketResult>";
        _several.Second.Break("ListObjectsV2", new Fault { Document = Document }, times: 1); // sent chunked
        Assert.Equal(Document, (await _several.S3.GetAsync("/far-b?list-type=2")).Ok().Text);
        var page = await PageAsync();
        Assert.Equal(Document.Length, page.Sum("s3_proxy_backend_bytes_total", "backend=\"far\"", "operation=\"list_objects_v2\"", "direction=\"received\""));
        Assert.Equal(Document.Length * (1024 / GiB), page.Sum("s3_proxy_backend_egress_cost_dollars_total", "backend=\"far\""), 1e-6);

        // Merged of both, by the proxy's own listings.
        Assert.Equal(["x/1"], (await _several.S3.GetAsync("/split?list-type=2")).Ok().All("Key"));
        (await _several.S3.GetAsync("/")).Ok();
        page = await PageAsync();
        foreach (var backend in (string[])["near", "far"])
        {
            Assert.True(page.Sum("s3_proxy_backend_bytes_total", $"backend=\"{backend}\"", "operation=\"list_objects_v2\"", "direction=\"received\"") > (backend == "far" ? Document.Length : 0));
            Assert.True(page.Sum("s3_proxy_backend_bytes_total", $"backend=\"{backend}\"", "operation=\"list_buckets\"", "direction=\"received\"") > 0);
        }
    }

    [Fact]
    public async Task Uploads_AreCountedByOperation()
    {
        (await _several.S3.PutAsync("/far-b/plain", Bytes)).Ok();
        Assert.Equal(Bytes.Length, (await PageAsync()).Sum("s3_proxy_backend_bytes_total", "backend=\"far\"", "operation=\"put_object\"", "direction=\"sent\""));
    }

    [Fact]
    public async Task PricesOfABackendThatIsNotThere_AreRefused()
    {
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => ProxyProcess.StartAsync(["--set", "Telemetry:BackendPrices:nera:EgressPerGiB=0"], new Uri(_several.First.Url)));
        Assert.Contains("Telemetry:BackendPrices:nera: there is no backend 'nera'", refused.Message, StringComparison.Ordinal);
    }

    private async Task ReadAsync(string bucket, string expected)
    {
        var answer = (await _several.S3.GetAsync($"/{bucket}/{Key}")).Ok();
        Assert.Equal(Bytes, answer.Body);
        Assert.Equal(expected, answer.Header("X-Cache"));
    }

    /// <summary>Once nothing is under way any more.</summary>
    private async Task<MetricsPage> PageAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (true)
        {
            var page = new MetricsPage(await _several.Proxy.ReadMetricsAsync());
            if (page.Sum("s3_proxy_requests_in_flight") == 0 && page.Sum("s3_proxy_open_reads") == 0 && page.Sum("s3_proxy_fill_in_flight_bytes") == 0)
            {
                return page;
            }

            await Task.Delay(20, patience.Token);
        }
    }
}
