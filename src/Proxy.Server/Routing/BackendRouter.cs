using Proxy.Server.Hosting;

namespace Proxy.Server.Routing;

/// <summary>Finds the backend of a bucket (and prefix): the first route that matches, otherwise the default. Immutable, thread-safe.</summary>
internal sealed class BackendRouter : IAsyncDisposable
{
    private readonly Route[] _routes;
    private readonly Backend[] _all;

    public BackendRouter(Backend defaultBackend, IReadOnlyDictionary<string, Backend> named, IEnumerable<BackendRouteOptions> routes)
    {
        Default = defaultBackend;
        _all = [defaultBackend, .. named.Values.Where(b => b != defaultBackend)];
        _routes = [.. routes.Select((route, i) => new Route(route, Find(route.Backend, i, defaultBackend, named)))];
    }

    public Backend Default { get; }

    public IReadOnlyList<Backend> All => _all;

    /// <summary>True when one backend holds everything: nothing need be looked up, merged or copied across.</summary>
    public bool IsSingle => _routes.Length == 0;

    public Backend Resolve(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
    {
        foreach (var route in _routes)
        {
            if (route.Matches(bucket, key))
            {
                return route.Backend;
            }
        }

        return Default;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var backend in _all)
        {
            await backend.DisposeAsync();
        }
    }

    private static Backend Find(string name, int index, Backend defaultBackend, IReadOnlyDictionary<string, Backend> named)
    {
        if (name.Equals("default", StringComparison.OrdinalIgnoreCase))
        {
            return defaultBackend;
        }

        return named.TryGetValue(name, out var backend)
            ? backend
            : throw new ConfigurationException($"Routes:{index}:Backend: there is no backend '{name}': name one of section Backends, 'default' or 'local'.");
    }

    private sealed class Route(BackendRouteOptions options, Backend backend)
    {
        private readonly string _bucket = options.Bucket.TrimEnd('*');
        private readonly bool _isPattern = options.Bucket.EndsWith('*');
        private readonly string _prefix = options.Prefix;

        public Backend Backend { get; } = backend;

        public bool Matches(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key) =>
            (_isPattern ? bucket.StartsWith(_bucket, StringComparison.Ordinal) : bucket.SequenceEqual(_bucket)) && key.StartsWith(_prefix, StringComparison.Ordinal);
    }
}
