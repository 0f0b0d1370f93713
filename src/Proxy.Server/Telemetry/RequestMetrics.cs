using System.Diagnostics;
using Prometheus;
using Proxy.Cache;
using Proxy.S3.Requests;

namespace Proxy.Server.Telemetry;

/// <summary>Instruments of the S3 front. Children are looked up once, so that counting a request allocates nothing. Thread-safe.</summary>
internal sealed class RequestMetrics
{
    private static readonly S3Operation[] Operations = Enum.GetValues<S3Operation>();
    private static readonly CacheOutcome[] Outcomes = Enum.GetValues<CacheOutcome>();

    private readonly Counter.Child[,] _requests;
    private readonly Histogram.Child[] _durations;
    private readonly Counter.Child[] _reads;
    private readonly Counter.Child _received;
    private readonly Counter.Child _sent;
    private readonly Counter _authFailures;
    private readonly Counter _errors;
    private readonly Gauge _inFlight;

    public RequestMetrics(CollectorRegistry registry)
    {
        var metrics = Metrics.WithCustomRegistry(registry);
        var requests = metrics.CreateCounter("s3_proxy_requests_total", "S3 requests by operation and class of status.", "operation", "status");
        var durations = metrics.CreateHistogram(
            "s3_proxy_request_duration_seconds", "Time from the request's head to the answer's last byte.",
            new HistogramConfiguration { LabelNames = ["operation"], Buckets = Histogram.ExponentialBuckets(0.00005, 2.5, 16) });
        var reads = metrics.CreateCounter("s3_proxy_object_reads_total", "GET and HEAD of objects by how they were answered; the same decision as the X-Cache header.", "cache");
        _requests = new Counter.Child[Operations.Length, 6];
        _durations = new Histogram.Child[Operations.Length];
        for (var i = 0; i < Operations.Length; i++)
        {
            _durations[i] = durations.WithLabels(SnakeCase(Operations[i].ToString()));
            for (var status = 1; status < 6; status++)
            {
                _requests[i, status] = requests.WithLabels(SnakeCase(Operations[i].ToString()), $"{status}xx");
            }
        }

        _reads = [.. Outcomes.Select(outcome => reads.WithLabels(SnakeCase(outcome.ToString())))];
        _received = metrics.CreateCounter("s3_proxy_received_bytes_total", "Decoded bytes of uploads.").WithLabels();
        _sent = metrics.CreateCounter("s3_proxy_sent_bytes_total", "Bytes of object bodies sent to clients.").WithLabels();
        _authFailures = metrics.CreateCounter("s3_proxy_auth_failures_total", "Requests refused before anything was looked up.", "code");
        _errors = metrics.CreateCounter("s3_proxy_errors_total", "Error answers by S3 error code.", "code");
        _inFlight = metrics.CreateGauge("s3_proxy_requests_in_flight", "S3 requests being answered.");
    }

    public void Started() => _inFlight.Inc();

    public void Finished(S3Operation operation, int status, long startedTimestamp)
    {
        _inFlight.Dec();
        _requests[(int)operation, Math.Clamp(status / 100, 1, 5)].Inc();
        _durations[(int)operation].Observe(Stopwatch.GetElapsedTime(startedTimestamp).TotalSeconds);
    }

    public void ObjectRead(CacheOutcome outcome) => _reads[(int)outcome].Inc();

    public void Received(long bytes) => _received.Inc(bytes);

    public void Sent(long bytes) => _sent.Inc(bytes);

    public void AuthFailed(string code) => _authFailures.WithLabels(code).Inc();

    public void Error(string code) => _errors.WithLabels(code).Inc();

    /// <summary><c>HitMemory</c> → <c>hit_memory</c>.</summary>
    internal static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => char.IsUpper(c) && i > 0 ? $"_{char.ToLowerInvariant(c)}" : char.ToLowerInvariant(c).ToString()));
}
