using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Console;
using Prometheus;
using Proxy.Cache;
using Proxy.S3.Auth;
using Proxy.S3.Requests;
using Proxy.Server.Admin;
using Proxy.Server.Forwarding;
using Proxy.Server.HotReads;
using Proxy.Server.Operations;
using Proxy.Server.Operations.Objects;
using Proxy.Server.Requests;
using Proxy.Server.Routing;
using Proxy.Server.Telemetry;
using Proxy.Server.Transport;
using Proxy.Server.WebConsole;

namespace Proxy.Server.Hosting;

/// <summary>Builds the house, opens its doors, and closes them again.</summary>
internal static class ProxyHost
{
    private const int CannotStart = 1;
    private const int CouldNotClose = 3;

    // A page of the console stays open as long as its reader likes: no reason to hold a stop up.
    private static readonly TimeSpan AdminStopsWithin = TimeSpan.FromSeconds(2);

    // The NVMe tier writes what is queued for at most 15 s.
    private static readonly TimeSpan CloseWithin = TimeSpan.FromSeconds(20);

    /// <returns>0 after a clean stop, 1 when something it needs cannot be had, 2 when the configuration cannot be used; the process ends itself with 3 when its files cannot be closed.</returns>
    public static async Task<int> RunAsync(CommandLineSettings commandLine, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();

        // The command line listens for signals only once this has returned to it: what comes earlier would end the process where it stands.
        await Task.Yield();
        try
        {
            var fingerprint = ConfigurationLoader.Fingerprint(ConfigurationLoader.FileOf(commandLine));
            var configuration = ConfigurationLoader.Load(commandLine, Environment.GetEnvironmentVariables());
            var options = ConfigurationLoader.Bind(configuration);
            ResolveFolders(options);
            SetUpProcess(options);
            await ServeAsync(commandLine, options, configuration, fingerprint, started, cancellation);
            return 0;
        }
        catch (ConfigurationException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return ConfigurationException.ExitCode;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException)
        {
            await Console.Error.WriteLineAsync($"Cannot start: {e.Message}");
            return CannotStart;
        }
    }

    /// <summary>What holds for the whole process, set once before anything runs in it.</summary>
    private static void SetUpProcess(ProxyOptions options)
    {
        // The local store flushes a small PUT on the pool thread that brings it, one at a time. The pool starts with a thread for each core and adds more only
        // after a pause: one more from the beginning, so that no request waits for somebody's flush. Also where no local store is configured: a reload may open one.
        ThreadPool.GetMinThreads(out var workers, out var completions);
        ThreadPool.SetMinThreads(Math.Max(workers, Environment.ProcessorCount + 1), completions);
        if (options.S3.DirectOutput && SocketTransport.IsSupported)
        {
            IoThread.EnableInlineCompletions();
        }
    }

