using System.Globalization;
using System.Net;
using Proxy.Bench.Http;
using Proxy.Bench.Peers;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Milvus;

/// <summary>What of a stack is chosen beside its sizes.</summary>
/// <param name="OneStore">All endpoints in front of one store, each by a <see cref="RelayServer"/> of its own: the disk of one, and what one wrote the others overwrite.</param>
/// <param name="WithNginx">A third endpoint: <see cref="NginxCache"/> before a backend of the same profile.</param>
/// <param name="Root">minio.rootPath, as the caches know it.</param>
internal sealed record StackChoice(bool OneStore = false, bool WithNginx = false, string Bucket = "a-bucket", string Root = "files");

/// <summary>Backends of one profile, local stores behind a <see cref="RelayServer"/> each: one asked directly, one behind a proxy, one behind nginx if wanted.</summary>
/// <remarks>Every part is a process of its own, so that what it costs is told apart from what the client costs.</remarks>
internal sealed class BenchStack : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _parts = [];

    public required MilvusEndpoint Direct { get; init; }

    public required MilvusEndpoint Proxied { get; init; }

    /// <summary>Null when it was not asked for.</summary>
    public MilvusEndpoint? Nginx { get; private set; }

    public IReadOnlyList<MilvusEndpoint> Endpoints => Nginx is null ? [Direct, Proxied] : [Direct, Proxied, Nginx];

    /// <summary>All that run now; what is behind another before it, since the one may end for want of the other.</summary>
    public IEnumerable<BenchServer> Servers
        => Endpoints.SelectMany(endpoint => endpoint.BackendServers.Concat(endpoint.Cache is { } cache ? [cache.Current] : [])).Distinct();

    /// <param name="memoryBytes">Of the proxy's memory tier.</param>
    /// <param name="nvmeBytes">Of its NVMe tier; 0 for none. nginx's cache is on disk, and as large as both.</param>
    /// <param name="firstPort">Of eight; twelve with nginx.</param>
    public static async Task<BenchStack> StartAsync(
        string assembly, BackendProfile profile, long memoryBytes, long nvmeBytes, string folder, int firstPort, CancellationToken cancellation, StackChoice? choice = null)
    {
        choice ??= new StackChoice();
        var parts = new List<IAsyncDisposable>();
        var sizes = new CacheSizes(memoryBytes, nvmeBytes);
        try
        {
            var store = await StoreAsync("direct", firstPort);
            var direct = new Backend(store, await ShapeAsync(store, firstPort + 2));
            var behind = await BehindAsync("behind", firstPort + 3, null);
            var proxy = new CacheUnderTest(sizes, Path.Combine(folder, "proxy"), (wanted, place) => new ProxyServer(
                "proxy", At(firstPort + 6), At(firstPort + 7), place,
                new ProxySetup(assembly, wanted.MemoryBytes, Nvme(wanted), new Uri($"http://{behind.Relay.Listen}"), RootArguments())));
            await KeepAsync(proxy);
            var stack = new BenchStack { Direct = Endpoint("direct", direct, null), Proxied = Endpoint("proxy", behind, proxy) };
            if (choice.WithNginx)
            {
                var third = await BehindAsync("behind-nginx", firstPort + 8, choice.Bucket);
                var nginx = new CacheUnderTest(
                    sizes, Path.Combine(folder, "nginx"), (wanted, place) => new NginxCache(At(firstPort + 11), third.Relay.Listen, place, choice.Root, wanted.Bytes));
                await KeepAsync(nginx);
                stack.Nginx = Endpoint("nginx", third, nginx);
            }

            stack._parts.AddRange(parts);
            return stack;

            async Task KeepAsync(CacheUnderTest cache)
            {
                parts.Add(cache);
                await cache.StartAsync(cancellation);
            }

            async Task<Backend> BehindAsync(string name, int port, string? signedBucket)
            {
                var own = choice.OneStore ? store : await StoreAsync(name, port);
                return new Backend(own, await ShapeAsync(own, port + 2, signedBucket));
            }
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

        async Task<RelayServer> ShapeAsync(ProxyServer store, int port, string? signedBucket = null)
        {
            var relay = new RelayServer(At(port), store.Listen, profile, signedBucket);
            parts.Add(relay);
            await relay.StartAsync(cancellation);
            return relay;
        }

        MilvusEndpoint Endpoint(string name, Backend backend, CacheUnderTest? cache) => new(name, Target(cache?.Current.Listen ?? backend.Relay.Listen))
        {
            // What is written behind a cache's back goes to the store itself: the relay's delays and counts are for what is measured.
            Origin = Target(backend.Store.Listen),
            Backend = backend.Relay,
            BackendServers = [backend.Relay, backend.Store],
            Cache = cache,
        };

        S3Target Target(IPEndPoint address) => S3Target.OfBench(address, choice.Bucket);

        IReadOnlyList<string> RootArguments() => choice.Root == "files" ? [] : ["--set", $"Cache:Milvus:RootPaths:0={choice.Root}"];
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

    private static string Nvme(CacheSizes sizes) => sizes.NvmeBytes == 0 ? "0" : string.Create(CultureInfo.InvariantCulture, $"{sizes.NvmeBytes >> 20}MiB");

    private static IPEndPoint At(int port) => new(IPAddress.Loopback, port);

    private sealed record Backend(ProxyServer Store, RelayServer Relay);
}
