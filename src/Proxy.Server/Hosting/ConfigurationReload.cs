using System.Runtime.InteropServices;
using Proxy.Cache;
using Proxy.S3.Auth;
using Proxy.Server.Routing;

namespace Proxy.Server.Hosting;

/// <summary>Takes an edited configuration into use while requests run: backends, routes, credentials, cache rules.</summary>
/// <remarks>
/// Loads when the file's content changed and stayed the same for one look, or on SIGHUP. Everything new is built first and then swapped in; a mistake
/// anywhere refuses the whole edit and is logged, and so does what only its leaving out would do (<see cref="ReloadGuard"/>). Keys that cannot change while it runs are named in the log. A backend that is in use no more is
/// closed when it has been idle for <see cref="IdleBeforeClose"/>. The file is read every second rather than watched: Kubernetes
/// swaps symbolic links, and network file systems tell nobody. One reload at a time.
/// </remarks>
internal sealed partial class ConfigurationReload : IAsyncDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>Longer than any pause between two requests of one fill.</summary>
    private static readonly TimeSpan LongestRecovery = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan IdleBeforeClose = TimeSpan.FromSeconds(5);

    private static readonly string[] Live = ["Backend", "Backends", "Routes", "S3:Credentials", "Cache:Rules", "Cache:Milvus", "Cache:RevalidateTtl"];

    private readonly CommandLineSettings _commandLine;
    private readonly BackendFactory _factory;
    private readonly BackendRouter _router;
    private readonly CredentialTable _credentials;
    private readonly ObjectCache _cache;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string? _file;
    private readonly string? _taken;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _asked = new(0);
    private readonly PosixSignalRegistration _hangUp;
    private readonly List<Task> _closing = [];
    private IReadOnlyDictionary<string, string?> _current;
    private Task _watching = Task.CompletedTask;

    /// <param name="taken">What <see cref="ConfigurationLoader.Fingerprint"/> said of the file before <paramref name="current"/> was read from it: an edit since then is found.</param>
    public ConfigurationReload(
        CommandLineSettings commandLine, IConfiguration current, string? taken, BackendFactory factory, BackendRouter router, CredentialTable credentials, ObjectCache cache, TimeProvider time,
        ILogger<ConfigurationReload> logger)
    {
        (_commandLine, _factory, _router, _credentials, _cache, _time, _logger) = (commandLine, factory, router, credentials, cache, time, logger);
        _current = Flatten(current);
        _file = ConfigurationLoader.FileOf(commandLine);
        _taken = taken;
        _hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            _asked.Release();
        });
    }

    public void Start() => _watching = Task.Run(WatchAsync);

    public async ValueTask DisposeAsync()
    {
        _hangUp.Dispose();
        await _stop.CancelAsync();
        await _watching;
        await Task.WhenAll(_closing);
        _stop.Dispose();
        _asked.Dispose();
    }

    private async Task WatchAsync()
    {
        try
        {
            // What the last run knew has to be there to be forgotten where it moved, and a change before that would keep all of it from coming back.
            await _cache.Recovered.WaitAsync(LongestRecovery, _time, _stop.Token);
        }
        catch (TimeoutException)
        {
            // A disk that hangs: keys that are to be taken away do not wait for it.
        }
        catch (OperationCanceledException)
        {
            return;
        }

        var taken = _taken;
        var seen = taken;
        var isTold = false;
        while (!_stop.IsCancellationRequested)
        {
            bool asked;
            try
            {
                asked = await _asked.WaitAsync(LookEvery, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            var now = ConfigurationLoader.Fingerprint(_file);
            var settled = now == seen && now != taken && now is not null;

            // For one look it may be gone: an editor that writes a new one first takes the old one away.
            if (now is null && seen is null && !isTold && _file is not null)
            {
                LogGone(_file);
            }

            isTold = now is null && seen is null;
            seen = now;
            if (asked || settled)
            {
                taken = now;
                Reload();
            }
        }
    }

    private void Reload()
    {
        try
        {
            if (_file is not null && !File.Exists(_file))
            {
                throw new ConfigurationException($"Configuration file {_file} is gone."); // where no --config names it, its absence would mean the defaults
            }

            var configuration = ConfigurationLoader.Load(_commandLine, Environment.GetEnvironmentVariables());
            var options = ConfigurationLoader.Bind(configuration);
            var next = Flatten(configuration);
            var changed = next.Keys.Union(_current.Keys, StringComparer.OrdinalIgnoreCase)
                .Where(key => next.GetValueOrDefault(key) != _current.GetValueOrDefault(key)).Order(StringComparer.OrdinalIgnoreCase).ToList();
            if (changed.Count == 0)
            {
                LogUnchanged();
                return;
            }

            ProxyHost.ResolveFolders(options);
            Apply(options, configuration);
            _current = next;
            var waiting = changed.Where(key => !Live.Any(live => key.Equals(live, StringComparison.OrdinalIgnoreCase) || key.StartsWith(live + ":", StringComparison.OrdinalIgnoreCase))).ToList();
            LogApplied(string.Join(", ", changed.Except(waiting)));
            if (waiting.Count > 0)
            {
                LogNeedsRestart(string.Join(", ", waiting));
            }
        }
        catch (ConfigurationException e)
        {
            LogRefused(e.Message);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LogRefused(e.ToString());
        }
    }

    /// <summary>What can fail comes first; from the first swap on nothing does.</summary>
    private void Apply(ProxyOptions options, IConfiguration configuration)
    {
        var (credentials, isDefault) = ProxyHost.ReadCredentials(options.S3);
        var before = _router.Model;
        ReloadGuard.RefuseDefaultCredential(_credentials, isDefault);
        ReloadGuard.RefuseMovingToLocal(before, options);
        var next = _factory.Build(options, configuration);
        var retired = _router.Replace(next);
        _credentials.Replace(credentials);
        _cache.UpdateRules(options.Cache);

        // What was cached from elsewhere is another object of the same name. A request that was routed just before the swap may still put
        // something of the old store there: forgotten a little later, once more when the slowest such read has its answer, and when the old store is closed.
        _closing.RemoveAll(task => task.IsCompleted);
        _cache.PurgeWhere(id => next.HoldsOtherThan(before, id.Bucket, id.Key));
        _closing.Add(Task.Run(() => ForgetAgainAsync(before, next)));
        _closing.AddRange(retired.Select(backend => Task.Run(() => CloseWhenIdleAsync(backend, before))));
    }

    private async Task ForgetAgainAsync(RoutingModel before, RoutingModel next)
    {
        try
        {
            await Task.Delay(IdleBeforeClose, _time, _stop.Token);
            _cache.PurgeWhere(id => next.HoldsOtherThan(before, id.Bucket, id.Key));

            // With its answer it asks for what is likely to be read next: there too. What is still on its way then, the purge keeps from being kept.
            var slowest = before.All.OfType<RemoteS3Backend>().Select(static backend => backend.Remote.Options.ReadTimeout).DefaultIfEmpty().Max();
            await Task.Delay(slowest, _time, _stop.Token);
            _cache.PurgeWhere(id => next.HoldsOtherThan(before, id.Bucket, id.Key));
        }
        catch (OperationCanceledException)
        {
            // The proxy stops. What is on disk is checked against the backend after a start.
        }
    }

    private async Task CloseWhenIdleAsync(Backend backend, RoutingModel before)
    {
        LogDraining(backend.Name);
        var idleSince = _time.GetTimestamp();
        try
        {
            while (_time.GetElapsedTime(idleSince) < IdleBeforeClose)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(500), _time, _stop.Token);
                if (backend is RemoteS3Backend { Remote.IsIdle: false })
                {
                    idleSince = _time.GetTimestamp();
                }
            }

            var now = _router.Model;
            _cache.PurgeWhere(id => now.HoldsOtherThan(before, id.Bucket, id.Key));
        }
        catch (OperationCanceledException)
        {
            // The proxy stops: its listener has already waited for requests in flight.
            return;
        }
        finally
        {
            await backend.DisposeAsync();
        }

        LogClosed(backend.Name);
    }

    private static Dictionary<string, string?> Flatten(IConfiguration configuration)
        => configuration.AsEnumerable().Where(pair => pair.Value is not null).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.OrdinalIgnoreCase);

    [LoggerMessage(4401, LogLevel.Information, "Configuration reloaded; in use now: {Keys}")]
    private partial void LogApplied(string keys);

    [LoggerMessage(4402, LogLevel.Warning, "Configuration reloaded, but these keys take effect only after a restart: {Keys}")]
    private partial void LogNeedsRestart(string keys);

    [LoggerMessage(4403, LogLevel.Error, "The edited configuration is refused as a whole and the old one stays in use: {Mistakes}")]
    private partial void LogRefused(string mistakes);

    [LoggerMessage(4404, LogLevel.Information, "Configuration read again: nothing in it has changed")]
    private partial void LogUnchanged();

    [LoggerMessage(4407, LogLevel.Warning, "Configuration file {File} is gone or cannot be read: what was read of it last stays in use, and a restart would fail. Put it back; it is looked for every second")]
    private partial void LogGone(string file);

    [LoggerMessage(4405, LogLevel.Information, "Backend {Backend} gets no new requests; it is closed when those in flight are answered")]
    private partial void LogDraining(string backend);

    [LoggerMessage(4406, LogLevel.Information, "Backend {Backend} is idle and closed")]
    private partial void LogClosed(string backend);
}
