using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.S3.Requests;
using Proxy.Server.Forwarding;

namespace Proxy.FunctionalTests.Forwarding;

/// <summary>A server that does nothing but forward: the forwarder under test, without the rest of the proxy.</summary>
internal sealed class ForwardingHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ForwardingHost(WebApplication app, RemoteBackend backend)
    {
        _app = app;
        Backend = backend;
    }

    public RemoteBackend Backend { get; }

    public ConcurrentQueue<ForwardOutcome> Outcomes { get; } = new();

    /// <summary>What the response hook saw.</summary>
    public ConcurrentQueue<(int Status, bool Succeeded, string? ErrorCode)> Seen { get; } = new();

    /// <summary>Changes the forward before it is made.</summary>
    public Func<HttpContext, ForwardRequest, ForwardRequest> Shape { get; set; } = static (_, request) => request;

    public HttpClient Client { get; } = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
        ResponseHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
    });

    public static async Task<ForwardingHost> StartAsync(string backendUrl, Func<RemoteOptions, RemoteOptions>? configure = null, TimeProvider? time = null)
    {
        var options = new RemoteOptions { Endpoints = [backendUrl], AccessKey = "backend-key", SecretKey = "backend-secret", Region = "eu-test-1" };
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddHttpForwarder().AddSingleton<BackendForwarder>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.AddServerHeader = false;
            kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.UTF8;
            kestrel.Limits.MaxRequestBodySize = null;
        });
        var host = new ForwardingHost(builder.Build(), new RemoteBackend("test", configure?.Invoke(options) ?? options, time ?? TimeProvider.System, NullLoggerFactory.Instance));
        host._app.Run(host.ServeAsync);
        await host._app.StartAsync();
        return host;
    }

    /// <summary>A request whose target reaches the wire as it is written here.</summary>
    public HttpRequestMessage Request(HttpMethod method, string rawTarget, HttpContent? content = null)
        => new(method, new Uri(_app.Urls.First() + rawTarget, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true })) { Content = content };

    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string rawTarget, HttpContent? content = null) => Client.SendAsync(Request(method, rawTarget, content));

    /// <summary>How the one forward ended. A client that is broken off knows so before the forwarder has said it.</summary>
    public async Task<ForwardOutcome> OutcomeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (Outcomes.IsEmpty)
        {
            await Task.Delay(10, patience.Token);
        }

        return Outcomes.Single();
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
        await Backend.DisposeAsync();
    }

    private async Task ServeAsync(HttpContext context)
    {
        var target = S3Target.Parse(context.Features.Get<IHttpRequestFeature>()!.RawTarget, context.Request.Host.Value, Addressing.PathStyle);
        var hasBody = context.Features.Get<IHttpRequestBodyDetectionFeature>()!.CanHaveBody;
        var request = Shape(context, ForwardRequest.To(target, "Forwarded") with
        {
            Body = hasBody ? context.Request.Body : null,
            BodyLength = context.Request.ContentLength,
            OnResponse = (response, _) =>
            {
                Seen.Enqueue((response.StatusCode, response.Succeeded, response.ErrorCode));
                return ValueTask.CompletedTask;
            },
        });
        var forwarder = context.RequestServices.GetRequiredService<BackendForwarder>();
        var outcome = await forwarder.ForwardAsync(context, Backend, request, context.RequestAborted);
        Outcomes.Enqueue(outcome);
        if (outcome.Error is { } error)
        {
            context.Response.StatusCode = error.Code.Status;
            foreach (var (name, value) in error.Headers)
            {
                context.Response.Headers[name] = value;
            }

            await context.Response.WriteAsync($"<Error><Code>{error.Code.Name}</Code></Error>");
        }
    }
}
