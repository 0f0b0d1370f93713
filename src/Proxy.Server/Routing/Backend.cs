using Proxy.Backends.Local;
using Proxy.Backends.Remote;
using Proxy.S3.Objects;

namespace Proxy.Server.Routing;

/// <summary>Where a request's objects really live: the embedded store, called directly, or a remote one, forwarded to.</summary>
/// <remarks>
/// What a route resolves to: the backend itself, or a view of it under which one bucket has another name. Views share everything else; the
/// router owns and disposes the backends, never the views. Immutable.
/// </remarks>
internal abstract class Backend : IAsyncDisposable
{
    public abstract string Name { get; }

    /// <summary>What the cache fills from. Object ids are the clients' own.</summary>
    public abstract IObjectSource Source { get; }

    /// <summary>One line for the start-up summary.</summary>
    public abstract string Description { get; }

    /// <summary>The store's own name for a client's bucket.</summary>
    public abstract string Physical(string bucket);

    /// <summary>Whether both are views of one store, which can then copy by itself.</summary>
    public abstract bool IsSameStore(Backend other);

    /// <summary>A view whose bucket is called <paramref name="backendBucket"/> in the store, whatever the client calls it.</summary>
    public abstract Backend Renamed(string backendBucket);

    /// <summary>Buckets as the store itself names them.</summary>
    public abstract ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation);

    public abstract ValueTask DisposeAsync();
}

internal sealed class LocalBackend : Backend
{
    public const string WellKnownName = "local";

    private readonly LocalObjectStore _store;
    private readonly string _directory;
    private readonly string? _bucket;

    public LocalBackend(LocalObjectStore store, string directory)
        : this(store, directory, null)
    {
    }

    private LocalBackend(LocalObjectStore store, string directory, string? bucket)
    {
        (_store, _directory, _bucket) = (store, directory, bucket);
        Store = bucket is null ? store : new RenamedStore(store, bucket);
    }

    public override string Name => WellKnownName;

    /// <summary>Takes the client's bucket names.</summary>
    public IObjectStore Store { get; }

    public LocalCounters Counters => _store.Counters;

    public override IObjectSource Source => Store;

    public override string Description => $"local store in {_directory}";

    /// <summary>The store under its own names: for copies between two views.</summary>
    public IObjectStore Unrenamed => _store;

    public override string Physical(string bucket) => _bucket ?? bucket;

    public override bool IsSameStore(Backend other) => other is LocalBackend local && local._store == _store;

    public override Backend Renamed(string backendBucket) => new LocalBackend(_store, _directory, backendBucket);

    public override ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation) => _store.ListBucketsAsync(cancellation);

    public override ValueTask DisposeAsync() => _store.DisposeAsync();
}

internal sealed class RemoteS3Backend : Backend
{
    private readonly string? _bucket;

    public RemoteS3Backend(RemoteBackend remote)
        : this(remote, null)
    {
    }

    private RemoteS3Backend(RemoteBackend remote, string? bucket)
    {
        (Remote, _bucket) = (remote, bucket);
        Source = bucket is null ? remote.Source : new RenamedSource(remote.Source, bucket);
    }

    public override string Name => Remote.Name;

    public RemoteBackend Remote { get; }

    public override IObjectSource Source { get; }

    public override string Description => $"{string.Join(", ", Remote.Options.Endpoints)}  (region {Remote.Options.Region})";

    /// <summary>What the route calls the bucket; <see cref="RemoteOptions.BucketMap"/> is applied on top by whoever sends.</summary>
    public string RouteBucket(string bucket) => _bucket ?? bucket;

    public override string Physical(string bucket) => Remote.MapBucket(RouteBucket(bucket));

    public override bool IsSameStore(Backend other) => other is RemoteS3Backend remote && remote.Remote == Remote;

    public override Backend Renamed(string backendBucket) => new RemoteS3Backend(Remote, backendBucket);

    public override ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation) => Remote.ListBucketsAsync(cancellation);

    public override ValueTask DisposeAsync() => Remote.DisposeAsync();
}
