using System.Globalization;
using Proxy.S3.Objects;

namespace Proxy.Backends.Remote;

/// <summary>Reads an object's facts off the raw headers of a GET or HEAD answer.</summary>
/// <remarks>
/// HttpClient takes control characters within a value, and no answer of ours may carry them: each becomes a space (<see cref="FieldValue"/>). Not dropped with its header, since a
/// client that asks for the rest of its metadata should find it. An ETag is another matter: it is told and asked for as it is, or it is none.
/// </remarks>
internal static class ObjectFacts
{
    // What has its own property, belongs to this one answer, or to the hop. Everything else is the object's and is replayed.
    private static readonly HashSet<string> NotReplayed = new(StringComparer.OrdinalIgnoreCase)
    {
        "content-length", "content-range", "content-type", "etag", "last-modified", "accept-ranges", "date", "age", "via",
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "transfer-encoding", "trailer", "te", "upgrade", "alt-svc",
        "x-amz-request-id", "x-amz-id-2", "x-request-id", "x-amz-mp-parts-count", "x-ratelimit-limit", "x-ratelimit-remaining", "set-cookie", "x-cache",
    };

    /// <param name="whole">The answer is about the whole object, so its checksums are the object's.</param>
    public static ObjectInfo Read(HttpResponseMessage response, long size, string etag, bool whole)
    {
        var headers = new List<KeyValuePair<string, string>>();
        List<KeyValuePair<string, string>>? checksums = null;
        foreach (var source in new[] { response.Headers.NonValidated, response.Content.Headers.NonValidated })
        {
            foreach (var header in source)
            {
                if (header.Key.StartsWith("x-amz-checksum-", StringComparison.OrdinalIgnoreCase))
                {
                    if (whole)
                    {
                        (checksums ??= []).Add(new(header.Key, FieldValue.Clean(header.Value.ToString())));
                    }
                }
                else if (!NotReplayed.Contains(header.Key))
                {
                    foreach (var value in header.Value)
                    {
                        headers.Add(new(header.Key, FieldValue.Clean(value)));
                    }
                }
            }
        }

        return new ObjectInfo
        {
            Size = size,
            ETag = etag,
            LastModified = LastModified(response),
            ContentType = Header(response, "Content-Type"),
            Headers = headers,
            ChecksumHeaders = checksums ?? [],
            PartCount = int.TryParse(Header(response, "x-amz-mp-parts-count"), NumberStyles.None, CultureInfo.InvariantCulture, out var parts) ? parts : null,
        };
    }

    public static string? Header(HttpResponseMessage response, string name) => Raw(response, name) is { } value ? FieldValue.Clean(value) : null;

    /// <summary>With its quotes; null when there is none that names a version.</summary>
    public static string? ETag(HttpResponseMessage response)
        => Raw(response, "ETag") is { Length: > 0 } etag and not "\"\"" && FieldValue.IsValid(etag) ? etag : null;

    /// <summary>Null when there is no Content-Length, or none that is a number.</summary>
    public static long? ContentLength(HttpResponseMessage response)
        => long.TryParse(Header(response, "Content-Length"), NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? length : null;

    /// <summary><c>bytes 0-9/100</c>; false for anything that does not say all three numbers.</summary>
    public static bool TryContentRange(HttpResponseMessage response, out ByteSpan span, out long size)
    {
        span = default;
        size = 0;
        var text = Header(response, "Content-Range").AsSpan();
        if (!text.StartsWith("bytes ", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        text = text[6..].Trim();
        var dash = text.IndexOf('-');
        var slash = text.IndexOf('/');
        if (dash <= 0 || slash < dash
            || !long.TryParse(text[..dash], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            || !long.TryParse(text[(dash + 1)..slash], NumberStyles.None, CultureInfo.InvariantCulture, out var last)
            || !long.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out size)
            || last < first || last >= size)
        {
            return false;
        }

        span = new ByteSpan(first, last - first + 1);
        return true;
    }

    private static string? Raw(HttpResponseMessage response, string name)
        => response.Headers.NonValidated.TryGetValues(name, out var values) || response.Content.Headers.NonValidated.TryGetValues(name, out values)
            ? values.ToString() : null;

    private static DateTimeOffset LastModified(HttpResponseMessage response)
        => DateTimeOffset.TryParseExact(Header(response, "Last-Modified"), "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var modified)
            ? modified
            // A store that does not say is as good as one that says "long ago"; clients only need it to be a date.
            : DateTimeOffset.UnixEpoch;
}
