using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http.Features;
using Proxy.Server.Transport;

namespace Proxy.Server.Requests;

/// <summary>What Kestrel hands its requests to: one reused <see cref="HttpContext"/> and <see cref="S3Request"/> a connection, then <see cref="S3Endpoint"/>.</summary>
internal sealed class S3Application(S3Endpoint endpoint, IServiceProvider services) : IHttpApplication<S3Application.Context>
{
    public Context CreateContext(IFeatureCollection contextFeatures)
    {
        // Kestrel keeps its feature collection for the life of a connection and gives a place to keep our context beside it.
        if (contextFeatures is IHostContextContainer<Context> container)
        {
            if (container.HostContext is { } reused)
            {
                reused.Http.Initialize(contextFeatures);
                return reused;
            }

            return container.HostContext = NewContext(contextFeatures);
        }

        return NewContext(contextFeatures);
    }

    public Task ProcessRequestAsync(Context context)
    {
        context.Idle?.RequestBegins();
        context.Request.Begin(context.Http, RequestId.Next());
        return endpoint.HandleAsync(context.Request);
    }

    public void DisposeContext(Context context, Exception? exception)
    {
        context.Idle?.RequestEnds();
        context.Http.Uninitialize();
    }

    private Context NewContext(IFeatureCollection features)
    {
        var http = new DefaultHttpContext { ServiceScopeFactory = null!, RequestServices = services };
        http.Initialize(features);
        http.RequestServices = services;
        return new Context(http, features.Get<IIdleWatch>());
    }

    /// <param name="idle">The connection's; looked for once, since the context is as old as the connection.</param>
    internal sealed class Context(DefaultHttpContext http, IIdleWatch? idle)
    {
        public DefaultHttpContext Http { get; } = http;

        public IIdleWatch? Idle { get; } = idle;

        public S3Request Request { get; } = new();
    }
}
