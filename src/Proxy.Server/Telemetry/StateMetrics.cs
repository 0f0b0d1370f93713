using Prometheus;
using Proxy.Cache;
using Proxy.Server.Routing;

namespace Proxy.Server.Telemetry;

/// <summary>Instruments whose numbers are kept elsewhere (cache, tiers, backends): read when somebody scrapes, never on a request.</summary>
internal static class StateMetrics
{
    public static void Register(CollectorRegistry registry, ObjectCache cache, BackendRouter router)
    {
        var metrics = Metrics.WithCustomRegistry(registry);
        var backendRequests = metrics.CreateCounter(
            "s3_proxy_backend_requests_total", "Requests to a backend, forwards and our own reads; status 0: no answer.", "backend", "operation", "status");
        var backendSeconds = metrics.CreateCounter("s3_proxy_backend_request_seconds_total", "Time until the backend's response heads, summed.", "backend", "operation");
        var backendBytes = metrics.CreateCounter("s3_proxy_backend_bytes_total", "Body bytes exchanged with a backend.", "backend", "direction");
        var backendInFlight = metrics.CreateGauge("s3_proxy_backend_requests_in_flight", "Requests whose response head has not arrived.", "backend");
        var servedBytes = metrics.CreateCounter("s3_proxy_object_read_bytes_total", "Bytes of object reads by where they came from.", "tier");
        var kindReads = metrics.CreateCounter("s3_proxy_milvus_reads_total", "Object reads by Milvus kind and outcome.", "kind", "cache");
        var catalog = metrics.CreateGauge("s3_proxy_catalog_entries", "Objects the catalog knows.");
        registry.AddBeforeCollectCallback(() =>
        {
            foreach (var remote in router.All.OfType<RemoteS3Backend>())
            {
                var counters = remote.Remote.Counters;
                foreach (var row in counters.Rows)
                {
                    backendRequests.WithLabels(remote.Name, RequestMetrics.SnakeCase(row.Operation), row.Status.ToString(System.Globalization.CultureInfo.InvariantCulture)).IncTo(row.Count);
                }

                foreach (var operation in counters.Rows.GroupBy(row => row.Operation, StringComparer.Ordinal))
                {
                    backendSeconds.WithLabels(remote.Name, RequestMetrics.SnakeCase(operation.Key)).IncTo(operation.Sum(row => row.Seconds));
                }

                backendBytes.WithLabels(remote.Name, "received").IncTo(counters.BytesReceived);
                backendBytes.WithLabels(remote.Name, "sent").IncTo(counters.BytesSent);
                backendInFlight.WithLabels(remote.Name).Set(counters.InFlight);
            }

            var snapshot = cache.Snapshot();
            servedBytes.WithLabels("memory").IncTo(snapshot.Served.Memory);
            servedBytes.WithLabels("nvme").IncTo(snapshot.Served.Nvme);
            servedBytes.WithLabels("backend").IncTo(snapshot.Served.Backend);
            foreach (var read in snapshot.Reads)
            {
                kindReads.WithLabels(RequestMetrics.SnakeCase(read.Kind.ToString()), RequestMetrics.SnakeCase(read.Outcome.ToString())).IncTo(read.Requests);
            }

            catalog.Set(snapshot.CatalogEntries);
        });
    }
}
