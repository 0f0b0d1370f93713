using Prometheus;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Requests;

namespace Proxy.Server.Telemetry;

/// <summary>Instruments of the S3 front. Children are looked up once, so that counting a request allocates nothing. Thread-safe.</summary>
internal sealed class RequestMetrics
{
    private static readonly S3Operation[] Operations = Enum.GetValues<S3Operation>();
    private static readonly int Outcomes = Enum.GetValues<CacheOutcome>().Length;
    private static readonly MilvusKind[] Kinds = Enum.GetValues<MilvusKind>();

    /// <summary>Round numbers a person reads off a heat map; the first is a memory hit, the last two are timeouts.</summary>
    private static readonly double[] Latencies =
        [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

    private readonly Counter.Child[,] _requests;
    private readonly Histogram.Child[,] _durations;
    private readonly Histogram.Child[] _firstBytes;
    private readonly Counter.Child _received;
    private readonly Counter.Child _sent;
    private readonly Gauge.Child _inFlight;
    private readonly Counter _authFailures;
    private readonly Counter _errors;

    // Every answered object read is one addition here; the counters by outcome, by kind and of what was saved are sums of it, so they cannot disagree.
    private readonly long[] _reads = new long[2 * Outcomes * Kinds.Length];
    private readonly long[] _bypassed = new long[Kinds.Length];
    private long _hotReads;

    private readonly SavedReads? _saved;

    /// <param name="saved">Told of every answered object read too; null where nobody asks what it spared.</param>
    public RequestMetrics(CollectorRegistry registry, SavedReads? saved = null)
    {
        _saved = saved;
        var metrics = Metrics.WithCustomRegistry(registry);
        var requests = metrics.CreateCounter("s3_proxy_requests_total", "S3 requests by operation and class of status.", Plain("operation", "status"));
        var durations = metrics.CreateHistogram(
            "s3_proxy_request_duration_seconds", "Time from a request's head to its answer's last byte, by operation and class of status.",
            Latency(suppressInitialValue: true, "operation", "status"));
        var firstBytes = metrics.CreateHistogram(
            "s3_proxy_object_read_first_byte_seconds", "Time from a request's head to its answer's head, of object reads by how they were answered.",
            Latency(suppressInitialValue: false, "cache"));
        _requests = new Counter.Child[Operations.Length, 6];
        _durations = new Histogram.Child[Operations.Length, 6];
        for (var i = 0; i < Operations.Length; i++)
        {
            var operation = SnakeCase(Operations[i].ToString());
            for (var status = 1; status < 6; status++)
            {
                _requests[i, status] = requests.WithLabels(operation, $"{status}xx");
                _durations[i, status] = durations.WithLabels(operation, $"{status}xx");
            }
        }

        _firstBytes = [.. Enum.GetValues<CacheOutcome>().Select(outcome => firstBytes.WithLabels(SnakeCase(outcome.ToString())))];
        _received = metrics.CreateCounter("s3_proxy_received_bytes_total", "Decoded body bytes of uploads.", Plain()).WithLabels();
        _sent = metrics.CreateCounter("s3_proxy_sent_bytes_total", "Body bytes of answers.", Plain()).WithLabels();
        _inFlight = metrics.CreateGauge("s3_proxy_requests_in_flight", "S3 requests being answered.").WithLabels();
        _authFailures = metrics.CreateCounter("s3_proxy_auth_failures_total", "Requests whose signature was refused, before anything was looked up, by S3 error code.", Plain("code"));
        _errors = metrics.CreateCounter("s3_proxy_errors_total", "Errors the proxy answered itself, by S3 error code.", Plain("code"));
        RegisterReads(metrics, registry);
    }

    /// <summary>Durations of object reads, for the console's percentiles.</summary>
    public LatencyHistogram ReadLatency { get; } = new();

    /// <summary>Reads answered without asking the backend for bytes: GETs and HEADs.</summary>
    public (long Gets, long Heads) Saved
    {
        get
        {
            long gets = 0;
            long heads = 0;
            foreach (var outcome in Enum.GetValues<CacheOutcome>())
            {
                foreach (var kind in Kinds)
                {
                    gets += IsSaved(outcome, isHead: false) ? Interlocked.Read(ref _reads[At(outcome, kind, isHead: false)]) : 0;
                    heads += IsSaved(outcome, isHead: true) ? Interlocked.Read(ref _reads[At(outcome, kind, isHead: true)]) : 0;
                }
            }

            return (gets, heads);
        }
    }

    public void Started() => _inFlight.Inc();

    public void Finished(in RequestRecord request)
    {
        var family = Math.Clamp(request.Status / 100, 1, 5);
        _inFlight.Dec();
        _requests[(int)request.Operation, family].Inc();
        _durations[(int)request.Operation, family].Observe(request.Duration.TotalSeconds);
        if (request.Outcome is { } outcome)
        {
            ReadLatency.Record(request.Duration);
            CountRead(outcome, request);
        }

        if (request.BytesSent > 0)
        {
            _sent.Inc(request.BytesSent);
        }

        if (request.BytesReceived > 0)
        {
            _received.Inc(request.BytesReceived);
        }
    }

    /// <summary>One of the reads was answered before Kestrel saw it.</summary>
    public void HotRead() => Interlocked.Increment(ref _hotReads);

    public void AuthFailed(string code) => _authFailures.WithLabels(code).Inc();

    public void Error(string code) => _errors.WithLabels(code).Inc();

    /// <summary>Bytes of object reads that went past the cache; the cache counts all others.</summary>
    public long Bypassed(MilvusKind kind) => Interlocked.Read(ref _bypassed[(int)kind]);

    /// <summary><c>HitMemory</c> → <c>hit_memory</c>.</summary>
    internal static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => char.IsUpper(c) && i > 0 ? $"_{char.ToLowerInvariant(c)}" : char.ToLowerInvariant(c).ToString()));

    /// <summary>Whether an outcome cost the backend no such request: a revalidated GET was only a HEAD, a revalidated HEAD was one.</summary>
    internal static bool IsSaved(CacheOutcome outcome, bool isHead) => outcome is CacheOutcome.HitMemory or CacheOutcome.HitNvme or CacheOutcome.Stale || (outcome == CacheOutcome.Revalidated && !isHead);

    // Exemplars would be looked for at every increment, through an AsyncLocal.
    internal static CounterConfiguration Plain(params string[] labels) => new() { LabelNames = labels, ExemplarBehavior = ExemplarBehavior.NoExemplars() };

    internal static HistogramConfiguration Latency(bool suppressInitialValue, params string[] labels) => new()
    {
        LabelNames = labels,
        Buckets = Latencies,
        SuppressInitialValue = suppressInitialValue,
        ExemplarBehavior = ExemplarBehavior.NoExemplars(),
    };

    /// <summary>The one place where an answered object read is counted; the X-Cache header and the access line say the same value.</summary>
    private void CountRead(CacheOutcome outcome, in RequestRecord request)
    {
        Interlocked.Increment(ref _reads[At(outcome, request.Kind, request.Operation == S3Operation.HeadObject)]);
        _firstBytes[(int)outcome].Observe(request.FirstByte.TotalSeconds);
        _saved?.Count(outcome, request);
        if (outcome == CacheOutcome.Bypass && request.BytesSent > 0)
        {
            Interlocked.Add(ref _bypassed[(int)request.Kind], request.BytesSent);
        }
    }

    private static int At(CacheOutcome outcome, MilvusKind kind, bool isHead) => (((isHead ? Outcomes : 0) + (int)outcome) * Kinds.Length) + (int)kind;

    private void RegisterReads(MetricFactory metrics, CollectorRegistry registry)
    {
        var reads = metrics.CreateCounter("s3_proxy_object_reads_total", "GET and HEAD of objects by how they were answered; the same decision as the X-Cache header.", Plain("cache"));
        var kindReads = metrics.CreateCounter("s3_proxy_milvus_reads_total", "The same reads by what of Milvus's was read and how it was answered.", Plain("kind", "cache"));
        var saved = metrics.CreateCounter("s3_proxy_saved_requests_total", "Object reads that asked the backend for no bytes.", Plain("operation"));
        var hotReads = metrics.CreateCounter("s3_proxy_hot_reads_total", "Object reads answered from memory, or small ones from NVMe, before the HTTP server parsed them; counted by the others too.", Plain()).WithLabels();
        var outcomes = Enum.GetValues<CacheOutcome>();
        Counter.Child[] byOutcome = [.. outcomes.Select(outcome => reads.WithLabels(SnakeCase(outcome.ToString())))];
        Counter.Child[] byKind = [.. outcomes.SelectMany(outcome => Kinds.Select(kind => kindReads.WithLabels(SnakeCase(kind.ToString()), SnakeCase(outcome.ToString()))))];
        var (savedGets, savedHeads) = (saved.WithLabels("get_object"), saved.WithLabels("head_object"));
        registry.AddBeforeCollectCallback(() =>
        {
            foreach (var outcome in outcomes)
            {
                long sum = 0;
                foreach (var kind in Kinds)
                {
                    var (get, head) = (Interlocked.Read(ref _reads[At(outcome, kind, false)]), Interlocked.Read(ref _reads[At(outcome, kind, true)]));
                    byKind[((int)outcome * Kinds.Length) + (int)kind].IncTo(get + head);
                    sum += get + head;
                }

                byOutcome[(int)outcome].IncTo(sum);
            }

            var (gets, heads) = Saved;
            savedGets.IncTo(gets);
            savedHeads.IncTo(heads);
            hotReads.IncTo(Interlocked.Read(ref _hotReads));
        });
    }
}
