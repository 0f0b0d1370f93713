using Proxy.Backends.Local;
using Proxy.Backends.Remote;
using Proxy.S3.Objects;

namespace Proxy.Server.Routing;

/// <summary>Where a request's objects really live: the embedded store, called directly, or a remote one, forwarded to.</summary>
internal abstract class Backend : IAsyncDisposable
{
    public abstract string Name { get; }

    /// <summary>What the cache fills from. Object ids are the clients' own.</summary>
    public abstract IObjectSource Source { get; }

    /// <summary>One line for the start-up summary.</summary>
    public abstract string Description { get; }

    public abstract ValueTask DisposeAsync();
}

internal sealed class LocalBackend(LocalObjectStore store, string directory) : Backend
{
    public const string WellKnownName = "local";

    public override string Name => WellKnownName;

    public LocalObjectStore Store { get; } = store;

    public override IObjectSource Source => Store;

    public override string Description => $"local store in {directory}";

    public override ValueTask DisposeAsync() => Store.DisposeAsync();
}

internal sealed class RemoteS3Backend(RemoteBackend remote) : Backend
{
    public override string Name => Remote.Name;

    public RemoteBackend Remote { get; } = remote;

    public override IObjectSource Source => Remote.Source;

    public override string Description => $"{string.Join(", ", Remote.Options.Endpoints)}  (region {Remote.Options.Region})";

    public override ValueTask DisposeAsync() => Remote.DisposeAsync();
}
