using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>Two proxies that have done a little of everything: one before a remote backend, one on its local store. Started once, for tests that look at metrics.</summary>
public sealed class ObservedProxies : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-observed-").FullName;
    private readonly Queue<string> _large = new();
    private FaultyBackend _backend = null!;

    /// <summary>In front of a remote backend.</summary>
    public ProxyProcess Remote { get; private set; } = null!;

    /// <summary>On its own store.</summary>
    public ProxyProcess Local { get; private set; } = null!;

    /// <summary>Both pages, one after the other.</summary>
    internal async Task<IReadOnlyList<MetricsPage>> PagesAsync() => [new MetricsPage(await Remote.ReadMetricsAsync()), new MetricsPage(await Local.ReadMetricsAsync())];

    /// <summary>Some requests of each kind.</summary>
    public async Task LoadAsync()
    {
        await LoadAsync(Remote);
        await LoadAsync(Local);
        await LoadPastMemoryAsync();
    }

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(buckets: "data");
        Remote = await ProxyProcess.StartAsync(["--memory", "16MiB", "--set", $"Telemetry:AccessLog={Path.Combine(_folder, "access.log")}"], new Uri(_backend.Url));
        Local = await ProxyProcess.StartAsync();
        using (var client = new SignedClient(Local.Endpoint))
        {
            Assert.Equal(200, (await client.SendAsync(HttpMethod.Put, "/data")).Status);
        }

        await LoadAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Local.DisposeAsync();
        await Remote.DisposeAsync();
        await _backend.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A miss, and reads of what memory has had to give up to NVMe.</summary>
    private async Task LoadPastMemoryAsync()
    {
        using var client = new SignedClient(Remote.Endpoint);
        var unseen = $"files/insert_log/11/12/13/100/{Guid.NewGuid():N}";
        _backend.Store.TryPut("data", unseen, FaultyObject.Of(new byte[50_000]));
        Assert.Equal("MISS", (await client.GetAsync("/data/" + unseen)).XCache);
        for (var i = 0; i < 4; i++)
        {
            var key = $"/data/files/index_files/8/1/12/13/{Guid.NewGuid():N}";
            Assert.Equal(200, (await client.SendAsync(HttpMethod.Put, key, new byte[2 << 20])).Status);
            _large.Enqueue(key);
        }

        // The oldest of more than 16 MiB.
        for (var i = 0; _large.Count > 12 && i < 4; i++)
        {
            Assert.Equal(200, (await client.GetAsync(_large.Dequeue())).Status);
        }
    }

    private static async Task LoadAsync(ProxyProcess proxy)
    {
        using var client = new SignedClient(proxy.Endpoint);
        var fresh = Guid.NewGuid().ToString("N");
        var body = Encoding.ASCII.GetBytes(new string('x', 100_000));
        foreach (var key in (string[])[$"files/insert_log/11/12/13/100/{fresh}", $"files/index_files/1/2/12/13/{fresh}", $"files/wp/{fresh}", $"other/{fresh}"])
        {
            Assert.Equal(200, (await client.SendAsync(HttpMethod.Put, "/data/" + key, body)).Status);
            Assert.Equal(200, (await client.GetAsync("/data/" + key)).Status);
            Assert.Equal(200, (await client.GetAsync("/data/" + key)).Status);
            Assert.Equal(200, (await client.SendAsync(HttpMethod.Head, "/data/" + key)).Status);
        }

        Assert.Equal(404, (await client.GetAsync("/data/nothing")).Status);
        Assert.Equal(403, (await client.SendAsync(HttpMethod.Get, "/data/other", secretKey: "not-the-secret")).Status);
        Assert.Equal(204, (await client.SendAsync(HttpMethod.Delete, $"/data/other/{fresh}")).Status);
    }
}
