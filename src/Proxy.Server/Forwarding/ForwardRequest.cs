using Proxy.S3.Checksums;
using Proxy.S3.Requests;

namespace Proxy.Server.Forwarding;

/// <summary>One authenticated request on its way to a remote backend: what of it is not simply copied.</summary>
/// <remarks>Used by one request.</remarks>
public sealed record ForwardRequest
{
    /// <summary>S3's name of the operation, for metrics; <c>Unknown</c> when the proxy does not know it.</summary>
    public required string Operation { get; init; }

    /// <summary>As the route names it; the forwarder applies the backend's bucket map. Null for the service itself.</summary>
    public string? Bucket { get; init; }

    /// <summary>As the client names it: what XML answers say in place of the backend's name. Null when it is <see cref="Bucket"/>.</summary>
    public string? ClientBucket { get; init; }

    /// <summary>The backend's name for the bucket of x-amz-copy-source; null leaves it to the backend's bucket map.</summary>
    public string? CopySourceBucket { get; init; }

    /// <summary>The key percent-encoded exactly as the client sent it, without the slash before it; null for the bucket or the service.</summary>
    public string? RawKey { get; init; }

    /// <summary>The query exactly as the client sent it, without the question mark. The forwarder takes presigning parameters out.</summary>
    public string? RawQuery { get; init; }

    /// <summary>The names under the client's signature, joined by semicolons; asked for only where the client sent a Connection header.</summary>
    public string SignedHeaders { get; init; } = "";

    /// <summary>
    /// The decoded body, verified while it is read; null for none. What it throws reaches no store: the last bytes are held back until
    /// its end was seen, so a body that fails its check is always cut short of what was declared.
    /// </summary>
    public Stream? Body { get; init; }

    /// <summary>Decoded length in bytes; null when only the end of <see cref="Body"/> tells (sent chunked, which many stores refuse).</summary>
    public long? BodyLength { get; init; }

    /// <summary>Lower-case hex SHA-256 of the decoded body when the client declared it and <see cref="Body"/> verifies it; null for UNSIGNED-PAYLOAD.</summary>
    public string? BodySha256 { get; init; }

    /// <summary>The checksum that the client sent behind <see cref="Body"/>; null when it sent none. Needs a <see cref="BodyLength"/>.</summary>
    public TrailingChecksum? Trailer { get; init; }

    /// <summary>
    /// Hold the backend's document (up to 8 MiB) until it is whole, for operations that can answer 200 with an Error inside:
    /// CompleteMultipartUpload, CopyObject, UploadPartCopy, DeleteObjects. White space before it, which keeps a client waiting, goes on as it comes.
    /// </summary>
    public bool BufferResponse { get; init; }

    /// <summary>
    /// A GET or HEAD that can wait, such as a listing: it takes its turn among the proxy's own reads, and 503 is answered by asking again. Reads of the
    /// write-ahead log are none.
    /// </summary>
    public bool IsPaced { get; init; }

    /// <summary>Runs when the backend's answer is known and before the client sees any of it; with <see cref="BufferResponse"/> when it is whole, and before the client sees any of its document.</summary>
    public Func<BackendResponse, CancellationToken, ValueTask>? OnResponse { get; init; }

    /// <summary>The part of a forward that the request's target says: bucket, key and query, spelled as they came.</summary>
    /// <remarks>But for a bare <c>+</c>, which S3 has taken for a space: to the cache and the credential it is a plus sign, and so it is to everybody when it is spelled out.</remarks>
    public static ForwardRequest To(in S3Target target, string operation) => new()
    {
        Operation = operation,
        Bucket = target.HasBucket ? target.Bucket : null,
        RawKey = target.HasKey ? target.RawKey.ToString().Replace("+", "%2B", StringComparison.Ordinal) : null,
        RawQuery = target.Query.IsEmpty ? null : target.Query.Raw.ToString(),
    };
}

/// <summary>A checksum that was announced in x-amz-trailer.</summary>
/// <param name="Value">Base64, as verified; asked for after the last byte of the body.</param>
public sealed record TrailingChecksum(ChecksumAlgorithm Algorithm, Func<string> Value);
