using System.Globalization;

namespace Proxy.S3.Objects;

/// <summary>What is known of one object version besides its bytes. Immutable; safe to share between threads.</summary>
public sealed record ObjectInfo
{
    /// <summary>Size of the whole object in bytes.</summary>
    public required long Size { get; init; }

    /// <summary>Entity tag as it stands on the wire, quotes included: <c>"9e107d9d372bb6826bd81d3542a419d6"</c> or <c>"…-17"</c>. Opaque.</summary>
    public required string ETag { get; init; }

    /// <summary>Truncated to whole seconds, as HTTP dates are.</summary>
    public required DateTimeOffset LastModified
    {
        get;
        init
        {
            field = value;
            LastModifiedHeader = value.ToString("R", CultureInfo.InvariantCulture);
        }
    }

    /// <summary><see cref="LastModified"/> as an HTTP date; formatted once, since every hit sends it.</summary>
    public string LastModifiedHeader { get; private init; } = "";

    public string? ContentType { get; init; }

    /// <summary>
    /// Every further header that a GET or HEAD of this version answers with, in order: content-encoding, cache-control, x-amz-meta-*,
    /// x-amz-version-id, x-amz-tagging-count, x-amz-storage-class, x-amz-server-side-*, Server of a remote backend.
    /// Never content-length, content-range, etag, last-modified, content-type, accept-ranges, date, request ids, x-amz-checksum-* or hop headers.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>x-amz-checksum-* headers of the whole object, sent only for whole-object answers and <c>x-amz-checksum-mode: ENABLED</c>.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> ChecksumHeaders { get; init; } = [];

    /// <summary>How many parts the object was made of; null for a plain upload or when the backend did not say.</summary>
    public int? PartCount { get; init; }
}

/// <summary>Conditions of a read (RFC 9110 §13). Values as on the wire: one entity tag, a list of them, or <c>*</c>.</summary>
public sealed record Preconditions
{
    public string? IfMatch { get; init; }

    public string? IfNoneMatch { get; init; }

    public DateTimeOffset? IfModifiedSince { get; init; }

    public DateTimeOffset? IfUnmodifiedSince { get; init; }

    /// <summary>Evaluates the conditions in the order of RFC 9110 §13.2.2, as S3 does.</summary>
    public PreconditionOutcome Evaluate(string etag, DateTimeOffset lastModified)
    {
        if (IfMatch is not null)
        {
            if (!Matches(IfMatch, etag))
            {
                return PreconditionOutcome.Failed;
            }
        }
        else if (IfUnmodifiedSince is { } unmodifiedSince && lastModified > unmodifiedSince)
        {
            return PreconditionOutcome.Failed;
        }

        if (IfNoneMatch is not null)
        {
            return Matches(IfNoneMatch, etag) ? PreconditionOutcome.NotModified : PreconditionOutcome.Proceed;
        }

        return IfModifiedSince is { } modifiedSince && lastModified <= modifiedSince ? PreconditionOutcome.NotModified : PreconditionOutcome.Proceed;
    }

    /// <summary>Whether <paramref name="condition"/> (a tag, a comma-separated list, or <c>*</c>; quotes optional, W/ ignored) names <paramref name="etag"/>.</summary>
    public static bool Matches(ReadOnlySpan<char> condition, ReadOnlySpan<char> etag)
    {
        etag = Bare(etag);
        foreach (var range in condition.Split(','))
        {
            var one = condition[range].Trim();
            if (one is "*" || (!one.IsEmpty && Bare(one).SequenceEqual(etag)))
            {
                return true;
            }
        }

        return false;
    }

    private static ReadOnlySpan<char> Bare(ReadOnlySpan<char> tag)
    {
        if (tag.StartsWith("W/", StringComparison.Ordinal))
        {
            tag = tag[2..];
        }

        return tag.Length >= 2 && tag[0] == '"' && tag[^1] == '"' ? tag[1..^1] : tag;
    }
}

public enum PreconditionOutcome
{
    Proceed,

    /// <summary>304 for reads.</summary>
    NotModified,

    /// <summary>412 PreconditionFailed.</summary>
    Failed,
}
