using System.Reflection;
using System.Runtime.InteropServices;
using Prometheus;
using Proxy.Cache;
using Proxy.Server.Routing;

namespace Proxy.Server.Telemetry;

/// <summary>Instruments whose numbers are kept elsewhere (cache, tiers, backends): read when somebody scrapes, never on a request.</summary>
internal static class StateMetrics
{
    /// <summary>Registers them all, with what .NET says of the process and what was built.</summary>
    public static void Register(CollectorRegistry registry, RequestMetrics requests, ObjectCache cache, BackendRouter router, Savings savings, PriceList prices, TelemetryOptions options)
    {
        var metrics = Metrics.WithCustomRegistry(registry);
        var cacheMetrics = new CacheMetrics(metrics, requests);
        var tiers = new TierMetrics(metrics);
        var backends = new BackendMetrics(metrics, prices);
        var collections = new CollectionMetrics(metrics, options.NamedCollections);
        var savedMoney = metrics.CreateCounter(
            "s3_proxy_saved_dollars_total", "What saved requests and bytes would have cost at a remote backend by the configured prices.", RequestMetrics.Plain()).WithLabels();

        // Two scrapers at once: what is kept between scrapes is kept by one of them at a time.
        var gate = new Lock();
        registry.AddBeforeCollectCallback(() =>
        {
            lock (gate)
            {
                var snapshot = cache.Snapshot();
                var saved = savings.Now();
                cacheMetrics.Show(snapshot, saved);
                tiers.Show(cache.TierSnapshot());
                backends.Show(router, snapshot.Fills.Refused);
                collections.Show(cache.Collections());
                savedMoney.IncTo(saved.Money ?? 0);
            }
        });
        Build(metrics);
        DotNetStats.Register(registry);
    }

    /// <summary>Registers what the transport knows.</summary>
    /// <param name="lentBytes">Bytes sent without copying them, so far.</param>
    public static void RegisterTransport(CollectorRegistry registry, Func<long> lentBytes)
    {
        var lent = Metrics.WithCustomRegistry(registry)
            .CreateCounter("s3_proxy_sent_without_copy_bytes_total", "Body bytes of answers whose memory was lent to the kernel instead of copied; among the bytes sent.", RequestMetrics.Plain()).WithLabels();
        registry.AddBeforeCollectCallback(() => lent.IncTo(lentBytes()));
    }

    private static void Build(MetricFactory metrics)
    {
        var assembly = typeof(StateMetrics).Assembly;
        var informational = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        var plus = informational.IndexOf('+', StringComparison.Ordinal);
        var version = assembly.GetName().Version?.ToString(3) ?? "0.0.0";
        metrics.CreateGauge("s3_proxy_build_info", "Always 1; what was built from what, and what it runs on.", "version", "revision", "runtime", "architecture")
            .WithLabels(version, plus < 0 ? "unknown" : informational[(plus + 1)..], Environment.Version.ToString(), RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()).Set(1);
    }
}
