using Proxy.S3.Errors;

namespace Proxy.S3.Objects;

/// <summary>Where the cache reads objects from. The reading half of the narrow waist between Proxy.Cache and Proxy.Backends.</summary>
/// <remarks>Thread-safe. Implementations verify what they can, so that a body of another version never passes for the one asked for.</remarks>
public interface IObjectSource
{
    /// <summary>Facts of the current version.</summary>
    /// <exception cref="S3Exception">NoSuchKey or NoSuchBucket 404; AccessDenied 403; PreconditionFailed 412; NotModified 304;
    /// SlowDown 503 when the source cannot be reached or is overloaded.</exception>
    ValueTask<ObjectInfo> HeadObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation);

    /// <summary>Opens the bytes of the current version, or of a range of it.</summary>
    /// <exception cref="S3Exception">As <see cref="HeadObjectAsync"/>; InvalidRange 416 when the range lies outside.</exception>
    ValueTask<ObjectBody> GetObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation);

    /// <summary>One page of keys in UTF-8 byte order.</summary>
    /// <exception cref="S3Exception">NoSuchBucket 404; SlowDown 503.</exception>
    ValueTask<ListPage> ListObjectsAsync(string bucket, ListQuery query, CancellationToken cancellation);
}

/// <summary>Options of one read.</summary>
public sealed record ObjectReadOptions
{
    public static ObjectReadOptions Whole { get; } = new();

    /// <summary>Null is the whole object.</summary>
    public ByteRange? Range { get; init; }

    public Preconditions? Preconditions { get; init; }

    /// <summary>1 to 10,000: only that part of a multipart object. Excludes <see cref="Range"/>.</summary>
    public int? PartNumber { get; init; }

    /// <summary>Ask for stored checksums too (<c>x-amz-checksum-mode: ENABLED</c>).</summary>
    public bool WithChecksums { get; init; }

    /// <summary>A client takes the bytes as they come, and may take its time: such reads never have all of a backend's turns.</summary>
    public bool AtReadersPace { get; init; }
}

/// <summary>What to list.</summary>
public sealed record ListQuery
{
    public string Prefix { get; init; } = "";

    /// <summary>Null lists flat; otherwise keys sharing the prefix up to the delimiter are folded into <see cref="ListPage.CommonPrefixes"/>.</summary>
    public string? Delimiter { get; init; }

    /// <summary>Only names after this one, in byte order; exclusive. A common prefix counts as a name. Null starts at the beginning.</summary>
    public string? After { get; init; }

    /// <summary>0 to 1000: keys and common prefixes together.</summary>
    public int MaxKeys { get; init; } = 1000;
}

/// <summary>A page of a listing.</summary>
public sealed record ListPage
{
    public required IReadOnlyList<ListedObject> Objects { get; init; }

    public IReadOnlyList<string> CommonPrefixes { get; init; } = [];

    /// <summary>True exactly when at least one more name follows.</summary>
    public bool IsTruncated { get; init; }

    /// <summary>The last name of the page (key or common prefix), to be given as <see cref="ListQuery.After"/>; null when not truncated.</summary>
    public string? NextAfter { get; init; }
}

public sealed record ListedObject(string Key, long Size, string ETag, DateTimeOffset LastModified)
{
    public string StorageClass { get; init; } = "STANDARD";

    /// <summary>The algorithm's S3 name (<see cref="Checksums.ChecksumAlgorithms"/>); null when none is stored.</summary>
    public string? ChecksumAlgorithm { get; init; }

    /// <summary>COMPOSITE or FULL_OBJECT; null when none is stored.</summary>
    public string? ChecksumType { get; init; }
}
