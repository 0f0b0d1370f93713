using System.ComponentModel.DataAnnotations;
using Proxy.Backends.Local;
using Proxy.Backends.Remote;
using Proxy.Cache;
using Proxy.Server.Telemetry;

namespace Proxy.Server.Hosting;

/// <summary>The whole configuration: one property a section. config/proxy.json explains every key.</summary>
internal sealed class ProxyOptions
{
    public S3Options S3 { get; set; } = new();

    public AdminOptions Admin { get; set; } = new();

    /// <value>./data: the local store in <c>store/</c> and the cache in <c>cache/</c> under it, unless their sections name other folders.</value>
    [Required]
    public string Data { get; set; } = "./data";

    /// <summary>The default backend. Without endpoints it is the local store.</summary>
    public RemoteOptions Backend { get; set; } = new();

    /// <summary>Further backends by name, for <see cref="Routes"/>.</summary>
    public Dictionary<string, RemoteOptions> Backends { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    public List<BackendRouteOptions> Routes { get; set; } = [];

    public LocalOptions Local { get; set; } = new();

    public CacheOptions Cache { get; set; } = new();

    public TelemetryOptions Telemetry { get; set; } = new();
}
