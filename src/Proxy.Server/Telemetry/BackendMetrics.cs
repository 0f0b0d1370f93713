using System.Globalization;
using Prometheus;
using Proxy.Backends.Local;
using Proxy.Backends.Remote;
using Proxy.Server.Routing;

namespace Proxy.Server.Telemetry;

/// <summary>Shows what was asked of the backends, how they answered, and what their owners bill for it.</summary>
internal sealed class BackendMetrics
{
    private readonly PriceList _prices;
    private readonly Counter _requests;
    private readonly Histogram _durations;
    private readonly Counter _bytes;
    private readonly Gauge _inFlight;
    private readonly Counter _retries;
    private readonly Counter _absorbed;
    private readonly Counter _hedges;
    private readonly Counter _hedgesEnded;
    private readonly Counter _sheds;
    private readonly Gauge _readLimit;
    private readonly Gauge _readsInFlight;
    private readonly Gauge _breakersOpen;
    private readonly Gauge _endpoints;
    private readonly Counter _breakerOpenings;
    private readonly Counter _cost;
    private readonly Counter _egressCost;
    private readonly Counter _localCommits;
    private readonly Counter _localMutations;
    private readonly Counter _localFlushes;
    private readonly Counter _localBytes;
    private readonly Gauge _localOrphans;
    private readonly Dictionary<(string Backend, string Operation), CountedLatency> _latencies = [];
    private readonly Dictionary<BackendCounters, (long NotAdmitted, long NotReachable)> _shed = [];
    private HashSet<string> _remotes = [];

    public BackendMetrics(MetricFactory metrics, PriceList prices)
    {
        _prices = prices;
        _requests = Counter("s3_proxy_backend_requests_total", "Requests to a backend, forwards and our own reads; status 0: no answer.", "backend", "operation", "status");
        _durations = metrics.CreateHistogram(
            "s3_proxy_backend_request_duration_seconds", "Time until a backend's response head.",
            new HistogramConfiguration
            {
                LabelNames = ["backend", "operation"],
                Buckets = [.. BackendCounters.LatencyBounds],
                ExemplarBehavior = ExemplarBehavior.NoExemplars(),
            });
        _bytes = Counter("s3_proxy_backend_bytes_total", "Body bytes exchanged with a backend.", "backend", "operation", "direction");
        _inFlight = metrics.CreateGauge("s3_proxy_backend_requests_in_flight", "Requests whose response head has not arrived.", "backend");
        _retries = Counter("s3_proxy_backend_retries_total", "Further tries of the proxy's own reads.", "backend");
        _absorbed = Counter("s3_proxy_backend_failures_absorbed_total", "Own reads that failed (503, no answer) and came through on a later try.", "backend");
        _hedges = Counter("s3_proxy_backend_hedges_total", "Own reads asked a second time because the first answer was late.", "backend");
        _hedgesEnded = Counter("s3_proxy_backend_hedges_ended_total", "Hedged reads by what came of it: won when the second answer came first, else lost.", "backend", "result");
        _sheds = Counter("s3_proxy_sheds_total", "Requests refused with 503 SlowDown rather than kept waiting, by what was at its bound.", "reason");
        _readLimit = metrics.CreateGauge("s3_proxy_backend_read_limit", "Own reads a backend gets at once; falls when it says 503.", "backend");
        _readsInFlight = metrics.CreateGauge("s3_proxy_backend_reads_in_flight", "Own reads running.", "backend");
        _breakersOpen = metrics.CreateGauge("s3_proxy_backend_breakers_open", "Endpoints of a backend being left alone after failures to connect, until one answers.", "backend");
        _endpoints = metrics.CreateGauge("s3_proxy_backend_endpoints", "Endpoints of a backend.", "backend");
        _breakerOpenings = Counter("s3_proxy_backend_breaker_openings_total", "Times an endpoint began to be left alone.", "backend");
        _cost = Counter("s3_proxy_backend_cost_dollars_total", "What a remote backend's requests cost by the configured prices.", "backend", "operation");
        _egressCost = Counter("s3_proxy_backend_egress_cost_dollars_total", "What the bytes a remote backend sent cost by the configured price.", "backend");
        _localCommits = Counter("s3_proxy_local_commits_total", "Index transactions the local store made durable.");
        _localMutations = Counter("s3_proxy_local_mutations_total", "Changes in them.");
        _localFlushes = Counter("s3_proxy_local_body_flushes_total", "Flushes of body files and folders of the local store.");
        _localBytes = Counter("s3_proxy_local_bytes_total", "Body bytes the local store wrote and read.", "direction");
        _localOrphans = metrics.CreateGauge("s3_proxy_local_swept_orphans", "Body files without an object that the start-up sweep removed.");

        Counter Counter(string name, string help, params string[] labels) => metrics.CreateCounter(name, help, RequestMetrics.Plain(labels));
    }

