using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Operations.Wire;

/// <summary>How a request proves who sent it.</summary>
internal enum Signing
{
    Header,
    Presigned,
    None,
}

/// <summary>A request to be signed and sent, and what is to be wrong with it.</summary>
/// <param name="Target">The raw request target.</param>
internal sealed record WireRequest(string Method, string Target)
{
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>Sent beside the others and not signed.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> UnsignedHeaders { get; init; } = [];

    public byte[] Body { get; init; } = [];

    /// <summary>x-amz-content-sha256; null is the hex SHA-256 of the body. The streaming modes frame the body.</summary>
    public string? PayloadHash { get; init; }

    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>Of the streaming modes with a trailer.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? Trailers { get; init; }

    /// <summary>Transfer-Encoding: chunked instead of a Content-Length.</summary>
    public bool Chunked { get; init; }

    /// <summary>Sends no Content-Length at all.</summary>
    public bool WithoutLength { get; init; }

    /// <summary>Changes the body, already framed, after all of it was signed.</summary>
    public Action<byte[]>? Corrupt { get; init; }

    public Signing Signing { get; init; }

    public TimeSpan Expires { get; init; } = TimeSpan.FromMinutes(5);

    public Credential? Credential { get; init; }

    public string Region { get; init; } = "us-east-1";

    /// <summary>How far the client's clock is ahead.</summary>
    public TimeSpan ClockOffset { get; init; }

    /// <summary>The Host header; null is the endpoint's own.</summary>
    public string? Host { get; init; }
}
