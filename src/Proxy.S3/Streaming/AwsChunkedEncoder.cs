using Proxy.S3.Auth;

namespace Proxy.S3.Streaming;

/// <summary>Frames a body as aws-chunked the way clients do. For the bench and tests; the proxy itself only decodes.</summary>
public static class AwsChunkedEncoder
{
    /// <summary>The Content-Length of the encoded body.</summary>
    public static long EncodedLength(long length, int chunkSize, bool signed, IReadOnlyList<KeyValuePair<string, string>>? trailers = null) => throw new NotSupportedException("Not built yet.");

    /// <param name="signer">Null frames without signatures.</param>
    /// <param name="trailers">Null: none (and no trailer section).</param>
    public static byte[] Encode(ReadOnlySpan<byte> body, int chunkSize, ChunkSigner? signer, IReadOnlyList<KeyValuePair<string, string>>? trailers = null) => throw new NotSupportedException("Not built yet.");
}