    /// <param name="passRefused">Reads refused because passing through was at its bound.</param>
    public void Show(BackendRouter router, long passRefused)
    {
        var remotes = new HashSet<string>(StringComparer.Ordinal);
        foreach (var backend in router.All)
        {
            switch (backend)
            {
                case RemoteS3Backend remote:
                    Show(remote.Remote);
                    remotes.Add(remote.Name);
                    break;
                case LocalBackend local:
                    Show(local.Counters);
                    break;
            }
        }

        // What a reload took away has no state any more; what was counted of it stays.
        foreach (var gone in _remotes.Except(remotes))
        {
            foreach (var gauge in (Gauge[])[_inFlight, _readLimit, _readsInFlight, _breakersOpen, _endpoints])
            {
                gauge.RemoveLabelled(gone);
            }
        }

        _remotes = remotes;
        _sheds.WithLabels("pass_through").IncTo(passRefused);
        _sheds.WithLabels("backend_queue").IncTo(_shed.Values.Sum(static one => one.NotAdmitted));
        _sheds.WithLabels("backend_unreachable").IncTo(_shed.Values.Sum(static one => one.NotReachable));
    }

    private void Show(RemoteBackend backend)
    {
        var (name, counters) = (backend.Name, backend.Counters);
        var prices = _prices.Of(name);
        _shed[counters] = (counters.NotAdmitted, counters.NotReachable);
        foreach (var byOperation in counters.Rows.ToLookup(row => row.Operation, StringComparer.Ordinal))
        {
            var operation = RequestMetrics.SnakeCase(byOperation.Key);
            var buckets = new long[BackendCounters.LatencyBounds.Count + 1];
            long requests = 0;
            double seconds = 0;
            foreach (var row in byOperation)
            {
                _requests.WithLabels(name, operation, row.Status.ToString(CultureInfo.InvariantCulture)).IncTo(row.Count);
                requests += row.Count;
                seconds += row.Seconds;
                for (var i = 0; i < buckets.Length; i++)
                {
                    buckets[i] += row.LatencyBuckets[i];
                }
            }

            Latency(name, operation).Show(buckets, seconds);
            _cost.WithLabels(name, operation).IncTo(requests * prices.Of(byOperation.Key));
        }

        foreach (var traffic in counters.Bytes)
        {
            var operation = RequestMetrics.SnakeCase(traffic.Operation);
            _bytes.WithLabels(name, operation, "received").IncTo(traffic.BytesReceived);
            _bytes.WithLabels(name, operation, "sent").IncTo(traffic.BytesSent);
        }

        _egressCost.WithLabels(name).IncTo(prices.OfEgress(counters.BytesReceived));
        _inFlight.WithLabels(name).Set(counters.InFlight);
        _retries.WithLabels(name).IncTo(counters.Retries);
        _absorbed.WithLabels(name).IncTo(counters.FailuresAbsorbed);
        _hedges.WithLabels(name).IncTo(counters.Hedges);
        _hedgesEnded.WithLabels(name, "won").IncTo(counters.HedgesWon);
        _hedgesEnded.WithLabels(name, "lost").IncTo(counters.HedgesLost);
        _readLimit.WithLabels(name).Set(backend.ReadLimit);
        _readsInFlight.WithLabels(name).Set(backend.ReadsInFlight);
        _breakersOpen.WithLabels(name).Set(backend.OpenBreakers);
        _endpoints.WithLabels(name).Set(backend.Endpoints.Count);
        _breakerOpenings.WithLabels(name).IncTo(counters.BreakerOpenings);
    }

    private void Show(LocalCounters counters)
    {
        _localCommits.IncTo(counters.Commits);
        _localMutations.IncTo(counters.Mutations);
        _localFlushes.IncTo(counters.BodyFlushes);
        _localBytes.WithLabels("written").IncTo(counters.BytesWritten);
        _localBytes.WithLabels("read").IncTo(counters.BytesRead);
        _localOrphans.Set(counters.OrphansSwept);
    }

    private CountedLatency Latency(string backend, string operation)
    {
        if (!_latencies.TryGetValue((backend, operation), out var latency))
        {
            _latencies[(backend, operation)] = latency = new CountedLatency(_durations.WithLabels(backend, operation), BackendCounters.LatencyBounds);
        }

        return latency;
    }
}
