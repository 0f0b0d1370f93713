namespace Proxy.S3.Requests;

/// <summary>How a request names its bucket: in the path always, in the host name too where base domains are configured.</summary>
public sealed class Addressing
{
    private readonly string[] _suffixes;

    /// <param name="baseDomains">Such as <c>s3.example.com</c>: <c>b.s3.example.com</c> then names bucket b. Without port.</param>
    public Addressing(IEnumerable<string> baseDomains)
    {
        _suffixes = [.. baseDomains.Where(domain => domain.Length > 0).Select(domain => "." + domain.Trim('.'))];
    }

    public static Addressing PathStyle { get; } = new([]);

    /// <summary>Length of the bucket name at the start of <paramref name="host"/>; 0 when the host names none.</summary>
    public int BucketLength(ReadOnlySpan<char> host)
    {
        if (_suffixes.Length == 0)
        {
            return 0;
        }

        var colon = host.LastIndexOf(':');
        if (colon >= 0)
        {
            host = host[..colon];
        }

        foreach (var suffix in _suffixes)
        {
            if (host.Length > suffix.Length && host.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
            {
                return host.Length - suffix.Length;
            }
        }

        return 0;
    }
}
