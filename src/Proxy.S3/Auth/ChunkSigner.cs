namespace Proxy.S3.Auth;

/// <summary>The chain of chunk signatures of one streaming body: each signs its chunk and the signature before.</summary>
/// <remarks>API Reference, "Signature calculations: transferring payload in multiple chunks". Used by one body; not thread-safe.</remarks>
public sealed class ChunkSigner
{
    internal ChunkSigner(SigningKey key, string timestamp, string scope, ReadOnlySpan<byte> seedSignatureHex) => throw new NotSupportedException("Not built yet.");

    /// <summary>The signature of the next chunk as 64 lower-case hex characters, valid until the next call; it becomes the previous one of the chunk after.</summary>
    public ReadOnlySpan<byte> SignChunk(ReadOnlySpan<byte> chunkSha256) => throw new NotSupportedException("Not built yet.");

    /// <summary>The same for the trailers after the last chunk.</summary>
    public ReadOnlySpan<byte> SignTrailer(ReadOnlySpan<byte> trailerSha256) => throw new NotSupportedException("Not built yet.");
}
