using System.Diagnostics;

namespace Proxy.Backends.Remote;

/// <summary>Spans of requests to a backend, from their start to the response's head. Costs one look at a field while nobody listens.</summary>
public static class BackendTrace
{
    /// <summary>What a tracer subscribes to.</summary>
    public const string SourceName = "S3TierProxy.Backend";

    private static readonly ActivitySource Source = new(SourceName);

    /// <returns>Null while nobody listens.</returns>
    internal static Activity? Start(string operation, HttpRequestMessage request)
    {
        if (!Source.HasListeners() || Source.StartActivity("backend " + operation, ActivityKind.Client) is not { } span)
        {
            return null;
        }

        span.SetTag("http.request.method", request.Method.Method);
        span.SetTag("server.address", request.RequestUri?.Host);
        span.SetTag("server.port", request.RequestUri?.Port);
        span.SetTag("url.path", request.RequestUri?.AbsolutePath);

        // Not among the signed headers, so it may be said anew: a backend that traces too becomes part of the same trace.
        request.Headers.Remove("traceparent");
        request.Headers.TryAddWithoutValidation("traceparent", span.Id);
        return span;
    }
}
