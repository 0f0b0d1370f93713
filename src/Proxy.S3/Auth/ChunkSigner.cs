using System.Security.Cryptography;
using System.Text;

namespace Proxy.S3.Auth;

/// <summary>The chain of chunk signatures of one streaming body: each signs its chunk and the signature before.</summary>
/// <remarks>API Reference, "Signature calculations: transferring payload in multiple chunks". Used by one body; not thread-safe.</remarks>
public sealed class ChunkSigner
{
    private const int SignatureLength = 64;

    private readonly SigningKey _key;

    // Algorithm line, timestamp, scope, previous signature, hash of nothing: only the previous signature ever changes.
    private readonly byte[] _chunkPrefix;
    private readonly byte[] _trailerPrefix;
    private readonly byte[] _previous = new byte[SignatureLength];

    internal ChunkSigner(SigningKey key, ReadOnlySpan<char> timestamp, ReadOnlySpan<char> scope, ReadOnlySpan<byte> seedSignatureHex)
    {
        _key = key;
        _chunkPrefix = Encoding.UTF8.GetBytes($"AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n");
        _trailerPrefix = Encoding.UTF8.GetBytes($"AWS4-HMAC-SHA256-TRAILER\n{timestamp}\n{scope}\n");
        seedSignatureHex.CopyTo(_previous);
    }

    /// <summary>The signature of the next chunk as 64 lower-case hex characters, valid until the next call; it becomes the previous one of the chunk after.</summary>
    public ReadOnlySpan<byte> SignChunk(ReadOnlySpan<byte> chunkSha256)
    {
        var text = new Utf8Builder(stackalloc byte[512]);
        text.Append(_chunkPrefix);
        text.Append(_previous);
        text.Append("\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"u8);
        Sign(ref text, chunkSha256);
        return _previous;
    }

    /// <summary>The same for the trailers after the last chunk: over <c>name:value\n</c> of each.</summary>
    public ReadOnlySpan<byte> SignTrailer(ReadOnlySpan<byte> trailerSha256)
    {
        var text = new Utf8Builder(stackalloc byte[512]);
        text.Append(_trailerPrefix);
        text.Append(_previous);
        text.Append((byte)'\n');
        Sign(ref text, trailerSha256);
        return _previous;
    }

    /// <summary>Compares in constant time, whatever case the client wrote its hex in.</summary>
    internal static bool Matches(ReadOnlySpan<byte> expectedHex, ReadOnlySpan<byte> providedHex)
    {
        Span<byte> expected = stackalloc byte[CanonicalRequest.HashLength];
        Span<byte> provided = stackalloc byte[CanonicalRequest.HashLength];
        return providedHex.Length == SignatureLength
            && Convert.FromHexString(expectedHex, expected, out _, out _) == System.Buffers.OperationStatus.Done
            && Convert.FromHexString(providedHex, provided, out _, out _) == System.Buffers.OperationStatus.Done
            && CryptographicOperations.FixedTimeEquals(expected, provided);
    }

    private void Sign(ref Utf8Builder text, ReadOnlySpan<byte> sha256)
    {
        Span<byte> signature = stackalloc byte[CanonicalRequest.HashLength];
        text.AppendHex(sha256);
        _key.Sign(text.Written, signature);
        text.Dispose();
        Convert.TryToHexStringLower(signature, _previous, out _);
    }
}
