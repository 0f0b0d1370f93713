using System.Diagnostics.CodeAnalysis;
using Proxy.Server.Hosting;

namespace Proxy.Server.Routing;

/// <summary>One reading of the configuration: every backend, and which bucket and prefix lives where. Immutable; replaced as a whole.</summary>
internal sealed class RoutingModel
{
    private readonly Route[] _routes;
    private readonly HashSet<(string Backend, string Bucket)> _renamedTo = [];

    /// <exception cref="ConfigurationException">A route names no backend, or two names would mean one bucket.</exception>
    public RoutingModel(Backend defaultBackend, IReadOnlyDictionary<string, Backend> named, IReadOnlyList<BackendRouteOptions> routes)
    {
        Default = defaultBackend;
        All = [defaultBackend, .. named.Values.Where(b => b != defaultBackend)];
        _routes = [.. routes.Select((route, i) => new Route(route, View(route, i, defaultBackend, named)))];
        HasPrefixRoutes = Array.Exists(_routes, route => route.HasPrefix);
        OfBuckets = [.. All.Where(LeadsToBuckets)];
        NoteRenamings(routes);
    }

    public Backend Default { get; }

    /// <summary>Every backend once, no views.</summary>
    public IReadOnlyList<Backend> All { get; }

    /// <summary>The backends that some bucket's name leads to: the others cannot add to a list of buckets, whatever they hold.</summary>
    public IReadOnlyList<Backend> OfBuckets { get; }

    /// <summary>True when one backend holds everything under its own names: nothing need be looked up, merged or copied across.</summary>
    public bool IsSingle => _routes.Length == 0 && _renamedTo.Count == 0;

    /// <summary>Whether keys of one bucket may live in different backends.</summary>
    public bool HasPrefixRoutes { get; }

    /// <summary>What lives in remote backends: routes as they are written, and <c>*</c> for all that none of them names.</summary>
    public IEnumerable<(string Pattern, string Prefix, Backend Backend)> RemotePlaces => _routes.Select(route => (route.Pattern, route.Prefix, route.Backend))
        .Append((Pattern: "*", Prefix: "", Backend: Resolve("", ""))).Where(place => place.Backend is RemoteS3Backend).DistinctBy(place => (place.Pattern, place.Prefix));

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

    /// <summary>The views in which keys of this prefix may live: one where no route divides it.</summary>
    public IReadOnlyList<Backend> Under(string bucket, string prefix)
    {
        var views = new List<Backend>();
        foreach (var route in _routes)
        {
            if (route.Matches(bucket, prefix))
            {
                Add(route.Backend);
                return views; // what is left of the prefix
            }

            if (route.IsInside(bucket, prefix))
            {
                Add(route.Backend);
            }
        }

        Add(Default);
        return views;

        void Add(Backend view)
        {
            if (!views.Contains(view))
            {
                views.Add(view);
            }
        }
    }

    /// <summary>Prefixes of routes that begin inside this prefix.</summary>
    public IEnumerable<string> Divisions(string bucket, string prefix) => _routes.Where(route => route.IsInside(bucket, prefix)).Select(route => route.Prefix);

    /// <summary>The prefix of the route that has this key, when no other route begins inside it; null when the key is the rest's, or its route is divided.</summary>
    public string? WholePrefix(string bucket, string key)
        => Array.Find(_routes, route => route.Matches(bucket, key)) is { HasPrefix: true } route && !Divisions(bucket, route.Prefix).Any() ? route.Prefix : null;

    /// <summary>
    /// A bucket that clients know under another name is not there under its own: the cache keeps objects by the client's name, and a write
    /// through one name would leave old bytes under the other.
    /// </summary>
    public bool IsHidden(Backend backend, string bucket)
        => _renamedTo.Count > 0 && backend.Physical(bucket) == bucket && _renamedTo.Contains((backend.Name, bucket));

    /// <summary>Every name under which clients reach a bucket that <paramref name="backend"/> itself calls <paramref name="physical"/>.</summary>
    public IEnumerable<string> ClientNames(Backend backend, string physical)
    {
        var candidates = new List<string> { physical };
        candidates.AddRange(_routes.Where(route => route.IsRenaming).Select(route => route.Bucket));
        if (backend is RemoteS3Backend remote)
        {
            candidates.AddRange(remote.Remote.Options.BucketMap.Keys);
        }

        return candidates.Distinct(StringComparer.Ordinal).Where(name =>
            Resolve(name, "") is var view && view.IsSameStore(backend) && view.Physical(name) == physical && !IsHidden(view, name));
    }

