using System.Text;
using Proxy.Cache;
using Proxy.S3.Auth;

namespace Proxy.Server.Hosting;

/// <summary>What a person wants to know when the proxy has started, on one screen.</summary>
internal static class StartupSummary
{
    public static string Write(ProxyOptions options, string backend, CacheOptions cache, bool defaultCredentials, TimeSpan startTook)
    {
        var scheme = options.S3.Tls.Enabled ? "https" : "http";
        var text = new StringBuilder();
        text.AppendLine($"S3 tier proxy {typeof(StartupSummary).Assembly.GetName().Version?.ToString(3)}, ready in {startTook.TotalSeconds:0.00} s");
        text.AppendLine($"  S3        {scheme}://{options.S3.Listen}  (region {options.S3.Region})");
        text.AppendLine($"  admin     {(options.Admin.Tls.Enabled ? "https" : "http")}://{options.Admin.Listen}  console /, metrics /metrics, health /health/ready");
        text.AppendLine($"  backend   {backend}");
        text.AppendLine($"  memory    {(cache.Enabled ? ByteSize.Format(cache.Memory.CapacityBytes) : "off")}");
        text.AppendLine($"  nvme      {Nvme(cache)}");
        var port = S3Server.Endpoints("S3:Listen", options.S3.Listen)[0].Port;
        text.AppendLine($"  Milvus    MINIO_ADDRESS=<this host>:{port}{(port == 9000 ? "" : $" and MINIO_PORT={port} (the WAL takes its port from there)")}");
        if (defaultCredentials)
        {
            text.AppendLine("  WARNING   signing in with minioadmin/minioadmin is allowed: set S3:Credentials, or MINIO_ROOT_USER and MINIO_ROOT_PASSWORD");
        }

        return text.ToString();
    }

    private static string Nvme(CacheOptions cache) => cache switch
    {
        { Enabled: true, Nvme.CapacityBytes: > 0 and var bytes } => $"{ByteSize.Format(bytes)} in {string.Join(", ", cache.Nvme.Directories)}",
        _ => "off",
    };

    /// <summary>The credential the proxy falls back to, MinIO's own default.</summary>
    public static Credential DefaultCredential { get; } = new("minioadmin", "minioadmin");
}
