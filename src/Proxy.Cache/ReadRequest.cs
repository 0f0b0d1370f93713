using Proxy.S3.Objects;

namespace Proxy.Cache;

/// <summary>One GET or HEAD of an object, as the cache sees it.</summary>
public readonly record struct ReadRequest
{
    /// <summary>HEAD: no body will be read.</summary>
    public bool HeadOnly { get; init; }

    /// <summary>Null is the whole object.</summary>
    public ByteRange? Range { get; init; }

    public Preconditions? Preconditions { get; init; }

    /// <summary>A HEAD that is to be told the checksums: of an object that a GET has made known the backend has not told them yet.</summary>
    public bool NeedsChecksums { get; init; }
}