    /// <summary>Whether this bucket and key names another object here than in <paramref name="before"/>: in another store, or under another name.</summary>
    /// <remarks>Two remote backends that have an address in common are one store, whatever else was changed about it.</remarks>
    public bool HoldsOtherThan(RoutingModel before, string bucket, string key)
    {
        var (here, there) = (Resolve(bucket, key), before.Resolve(bucket, key));
        return here.Physical(bucket) != there.Physical(bucket) || !(here.IsSameStore(there) || HaveAddressInCommon(here, there));
    }

    /// <summary>By the default, or by a route of whole buckets; unless an earlier one takes all of its names.</summary>
    private bool LeadsToBuckets(Backend backend)
    {
        var wholes = Array.FindAll(_routes, route => !route.HasPrefix);
        return wholes.Where((route, i) => route.Backend.IsSameStore(backend) && !wholes.Take(i).Any(earlier => earlier.Covers(route))).Any()
            || (backend.IsSameStore(Default) && !Array.Exists(wholes, route => route.Pattern == "*"));
    }

    private static bool HaveAddressInCommon(Backend one, Backend other)
        => one is RemoteS3Backend a && other is RemoteS3Backend b && a.Remote.Options.Endpoints.Intersect(b.Remote.Options.Endpoints, StringComparer.OrdinalIgnoreCase).Any();

    private static Backend View(BackendRouteOptions route, int index, Backend defaultBackend, IReadOnlyDictionary<string, Backend> named)
    {
        if (!TryFind(route.Backend, defaultBackend, named, out var backend))
        {
            throw new ConfigurationException($"Routes:{index}:Backend: there is no backend '{route.Backend}': name one of section Backends, 'default' or 'local'.");
        }

        if (string.IsNullOrEmpty(route.BackendBucket))
        {
            return backend;
        }

        return route.Bucket.EndsWith('*')
            ? throw new ConfigurationException($"Routes:{index}:BackendBucket: '{route.Bucket}' is many buckets and cannot be renamed to one: write a route for each.")
            : backend.Renamed(route.BackendBucket);
    }

    private static bool TryFind(string name, Backend defaultBackend, IReadOnlyDictionary<string, Backend> named, [NotNullWhen(true)] out Backend? backend)
    {
        backend = defaultBackend;
        return name.Equals("default", StringComparison.OrdinalIgnoreCase) || named.TryGetValue(name, out backend);
    }

    private void NoteRenamings(IReadOnlyList<BackendRouteOptions> routes)
    {
        var clients = new Dictionary<(string Backend, string Bucket), string>();
        for (var i = 0; i < _routes.Length; i++)
        {
            if (_routes[i].IsRenaming)
            {
                Note(_routes[i].Backend, routes[i].Bucket, $"Routes:{i}:BackendBucket");
            }
        }

        foreach (var remote in All.OfType<RemoteS3Backend>())
        {
            foreach (var client in remote.Remote.Options.BucketMap.Keys.Where(name => Resolve(name, "").IsSameStore(remote)))
            {
                Note(Resolve(client, ""), client, $"BucketMap of backend {remote.Name}");
            }
        }

        void Note(Backend view, string client, string where)
        {
            var there = (view.Name, view.Physical(client));
            if (clients.TryGetValue(there, out var other) && other != client)
            {
                throw new ConfigurationException($"{where}: '{client}' and '{other}' would both be bucket '{there.Item2}' of backend {view.Name}: give it one name.");
            }

            clients[there] = client;
            if (there.Item2 != client)
            {
                _renamedTo.Add(there);
            }
        }
    }

    private sealed class Route(BackendRouteOptions options, Backend backend)
    {
        private readonly string _bucket = options.Bucket.TrimEnd('*');
        private readonly bool _isPattern = options.Bucket.EndsWith('*');
        private readonly string _prefix = options.Prefix;

        public Backend Backend { get; } = backend;

        public string Bucket => _bucket;

        /// <summary>With its <c>*</c>.</summary>
        public string Pattern => options.Bucket;

        public bool IsRenaming => !string.IsNullOrEmpty(options.BackendBucket);

        public string Prefix => _prefix;

        public bool HasPrefix => _prefix.Length > 0;

        public bool Matches(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key) => HasBucket(bucket) && key.StartsWith(_prefix, StringComparison.Ordinal);

        /// <summary>Whether every bucket of the other one's is its own.</summary>
        public bool Covers(Route other) => HasBucket(other._bucket) && (_isPattern || !other._isPattern);

        /// <summary>Whether it has only a part of what begins with <paramref name="prefix"/>.</summary>
        public bool IsInside(string bucket, string prefix) => HasBucket(bucket) && _prefix.Length > prefix.Length && _prefix.StartsWith(prefix, StringComparison.Ordinal);

        private bool HasBucket(ReadOnlySpan<char> bucket) => _isPattern ? bucket.StartsWith(_bucket, StringComparison.Ordinal) : bucket.SequenceEqual(_bucket);
    }
}
