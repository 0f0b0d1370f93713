using Prometheus;

namespace Proxy.Server.Telemetry;

/// <summary>Says which requests took long, at most one a second; the counter has them all. Thread-safe.</summary>
internal sealed partial class SlowRequests(TimeSpan threshold, CollectorRegistry registry, TimeProvider time, ILogger<SlowRequests> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Counter.Child _count = Metrics.WithCustomRegistry(registry)
        .CreateCounter("s3_proxy_slow_requests_total", "Requests slower than Telemetry:SlowRequest.", RequestMetrics.Plain()).WithLabels();

    private long _lastSaid = long.MinValue;
    private long _unsaid;

    public void Look(in RequestRecord request)
    {
        if (request.Duration >= threshold)
        {
            Say(request);
        }
    }

    private void Say(in RequestRecord request)
    {
        _count.Inc();
        var now = time.GetTimestamp();
        var last = Interlocked.Read(ref _lastSaid);
        if ((last != long.MinValue && time.GetElapsedTime(last, now) < Pause) || Interlocked.CompareExchange(ref _lastSaid, now, last) != last)
        {
            Interlocked.Increment(ref _unsaid);
            return;
        }

        LogSlow(
            request.Operation.ToString(), request.Resource, request.Duration.TotalMilliseconds, request.Status,
            request.Outcome is { } outcome ? XCache.Of(outcome) : "none", request.Backend.TotalMilliseconds, request.BytesSent + request.BytesReceived, request.RequestId, Interlocked.Exchange(ref _unsaid, 0));
    }

    [LoggerMessage(4502, LogLevel.Warning, "Slow: {Operation} {Resource} took {ElapsedMs:0.0} ms (status {Status}, X-Cache {XCache}, backend {BackendMs:0.0} ms, {Bytes} bytes, request {RequestId}); {Unsaid} other slow requests since the last such line")]
    private partial void LogSlow(string operation, string resource, double elapsedMs, int status, string xCache, double backendMs, long bytes, string requestId, long unsaid);
}
