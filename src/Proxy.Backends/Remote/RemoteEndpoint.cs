namespace Proxy.Backends.Remote;

/// <summary>One gateway of a backend: how its URLs are spelled.</summary>
/// <remarks>Immutable.</remarks>
public sealed class RemoteEndpoint
{
    // Their DNS answers for every bucket, and they refuse (OSS, COS) or discourage (AWS) the bucket in the path.
    private static readonly string[] VirtualHostDomains = [".amazonaws.com", ".amazonaws.com.cn", ".aliyuncs.com", ".myqcloud.com"];

    private readonly bool _virtualHost;

    public RemoteEndpoint(string url, AddressingStyle style, int index)
    {
        Index = index;
        Url = new Uri(url);
        Authority = Url.Authority;
        _virtualHost = style switch
        {
            AddressingStyle.VirtualHost => true,
            AddressingStyle.Path => false,
            _ => Array.Exists(VirtualHostDomains, domain => Url.Host.EndsWith(domain, StringComparison.OrdinalIgnoreCase)),
        };
    }

    /// <summary>Buckets stand in the host where their name allows it.</summary>
    public bool PrefersVirtualHost => _virtualHost;

    /// <summary>Place in the configured list.</summary>
    public int Index { get; }

    public Uri Url { get; }

    /// <summary>Host, and the port unless it is the scheme's own: the Host header of a path-style request.</summary>
    public string Authority { get; }

    /// <summary>Whether this bucket's name goes into the host.</summary>
    public bool IsVirtualHost(string bucket)
        // A dot in the name would not match the endpoint's wildcard certificate.
        => _virtualHost && IsDnsLabel(bucket);

    /// <summary>Host header of a request for <paramref name="bucket"/>; null for the service itself.</summary>
    public string HostFor(string? bucket) => bucket is not null && IsVirtualHost(bucket) ? $"{bucket}.{Authority}" : Authority;

    /// <summary>Path of a request: the key stays exactly as it is spelled.</summary>
    /// <param name="rawKey">Percent-encoded as it stood on the wire, without the slash before it; null for the bucket itself.</param>
    public string PathFor(string? bucket, string? rawKey)
        => bucket is null ? "/"
         : IsVirtualHost(bucket) ? "/" + rawKey
         : rawKey is null ? "/" + bucket
         : $"/{bucket}/{rawKey}";

    /// <summary>A URL that .NET leaves alone: <c>..</c>, <c>//</c> and <c>%2F</c> are part of a key's name.</summary>
    public Uri UriFor(string? bucket, string path, string? rawQuery)
    {
        var options = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        return new Uri($"{Url.Scheme}://{HostFor(bucket)}{path}{(string.IsNullOrEmpty(rawQuery) ? "" : "?")}{rawQuery}", options);
    }

    public override string ToString() => Url.GetLeftPart(UriPartial.Authority);

    private static bool IsDnsLabel(string bucket)
    {
        foreach (var c in bucket)
        {
            if (!char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c != '-')
            {
                return false;
            }
        }

        return bucket.Length is >= 3 and <= 63;
    }
}
