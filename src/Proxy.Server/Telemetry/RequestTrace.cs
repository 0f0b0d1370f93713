using System.Diagnostics;
using Proxy.S3.Requests;

namespace Proxy.Server.Telemetry;

/// <summary>Spans of clients' requests. Costs one look at a field while nobody listens.</summary>
internal static class RequestTrace
{
    /// <summary>What a tracer subscribes to.</summary>
    public const string SourceName = "S3TierProxy.Server";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins the span of a request, under the client's own when its traceparent header names one.</summary>
    /// <returns>Null while nobody listens, or when it is not sampled.</returns>
    public static Activity? Begin<THeaders>(in THeaders headers)
        where THeaders : IRequestHeaders
    {
        if (!Source.HasListeners())
        {
            return null;
        }

        // An unreadable parent is none: the span begins a trace of its own.
        _ = ActivityContext.TryParse(headers["traceparent"], headers["tracestate"], isRemote: true, out var parent);
        return Source.StartActivity("S3 request", ActivityKind.Server, parent);
    }

    public static void End(Activity? span, in RequestRecord request)
    {
        if (span is null)
        {
            return;
        }

        span.DisplayName = request.Operation.ToString();
        span.SetTag("http.request.method", request.Method);
        span.SetTag("http.response.status_code", request.Status);
        span.SetTag("s3.request_id", request.RequestId);
        if (request.Target.RawTarget is not null && request.Target.HasBucket)
        {
            span.SetTag("s3.bucket", request.Target.Bucket);
            if (request.Target.HasKey)
            {
                span.SetTag("s3.key", request.Target.Key);
            }
        }

        if (request.Outcome is { } outcome)
        {
            span.SetTag("s3.x_cache", XCache.Of(outcome));
        }

        span.SetTag("http.response.body.size", request.BytesSent);
        if (request.Operation is S3Operation.PutObject or S3Operation.UploadPart)
        {
            span.SetTag("http.request.body.size", request.BytesReceived);
        }

        if (request.Status >= 500)
        {
            span.SetStatus(ActivityStatusCode.Error, request.ErrorCode);
        }

        span.Dispose();
    }
}
