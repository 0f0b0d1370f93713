using System.Globalization;
using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Cache;

/// <summary>The backend is gone and the proxy starts anew: what it holds of immutable keys it goes on serving.</summary>
public sealed class OutageAfterRestartTests : IAsyncLifetime
{
    private const string Mutable = "/data/some/key";

    private readonly Dictionary<string, byte[]> _objects = Enumerable.Range(0, 10).ToDictionary(i => $"/data/files/insert_log/1/2/3/100/{i}", i => SeveralBackendsTests.MakeBytes(300_000 + i));
    private FaultyBackend _backend = null!;
    private ProxyProcess _proxy = null!;
    private S3Caller _s3 = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, "data");
        _proxy = await ProxyProcess.StartAsync(backend: new Uri(_backend.Url));
        _s3 = new S3Caller(_proxy.Endpoint);
    }

    public async ValueTask DisposeAsync()
    {
        _s3.Dispose();
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Fact]
    public async Task ImmutableObjects_AreServed_AfterAStopAndAfterAKill_UntilTheBackendSaysOtherwise()
    {
        foreach (var (target, bytes) in _objects.Append(new(Mutable, [1, 2, 3])))
        {
            (await _s3.PutAsync(target, bytes)).Ok();
            (await _s3.GetAsync(target)).Ok();
        }

        await _backend.DisposeAsync();
        await _proxy.StopAsync();
        await _proxy.StartAgainAsync();
        await AssertStaleAsync();
        await _proxy.KillAsync();
        await _proxy.StartAgainAsync();
        await AssertStaleAsync();

        // It is back: what is gone there is gone here, what it refuses is refused, and the rest is confirmed.
        _backend = await FaultyBackend.StartAgainAsync(_backend);
        var (gone, denied, kept) = (_objects.Keys.ElementAt(0), _objects.Keys.ElementAt(1), _objects.Keys.ElementAt(2));
        _backend.Store.Delete("data", gone["/data/".Length..]);
        await Patience.UntilAsync(async () => (await _s3.GetAsync(kept)).Ok().Header("X-Cache") != "STALE", () => $"no probe has found the backend\n{_proxy.LogTail}");

        Assert.Equal("NoSuchKey", (await _s3.GetAsync(gone)).Is(HttpStatusCode.NotFound).Code);
        _backend.Break("HeadObject", new Fault { Status = 403 });
        _backend.Break("GetObject", new Fault { Status = 403 });
        Assert.Equal("AccessDenied", (await _s3.GetAsync(denied)).Is(HttpStatusCode.Forbidden).Code);
        Assert.StartsWith("HIT", (await _s3.GetAsync(kept)).Ok().Header("X-Cache"), StringComparison.Ordinal);
    }

    private async Task AssertStaleAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (await SumAsync("s3_proxy_nvme_recovered_blocks", "s3_proxy_catalog_entries") is var found && (found[0] < _objects.Count || found[1] <= _objects.Count))
        {
            Assert.False(patience.IsCancellationRequested, $"{found[0]} blocks and {found[1]} entries were found again after 60 s:\n{_proxy.LogTail}");
            await Task.Delay(50);
        }

        foreach (var (target, bytes) in _objects)
        {
            var answer = (await _s3.GetAsync(target)).Ok();
            Assert.Equal(bytes, answer.Body);
            Assert.Equal("STALE", answer.Header("X-Cache"));
            Assert.Equal("STALE", (await _s3.SendAsync("HEAD", target, null)).Ok().Header("X-Cache"));
            Assert.Equal(bytes[^100..], (await _s3.GetAsync(target, ("Range", "bytes=-100"))).Is(HttpStatusCode.PartialContent).Body);
        }

        Assert.Equal("SlowDown", (await _s3.GetAsync(Mutable)).Is(HttpStatusCode.ServiceUnavailable).Code);
    }

    private async Task<double[]> SumAsync(params string[] names)
    {
        var lines = (await _proxy.ReadMetricsAsync()).Split('\n');
        return [.. names.Select(name => lines.Where(line => line.StartsWith(name, StringComparison.Ordinal)).Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture)))];
    }
}
