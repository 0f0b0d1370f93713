using System.ComponentModel.DataAnnotations;

namespace Proxy.Server.Telemetry;

/// <summary>Section <c>Telemetry</c>.</summary>
internal sealed class TelemetryOptions : IValidatableObject
{
    /// <summary>One JSON line a request: <c>-</c> is standard output, otherwise a file; null is off.</summary>
    public string? AccessLog { get; set; }

    /// <value>1 s: requests slower than this are logged one by one, at most one a second.</value>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan SlowRequest { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Milvus collections with a metric of their own; the others are summed as <c>other</c>.</summary>
    /// <value>20: a dashboard shows no more, and each costs two series.</value>
    [Range(0, 1000)]
    public int NamedCollections { get; set; } = 20;

    [Required]
    public PriceOptions Prices { get; set; } = new();

    /// <summary>Where a backend, by its name, is billed otherwise.</summary>
    [Required]
    public Dictionary<string, BackendPriceOptions> BackendPrices { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>OpenTelemetry collector that spans are sent to, such as <c>http://collector:4318</c>; null: no tracing, at no cost.</summary>
    public string? OtlpEndpoint { get; set; }

    public OtlpTraceProtocol OtlpProtocol { get; set; } = OtlpTraceProtocol.Http;

    /// <summary>Share of requests traced, of those that no caller has decided about.</summary>
    /// <value>1: who sets an endpoint wants to see something; busy proxies lower it.</value>
    [Range(0, 1)]
    public double TraceSampleRatio { get; set; } = 1;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
        => string.IsNullOrEmpty(OtlpEndpoint) || (Uri.TryCreate(OtlpEndpoint, UriKind.Absolute, out var endpoint) && (endpoint.Scheme == Uri.UriSchemeHttp || endpoint.Scheme == Uri.UriSchemeHttps))
            ? []
            : [new ValidationResult($"'{OtlpEndpoint}' is no address of a collector: write it as http://collector:4318.", [nameof(OtlpEndpoint)])];
}
