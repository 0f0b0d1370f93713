using System.Diagnostics.CodeAnalysis;

namespace Proxy.Backends.Remote;

/// <summary>One gateway of a backend: how its URLs are spelled.</summary>
/// <remarks>Immutable.</remarks>
public sealed class RemoteEndpoint
{
    // Their DNS answers for every bucket, and they refuse (OSS, COS) or discourage (AWS) the bucket in the path.
    private static readonly string[] VirtualHostDomains = [".amazonaws.com", ".amazonaws.com.cn", ".aliyuncs.com", ".myqcloud.com"];

    private readonly bool _virtualHost;
    private readonly ManagementPaths _management;

    /// <param name="managementPaths"><see cref="RemoteOptions.ManagementPaths"/>; null is the known ones.</param>
    public RemoteEndpoint(string url, AddressingStyle style, int index, IReadOnlyList<string>? managementPaths = null)
    {
        Index = index;
        _management = new ManagementPaths(managementPaths ?? []);
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

    /// <summary>Where its signatures are for; null for the backend's own region.</summary>
    public string? Region { get; private init; }

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

    /// <summary>Path of a request for a key that is not spelled yet.</summary>
    public string PathOf(string bucket, string key) => PathFor(bucket, Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal));

    /// <summary>Whether the store would take a request on this bucket and key for one of its management, which obeys the same keys that we sign with.</summary>
    /// <param name="key">Decoded, as the store will decode it; empty for the bucket itself.</param>
    public bool MeansManagement(string bucket, string key) => _management.Contain(bucket, key, IsVirtualHost(bucket));

    /// <summary>Where a 307 of AWS sends a read of a bucket whose region its front does not know yet: the bucket's host in its own region, nowhere else.</summary>
    public bool TryFollow(Uri? location, string bucket, [NotNullWhen(true)] out RemoteEndpoint? moved)
    {
        moved = null;
        var domain = Url.Host.EndsWith(".cn", StringComparison.OrdinalIgnoreCase) ? ".amazonaws.com.cn" : ".amazonaws.com";
        var host = location is { IsAbsoluteUri: true, IsDefaultPort: true } && location.Scheme.Equals(Url.Scheme, StringComparison.Ordinal) ? location.Host : "";
        var prefix = $"{bucket}.s3";
        if (!Url.Host.EndsWith(domain, StringComparison.OrdinalIgnoreCase) || !host.EndsWith(domain, StringComparison.OrdinalIgnoreCase)
            || !host.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) || host.Length < prefix.Length + 2 + domain.Length)
        {
            return false;
        }

        // bucket.s3.REGION.amazonaws.com, or bucket.s3-REGION… as it once was spelled.
        var region = host[(prefix.Length + 1)..^domain.Length];
        if (host[prefix.Length] is not ('.' or '-') || !region.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'))
        {
            return false;
        }

        moved = new RemoteEndpoint($"{Url.Scheme}://{host[(bucket.Length + 1)..]}", AddressingStyle.VirtualHost, Index) { Region = region };
        return moved.IsVirtualHost(bucket);
    }

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
