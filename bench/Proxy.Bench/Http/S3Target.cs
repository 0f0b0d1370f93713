using System.Net;

namespace Proxy.Bench.Http;

/// <summary>Which S3 endpoint and bucket a run talks to, and as whom.</summary>
internal sealed record S3Target(Uri Endpoint, string AccessKey, string SecretKey, string Region, string Bucket)
{
    /// <summary>One that the bench started itself.</summary>
    public static S3Target OfBench(IPEndPoint address, string bucket) => new(new Uri($"http://{address}"), "minioadmin", "minioadmin", "us-east-1", bucket);

    public bool IsSecure => Endpoint.Scheme == Uri.UriSchemeHttps;

    /// <summary>As it goes into the Host header, and so into the signature: without the scheme's default port.</summary>
    public string HostHeader => Endpoint.IsDefaultPort ? Endpoint.Host : $"{Endpoint.Host}:{Endpoint.Port}";

    public EndPoint Address => IPAddress.TryParse(Endpoint.DnsSafeHost, out var address)
        ? new IPEndPoint(address, Endpoint.Port)
        : new DnsEndPoint(Endpoint.DnsSafeHost, Endpoint.Port);
}
