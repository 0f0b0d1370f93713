using Proxy.Server.Hosting;

namespace Proxy.Server.Routing;

/// <summary>Finds the backend of a bucket (and prefix) in the model that holds now. Thread-safe; owns the backends.</summary>
/// <remarks>A request resolves once and keeps what it got: after <see cref="Replace"/> it ends on the backend it began with.</remarks>
internal sealed class BackendRouter : IAsyncDisposable
{
    private volatile RoutingModel _model;

    public BackendRouter(RoutingModel model) => _model = model;

    public BackendRouter(Backend defaultBackend, IReadOnlyDictionary<string, Backend> named, IReadOnlyList<BackendRouteOptions> routes)
        : this(new RoutingModel(defaultBackend, named, routes))
    {
    }

    /// <summary>The model of this moment, for questions that belong together.</summary>
    public RoutingModel Model => _model;

    public Backend Default => _model.Default;

    public IReadOnlyList<Backend> All => _model.All;

    /// <inheritdoc cref="RoutingModel.IsSingle"/>
    public bool IsSingle => _model.IsSingle;

    public Backend Resolve(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key) => _model.Resolve(bucket, key);

    /// <summary>From now on requests are routed by <paramref name="next"/>.</summary>
    /// <returns>Backends that are in use no more: the caller disposes them when they are idle.</returns>
    public IReadOnlyList<Backend> Replace(RoutingModel next)
    {
        var before = _model;
        _model = next;
        return [.. before.All.Except(next.All)];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var backend in _model.All)
        {
            await backend.DisposeAsync();
        }
    }
}
