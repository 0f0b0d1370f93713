using System.Diagnostics;

namespace Proxy.Cache.Fills;

/// <summary>Spans of fills, under the request that started them although they outlive it. Costs one look at a field while nobody listens.</summary>
internal static class FillTrace
{
    private static readonly ActivitySource Source = new(ObjectCache.TraceSourceName);

    /// <summary>The span of the request on this thread: a fill's own execution context is empty.</summary>
    public static ActivityContext Parent() => Source.HasListeners() ? Activity.Current?.Context ?? default : default;

    public static Activity? Start(Fill fill, ActivityContext parent)
    {
        if (!Source.HasListeners() || Source.StartActivity("fill", ActivityKind.Internal, parent) is not { } span)
        {
            return null;
        }

        span.SetTag("s3.bucket", fill.Entry.Bucket);
        span.SetTag("s3.key", fill.Entry.Key);
        span.SetTag("fill.offset", fill.Units[0].Start);
        span.SetTag("fill.bytes", fill.Bytes);
        return span;
    }

    public static void End(Activity? span, Fill fill, FillEnd end, Exception? error)
    {
        if (span is null)
        {
            return;
        }

        span.SetTag("fill.received", fill.Received - fill.Units[0].Start);
        span.SetTag("fill.end", end.ToString());
        if (error is not null)
        {
            span.SetStatus(ActivityStatusCode.Error, error.Message);
        }
    }
}
