using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Prometheus;
using Proxy.Backends.Local;
using Proxy.Backends.Remote;
using Proxy.Cache;
using Proxy.S3.Auth;
using Proxy.S3.Requests;
using Proxy.Server.Forwarding;
using Proxy.Server.Hosting;
using Proxy.Server.HotReads;
using Proxy.Server.Operations;
using Proxy.Server.Operations.Objects;
using Proxy.Server.Requests;
using Proxy.Server.Routing;
using Proxy.Server.Telemetry;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>The S3 listener and what is behind it in the test's own process: for what can be neither seen nor set from outside.</summary>
/// <remarks>As <see cref="ProxyProcess"/> has it, without admin and NVMe. Used by one test, which disposes it.</remarks>
internal sealed class ServerInProcess : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly DirectoryInfo _directory;
    private readonly BackendRouter _router;
    private readonly ObjectCache _cache;
    private readonly CollectorRegistry _registry = Metrics.NewCustomRegistry();
    private readonly S3Server _server;

    /// <param name="isRemote">In front of a backend that nobody answers for; otherwise the local store.</param>
    private ServerInProcess(bool isRemote, S3Options options, Func<BackendRouter, OperationTable>? operations)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddHttpForwarder().AddSingleton<BackendForwarder>();
        _app = builder.Build();
        _directory = Directory.CreateTempSubdirectory("proxy-test-");
        Backend backend = isRemote
            ? new RemoteS3Backend(new RemoteBackend("test", new RemoteOptions { Endpoints = ["http://127.0.0.1:9"], AccessKey = "key", SecretKey = "secret" }, TimeProvider.System, NullLoggerFactory.Instance))
            : new LocalBackend(LocalObjectStore.Open(new LocalOptions { Directory = _directory.FullName }, TimeProvider.System, NullLoggerFactory.Instance), _directory.FullName);
        _router = new BackendRouter(backend, new Dictionary<string, Backend>(StringComparer.Ordinal), []);
        _cache = ObjectCache.Open(new CacheOptions { Memory = { CapacityBytes = 128 << 20 } }, TimeProvider.System, NullLoggerFactory.Instance);
        var credentials = new CredentialTable([new Credential(ProxyProcess.AccessKey, ProxyProcess.SecretKey)]);
        var verifier = new SignatureVerifier(credentials, new SignatureOptions { AcceptAnyRegion = true }, TimeProvider.System);
        var telemetry = new RequestTelemetry(new RequestMetrics(_registry), new SlowRequests(TimeSpan.FromMinutes(1), _registry, TimeProvider.System, NullLogger<SlowRequests>.Instance), accessLog: null);
        var table = operations?.Invoke(_router) ?? OperationCatalog.Build(options, _cache, _router, _app.Services.GetRequiredService<BackendForwarder>());
        var endpoint = new S3Endpoint(
            verifier, Addressing.PathStyle, _router, table, new PostObject(credentials, TimeProvider.System), telemetry, options.StallTimeout, NullLogger<S3Endpoint>.Instance);
        var hotReads = new HotReadEndpoint(_cache, verifier, Addressing.PathStyle, _router, telemetry, NullLogger<HotReadEndpoint>.Instance);
        _server = new S3Server(options, new S3Application(endpoint, _app.Services), hotReads, _app.Services, NullLoggerFactory.Instance);
        Endpoint = new Uri($"{(options.Tls.Enabled ? "https" : "http")}://{options.Listen}");
    }

    public Uri Endpoint { get; }

    /// <param name="keepAlive">May be less than a configuration may say.</param>
    /// <param name="operations">Who answers; the proxy's own operations where it is null.</param>
    /// <param name="tls">Over https.</param>
    /// <param name="stallTimeout">May be less than a configuration may say, too.</param>
    public static async Task<ServerInProcess> StartAsync(
        bool isRemote = false, TimeSpan? keepAlive = null, Func<BackendRouter, OperationTable>? operations = null, TlsOptions? tls = null, TimeSpan? stallTimeout = null)
    {
        var options = new S3Options { Listen = $"127.0.0.1:{Loopback.FreePorts()}" };
        options.KeepAlive = keepAlive ?? options.KeepAlive;
        options.StallTimeout = stallTimeout ?? options.StallTimeout;
        options.Tls = tls ?? options.Tls;
        var server = new ServerInProcess(isRemote, options, operations);
        await server._server.StartAsync(CancellationToken.None);
        return server;
    }

    /// <summary>The text of /metrics, as far as it is of requests.</summary>
    public async Task<string> ReadMetricsAsync()
    {
        using var text = new MemoryStream();
        await _registry.CollectAndExportAsTextAsync(text);
        return System.Text.Encoding.UTF8.GetString(text.ToArray());
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _server.StopAsync(now.Token);
        await _server.DisposeAsync();
        await _cache.DisposeAsync();
        await _router.DisposeAsync();
        await _app.DisposeAsync();
        _directory.Delete(recursive: true);
    }
}