    private static async Task ServeAsync(
        CommandLineSettings commandLine, ProxyOptions options, IConfiguration configuration, string? fingerprint, long started, CancellationToken cancellation)
    {
        // Disposed last, so that it watches over everything that is closed before it.
        await using var closing = new Timer(static _ => EndUnclosed(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        await using var trimming = NativeHeap.StartTrimming(TimeProvider.System);
        var builder = WebApplication.CreateSlimBuilder(ConsoleHost.Options);
        builder.Logging.ClearProviders().AddConfiguration(configuration.GetSection("Logging")).AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            console.UseUtcTimestamp = true;
            console.ColorBehavior = LoggerColorBehavior.Disabled;
        }).AddFilter("Microsoft", LogLevel.Warning).AddFilter("Yarp", LogLevel.Error)
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        var admin = S3Server.Endpoints("Admin:Listen", options.Admin.Listen);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            foreach (var endpoint in admin)
            {
                kestrel.Listen(endpoint, listen => listen.UseTls(options.Admin.Tls, "Admin:Tls"));
            }
        }).UseKestrelHttpsConfiguration();
        builder.AddConsole();
        builder.Services.AddHttpForwarder().AddSingleton<BackendForwarder>().AddSystemd();
        builder.Services.Configure<RouteHandlerOptions>(static api => api.ThrowOnBadRequest = true); // AdminApi says what is wrong with it
        builder.Services.Configure<HostOptions>(static host => host.ShutdownTimeout = AdminStopsWithin);
        await using var app = builder.Build();

        var loggers = app.Services.GetRequiredService<ILoggerFactory>();
        var registry = Metrics.NewCustomRegistry();
        var readiness = new Readiness();
        var backends = new BackendFactory(TimeProvider.System, loggers);
        await using var router = new BackendRouter(backends.Build(options, configuration));
        await using var cache = ObjectCache.Open(options.Cache, TimeProvider.System, loggers);
        using var traces = TraceExport.Start(options.Telemetry);
        var savedReads = new SavedReads(router);
        var requestMetrics = new RequestMetrics(registry, savedReads);
        var prices = new PriceList(options.Telemetry.Prices, options.Telemetry.BackendPrices);
        var savings = new Savings(savedReads, router, prices);
        StateMetrics.Register(registry, requestMetrics, cache, router, savings, prices, options.Telemetry);
        await using var accessLog = string.IsNullOrEmpty(options.Telemetry.AccessLog) ? null : new AccessLog(options.Telemetry.AccessLog, registry, TimeProvider.System, loggers.CreateLogger<AccessLog>());
        var slowRequests = new SlowRequests(options.Telemetry.SlowRequest, registry, TimeProvider.System, loggers.CreateLogger<SlowRequests>());
        var telemetry = new RequestTelemetry(requestMetrics, slowRequests, accessLog);

        var (signers, isDefault) = ReadCredentials(options.S3);
        var credentials = new CredentialTable(signers);
        var verifier = new SignatureVerifier(credentials, new SignatureOptions { Region = options.S3.Region, AcceptAnyRegion = options.S3.AnyRegion }, TimeProvider.System);
        var addressing = options.S3.Domain is { Length: > 0 } domain ? new Addressing(domain.Split(',', StringSplitOptions.TrimEntries)) : Addressing.PathStyle;
        var operations = OperationCatalog.Build(options.S3, cache, router, app.Services.GetRequiredService<BackendForwarder>());
        var endpoint = new S3Endpoint(verifier, addressing, router, operations, new PostObject(credentials, TimeProvider.System), telemetry, options.S3.StallTimeout, loggers.CreateLogger<S3Endpoint>());
        var hotReads = new HotReadEndpoint(cache, verifier, addressing, router, telemetry, loggers.CreateLogger<HotReadEndpoint>());
        await using var s3 = new S3Server(options.S3, new S3Application(endpoint, app.Services), hotReads, app.Services, loggers);
        StateMetrics.RegisterTransport(registry, () => s3.LentBytes);

        await using var operators = new AdminService(cache, router, options.Cache.Milvus.EffectiveRootPaths, TimeProvider.System, loggers.CreateLogger<AdminService>());
        await using var history = new History(operators, requestMetrics.ReadLatency, savings, TimeProvider.System);
        app.MapAdmin(operators, credentials, options.Admin, history);
        app.MapHealth(readiness);
        app.MapProxyMetrics(registry);

        try
        {
            await StartAdminAsync(app, options.Admin, cancellation);
            await s3.StartAsync(cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested || app.Lifetime.ApplicationStopping.IsCancellationRequested)
        {
            await Console.Out.WriteLineAsync("Stopped: told to before the start was over.");
            closing.Change(CloseWithin, Timeout.InfiniteTimeSpan);
            return;
        }

        await using var reload = new ConfigurationReload(commandLine, configuration, fingerprint, backends, router, credentials, cache, TimeProvider.System, loggers.CreateLogger<ConfigurationReload>());
        reload.Start();
        readiness.Ready();
        await Console.Out.WriteAsync(StartupSummary.Write(options, router.Default.Description, options.Cache, isDefault, Stopwatch.GetElapsedTime(started)));

        await ToldToStopAsync(app.Lifetime, cancellation);
        readiness.Stopping();
        using var patience = new CancellationTokenSource(options.S3.ShutdownTimeout);
        await s3.StopAsync(patience.Token);
        await Console.Out.WriteLineAsync(patience.IsCancellationRequested
            ? $"Stopped: requests that were still in flight after S3:ShutdownTimeout ({options.S3.ShutdownTimeout}) were cut off."
            : "Stopped: requests in flight were answered.");

        // Last, so that meanwhile probes are told why and metrics go on.
        await app.StopAsync(CancellationToken.None);
        closing.Change(CloseWithin, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Waits for a signal, for <paramref name="cancellation"/>, or for whoever else stops the host.</summary>
    private static async Task ToldToStopAsync(IHostApplicationLifetime lifetime, CancellationToken cancellation)
    {
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var stopping = lifetime.ApplicationStopping.Register(told.SetResult);
        using var canceled = cancellation.Register(lifetime.StopApplication);
        await told.Task;
    }

    /// <summary>A disk that hangs does not keep the process: what is lost by that is what a power cut would lose, nothing acknowledged.</summary>
    private static void EndUnclosed()
    {
        Console.Error.WriteLine($"Files could not be closed within {CloseWithin.TotalSeconds} s: a disk does not answer. Ended without.");
        Environment.Exit(CouldNotClose);
    }

    private static async Task StartAdminAsync(WebApplication app, AdminOptions options, CancellationToken cancellation)
    {
        try
        {
            await app.StartAsync(cancellation);
        }
        catch (IOException e)
        {
            throw new IOException($"Admin:Listen: cannot listen on {options.Listen}: {e.InnerException?.Message ?? e.Message}. Free the port or set --admin.", e);
        }
    }

    /// <summary>Configured credentials; else MinIO's environment variables, so that a compose file written for MinIO works; else minioadmin.</summary>
    internal static (IReadOnlyList<Credential> Signers, bool IsDefault) ReadCredentials(S3Options options)
    {
        if (options.Credentials.Count > 0)
        {
            return ([.. options.Credentials.Select(Read)], false);
        }

        var user = Environment.GetEnvironmentVariable("MINIO_ROOT_USER");
        var password = Environment.GetEnvironmentVariable("MINIO_ROOT_PASSWORD");
        if (string.IsNullOrEmpty(user) != string.IsNullOrEmpty(password))
        {
            throw new ConfigurationException("Set both MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, or neither.");
        }

        var credential = string.IsNullOrEmpty(user) ? StartupSummary.DefaultCredential : new Credential(user, password!);
        return ([credential], credential.AccessKey == "minioadmin" && credential.SecretKey == "minioadmin");

        static Credential Read(CredentialOptions options)
        {
            var grants = options.Buckets.Count == 0
                ? [new AccessGrant("*", "", options.ReadOnly)]
                : options.Buckets.Select(bucket => bucket.Split('/', 2) is [var name, var prefix] ? new AccessGrant(name, prefix, options.ReadOnly) : new AccessGrant(bucket, "", options.ReadOnly)).ToArray();
            return new Credential(options.AccessKey, options.SecretKey, sessionToken: null, new AccessPolicy(grants));
        }
    }

    /// <summary>Store and cache live under Data unless their own sections say otherwise.</summary>
    internal static void ResolveFolders(ProxyOptions options)
    {
        var data = Path.GetFullPath(options.Data);
        try
        {
            Directory.CreateDirectory(data);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"Data: the folder {data} cannot be made or written ({e.Message}): choose another with --data, or change its owner.", e);
        }

        options.Local.Directory = Path.Combine(data, options.Local.Directory.Length == 0 ? "store" : options.Local.Directory);

        // In front of nothing but the local store, and on its disk, the tier would be a second copy of what lies there, and take the room that the store needs.
        var wouldCopyTheStore = options.Backend.Endpoints.Count == 0 && options.Backends.Count == 0 && options.Cache.Nvme.Directories.Count == 0;
        options.Cache.Nvme.CapacityBytes ??= wouldCopyTheStore ? 0 : NvmeTierSettings.DefaultCapacityBytes;
        if (options.Cache.Nvme.CapacityBytes == 0)
        {
            options.Cache.Nvme.Directories = [];
        }
        else if (options.Cache.Nvme.Directories.Count == 0)
        {
            options.Cache.Nvme.Directories = [Path.Combine(data, "cache")];
        }
    }
}
