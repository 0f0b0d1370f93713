using System.Diagnostics;
using Proxy.S3.Requests;

namespace Proxy.Server.Telemetry;

/// <summary>What is said of a request when it is over: counters, access line, slow line and span, all from one <see cref="RequestRecord"/>.</summary>
/// <remarks>Between the S3 front and the instruments. With log and traces off a request allocates nothing here. Thread-safe.</remarks>
internal sealed class RequestTelemetry(RequestMetrics metrics, SlowRequests slow, AccessLog? accessLog)
{
    /// <returns>The request's span; null while nobody traces.</returns>
    public Activity? Begin<THeaders>(in THeaders headers)
        where THeaders : IRequestHeaders
    {
        metrics.Started();
        return RequestTrace.Begin(headers);
    }

    /// <summary>The signature was refused.</summary>
    public void AuthFailed(string code) => metrics.AuthFailed(code);

    /// <summary>The proxy itself answers an error.</summary>
    public void Failed(string code) => metrics.Error(code);

    /// <summary>A read was answered before Kestrel saw it; <see cref="Finish"/> says the rest.</summary>
    public void HotRead() => metrics.HotRead();

    public void Finish(in RequestRecord request, Activity? span)
    {
        metrics.Finished(request);
        slow.Look(request);
        accessLog?.Append(request);
        RequestTrace.End(span, request);
    }
}
