using System.Globalization;
using System.Net;
using Proxy.Bench.Http;
using Proxy.Bench.Peers;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Milvus;

/// <summary>Two backends of one profile, local stores behind a <see cref="RelayServer"/> each: one asked directly, one behind a proxy.</summary>
/// <remarks>Every part is a process of its own, so that what it costs is told apart from what the client costs.</remarks>
internal sealed class BenchStack : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _parts = [];

    public required MilvusEndpoint Direct { get; init; }

    public required MilvusEndpoint Proxied { get; init; }

    /// <param name="memoryBytes">Of the proxy's memory tier.</param>
    /// <param name="nvmeBytes">Of its NVMe tier; 0 for none.</param>
    /// <param name="firstPort">Of eight.</param>
    /// <param name="oneStore">Both in front of one store, each by a <see cref="RelayServer"/> of its own: half the disk, and what one wrote the other overwrites.</param>
    public static async Task<BenchStack> StartAsync(
        string assembly, BackendProfile profile, long memoryBytes, long nvmeBytes, string folder, int firstPort, CancellationToken cancellation, bool oneStore = false)
    {
        var parts = new List<IAsyncDisposable>();
        try
        {
            var direct = await StoreAsync("direct", firstPort);
            var directBackend = await ShapeAsync(direct, firstPort + 2);
            var behind = oneStore ? direct : await StoreAsync("behind", firstPort + 3);
            var proxyBackend = await ShapeAsync(behind, firstPort + 5);
            var nvme = nvmeBytes == 0 ? "0" : string.Create(CultureInfo.InvariantCulture, $"{nvmeBytes >> 20}MiB");
            var proxy = new ProxyServer(
                "proxy", At(firstPort + 6), At(firstPort + 7), Path.Combine(folder, "proxy"),
                new ProxySetup(assembly, memoryBytes, nvme, new Uri($"http://{proxyBackend.Listen}"), []));
            await proxy.StartAsync(cancellation);
            parts.Add(proxy);
            var stack = new BenchStack
            {
                Direct = new MilvusEndpoint("direct", Target(directBackend.Listen), Target(direct.Listen), directBackend, null),
                Proxied = new MilvusEndpoint("proxy", Target(proxy.Listen), Target(proxyBackend.Listen), proxyBackend, proxy),
            };
            stack._parts.AddRange(parts);
            return stack;
        }
        catch
        {
            await DisposeAllAsync(parts);
            throw;
        }

        async Task<ProxyServer> StoreAsync(string name, int port)
        {
            var store = new ProxyServer(
                name, At(port), At(port + 1), Path.Combine(folder, name),
                new ProxySetup(assembly, 64 << 20, "0", null, ["--set", "Cache:Enabled=false"]));
            parts.Add(store);
            await store.StartAsync(cancellation);
            return store;
        }

        async Task<RelayServer> ShapeAsync(ProxyServer store, int port)
        {
            var relay = new RelayServer(At(port), store.Listen, profile);
            parts.Add(relay);
            await relay.StartAsync(cancellation);
            return relay;
        }
    }

    public ValueTask DisposeAsync() => DisposeAllAsync(_parts);

    private static async ValueTask DisposeAllAsync(List<IAsyncDisposable> parts)
    {
        // Last started, first stopped: a proxy before what it stands in front of.
        for (var i = parts.Count - 1; i >= 0; i--)
        {
            await parts[i].DisposeAsync();
        }
    }

    private static S3Target Target(IPEndPoint address) => S3Target.OfBench(address, "a-bucket");

    private static IPEndPoint At(int port) => new(IPAddress.Loopback, port);
}
