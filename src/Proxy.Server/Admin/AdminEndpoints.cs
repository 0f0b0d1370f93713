using Prometheus;

namespace Proxy.Server.Admin;

/// <summary>What :9001 answers without signing in: health and metrics.</summary>
internal static class AdminEndpoints
{
    public static void MapHealth(this WebApplication app, Readiness readiness)
    {
        app.MapGet("/health/live", () => Results.Text("live\n"));
        app.MapGet("/health/ready", () => readiness.IsReady ? Results.Text("ready\n") : Results.Text(readiness.Reason + "\n", statusCode: StatusCodes.Status503ServiceUnavailable));
    }

    public static void MapProxyMetrics(this WebApplication app, CollectorRegistry registry) => app.MapMetrics("/metrics", registry);
}

/// <summary>Whether requests are being served: set once the listeners are up, taken back when a stop begins. Thread-safe.</summary>
internal sealed class Readiness
{
    private volatile string? _reason = "starting";

    public bool IsReady => _reason is null;

    public string Reason => _reason ?? "ready";

    public void Ready() => _reason = null;

    public void Stopping() => _reason = "stopping";
}
