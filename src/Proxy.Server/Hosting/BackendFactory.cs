using System.Security.Cryptography;
using Proxy.Backends.Local;
using Proxy.Backends.Remote;
using Proxy.Server.Routing;

namespace Proxy.Server.Hosting;

/// <summary>Opens the backends a configuration names, and keeps those that a later one leaves as they are.</summary>
/// <remarks>Used by the start and by <see cref="ConfigurationReload"/>, one call at a time.</remarks>
internal sealed class BackendFactory(TimeProvider time, ILoggerFactory loggers)
{
    private const string DefaultName = "default";

    private Dictionary<string, Opened> _remotes = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Of every name there ever was: metrics that counted it go on when it comes back.</summary>
    private readonly Dictionary<string, BackendCounters> _counters = new(StringComparer.OrdinalIgnoreCase);
    private LocalBackend? _local;

    /// <returns>The model; its backends belong to whoever holds it.</returns>
    /// <exception cref="ConfigurationException">A backend cannot be made, or a route is wrong: nothing was changed, and what had been opened is closed again.</exception>
    public RoutingModel Build(ProxyOptions options, IConfiguration configuration)
    {
        var remotes = new Dictionary<string, Opened>(StringComparer.OrdinalIgnoreCase);
        var local = _local;
        try
        {
            foreach (var (name, remote) in options.Backends)
            {
                if (name.Equals(DefaultName, StringComparison.OrdinalIgnoreCase) || name.Equals(LocalBackend.WellKnownName, StringComparison.OrdinalIgnoreCase))
                {
                    throw new ConfigurationException($"Backends:{name}: this name is taken: 'default' is section Backend, 'local' the embedded store.");
                }

                remotes[name] = Open(name, remote, configuration.GetSection($"Backends:{name}"));
            }

            RefusePricesOfNobody(options);
            var isLocalDefault = options.Backend.Endpoints.Count == 0;
            if (!isLocalDefault)
            {
                remotes[DefaultName] = Open(DefaultName, options.Backend, configuration.GetSection("Backend"));
            }

            if (local is null && (isLocalDefault || options.Routes.Any(r => r.Backend.Equals(LocalBackend.WellKnownName, StringComparison.OrdinalIgnoreCase))))
            {
                local = new LocalBackend(LocalObjectStore.Open(options.Local, time, loggers), options.Local.Directory);
            }

            var named = remotes.Where(remote => remote.Key != DefaultName).ToDictionary(remote => remote.Key, remote => (Backend)remote.Value.Backend, StringComparer.OrdinalIgnoreCase);
            if (local is not null)
            {
                // Once open it stays: it may be writing what it was given.
                named[LocalBackend.WellKnownName] = local;
            }

            var model = new RoutingModel(isLocalDefault ? local! : remotes[DefaultName].Backend, named, options.Routes);
            (_remotes, _local) = (remotes, local);
            return model;
        }
        catch
        {
            foreach (var opened in remotes.Values.Where(opened => !_remotes.ContainsValue(opened)))
            {
                opened.Backend.Remote.Dispose();
            }

            if (local != _local)
            {
                local?.DisposeAsync().AsTask().GetAwaiter().GetResult();
            }

            throw;
        }
    }

    /// <summary>A name that is misspelled would be billed by the common prices, and nobody would notice.</summary>
    private static void RefusePricesOfNobody(ProxyOptions options)
    {
        if (options.Telemetry.BackendPrices.Keys.FirstOrDefault(name => !name.Equals(DefaultName, StringComparison.OrdinalIgnoreCase) && !options.Backends.ContainsKey(name)) is { } nobody)
        {
            throw new ConfigurationException($"Telemetry:BackendPrices:{nobody}: there is no backend '{nobody}': name one of section Backends, or 'default'.");
        }
    }

    private Opened Open(string name, RemoteOptions options, IConfigurationSection section)
    {
        var written = string.Join('\n', section.AsEnumerable(makePathsRelative: true).Where(pair => pair.Value is not null).Select(pair => $"{pair.Key}={pair.Value}").Order(StringComparer.OrdinalIgnoreCase));
        var before = _remotes.GetValueOrDefault(name);
        if (before is not null && before.Written == written)
        {
            return before;
        }

        try
        {
            var remote = new RemoteBackend(name, options, time, loggers, _counters.GetValueOrDefault(name));
            _counters[name] = remote.Counters;
            return new Opened(new RemoteS3Backend(remote), written);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or InvalidOperationException or ArgumentException)
        {
            throw new ConfigurationException($"Backend {name} cannot be used: {e.Message}");
        }
    }

    /// <param name="Written">The section as it was written: the same text is the same backend.</param>
    private sealed record Opened(RemoteS3Backend Backend, string Written);
}
