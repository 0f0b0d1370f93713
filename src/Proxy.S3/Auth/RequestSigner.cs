namespace Proxy.S3.Auth;

/// <summary>What a signed request carries beside what was signed.</summary>
/// <param name="AmzDate">x-amz-date.</param>
/// <param name="ContentSha256">x-amz-content-sha256.</param>
/// <param name="SecurityToken">x-amz-security-token; null when the credential has none.</param>
public readonly record struct RequestSignature(string Authorization, string AmzDate, string ContentSha256, string? SecurityToken)
{
    /// <summary>Signs the chunks of a streaming body that follows; null for other payloads.</summary>
    public ChunkSigner? Chunks { get; init; }
}

/// <summary>Signs outgoing requests with SigV4.</summary>
/// <remarks>Used by forwarding, the bench and tests. Thread-safe.</remarks>
public sealed class RequestSigner(string region, TimeProvider time)
{
    /// <param name="rawTarget">Path and query as they will stand in the request line.</param>
    /// <param name="host">As the Host header will have it, with the port unless it is the scheme's own.</param>
    /// <param name="headers">Every header to be signed beside host, x-amz-date, x-amz-content-sha256 and x-amz-security-token, which are added: all x-amz-* that are
    /// sent, and nothing that a hop may change.</param>
    /// <param name="payloadHash">Hex SHA-256 of the body or one of <see cref="PayloadHash"/>.</param>
    public RequestSignature Sign(
        string method, string rawTarget, string host, IReadOnlyList<KeyValuePair<string, string>> headers, string payloadHash, Credential credential)
    {
        _ = (region, time);
        throw new NotSupportedException("Not built yet.");
    }

    /// <summary>The target with a presigned query: anybody may send it to <paramref name="host"/> until it expires.</summary>
    public string Presign(
        string method, string rawTarget, string host, IReadOnlyList<KeyValuePair<string, string>> headers, TimeSpan expires, Credential credential)
        => throw new NotSupportedException("Not built yet.");
}
