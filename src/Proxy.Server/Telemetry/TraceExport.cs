using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Proxy.Backends.Remote;
using Proxy.Cache;

namespace Proxy.Server.Telemetry;

/// <summary>Sends spans of requests, fills and backend requests to an OpenTelemetry collector; without an endpoint nothing is made and nothing listens.</summary>
internal static class TraceExport
{
    /// <returns>To be disposed at the end, which sends what is left; null when tracing is off.</returns>
    public static IDisposable? Start(TelemetryOptions options)
    {
        if (string.IsNullOrEmpty(options.OtlpEndpoint))
        {
            return null;
        }

        var endpoint = new Uri(options.OtlpEndpoint); // its form was checked with the configuration
        var isHttp = options.OtlpProtocol == OtlpTraceProtocol.Http;
        return Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(ResourceBuilder.CreateDefault().AddService("s3-tier-proxy", serviceVersion: typeof(TraceExport).Assembly.GetName().Version?.ToString(3)))
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceSampleRatio)))
            .AddSource(RequestTrace.SourceName, ObjectCache.TraceSourceName, BackendTrace.SourceName)
            .AddOtlpExporter(otlp =>
            {
                otlp.Protocol = isHttp ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;

                // Set in code, the HTTP endpoint is taken as it is: the signal's path is ours to add.
                otlp.Endpoint = isHttp && endpoint.AbsolutePath == "/" ? new Uri(endpoint, "/v1/traces") : endpoint;
            })
            .Build();
    }
}

/// <summary>How a collector is spoken to.</summary>
internal enum OtlpTraceProtocol
{
    /// <summary>Protobuf over HTTP/1.1; collectors listen on 4318.</summary>
    Http,

    /// <summary>Collectors listen on 4317.</summary>
    Grpc,
}
