using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth;

namespace Proxy.S3.Streaming;

/// <summary>Frames a body as aws-chunked the way clients do. A whole body at once, for the bench and tests; what the proxy forwards is <see cref="AwsChunkedStream"/>.</summary>
public static class AwsChunkedEncoder
{
    private const int SignatureExtension = 81;

    /// <summary>The Content-Length of the encoded body.</summary>
    /// <param name="signed">Chunks carry signatures, and so do trailers if there are any.</param>
    public static long EncodedLength(long length, int chunkSize, bool signed, IReadOnlyList<KeyValuePair<string, string>>? trailers = null)
    {
        long total = 0;
        var whole = length / chunkSize;
        var rest = length % chunkSize;
        total += whole * (HeaderLength(chunkSize, signed) + chunkSize + 2);
        total += rest > 0 ? HeaderLength(rest, signed) + rest + 2 : 0;
        total += HeaderLength(0, signed) + 2;
        foreach (var (name, value) in trailers ?? [])
        {
            total += name.Length + value.Length + 3;
        }

        return total + (signed && trailers is not null ? 24 + 64 + 2 : 0);
    }

    /// <param name="signer">Null frames without signatures.</param>
    /// <param name="trailers">Null: no trailer section.</param>
    public static byte[] Encode(ReadOnlySpan<byte> body, int chunkSize, ChunkSigner? signer, IReadOnlyList<KeyValuePair<string, string>>? trailers = null)
    {
        var output = new ArrayBufferWriter<byte>(checked((int)EncodedLength(body.Length, chunkSize, signer is not null, trailers)));
        while (!body.IsEmpty)
        {
            var chunk = body[..Math.Min(body.Length, chunkSize)];
            WriteHeader(output, chunk, signer);
            output.Write(chunk);
            output.Write("\r\n"u8);
            body = body[chunk.Length..];
        }

        WriteHeader(output, [], signer);
        if (trailers is not null)
        {
            WriteTrailers(output, signer, trailers);
        }

        output.Write("\r\n"u8);
        return output.WrittenSpan.ToArray();
    }

    private static void WriteHeader(IBufferWriter<byte> output, ReadOnlySpan<byte> chunk, ChunkSigner? signer)
    {
        Encoding.ASCII.GetBytes(chunk.Length.ToString("x", CultureInfo.InvariantCulture), output);
        if (signer is not null)
        {
            output.Write(";chunk-signature="u8);
            output.Write(signer.SignChunk(SHA256.HashData(chunk)));
        }

        output.Write("\r\n"u8);
    }

    private static void WriteTrailers(IBufferWriter<byte> output, ChunkSigner? signer, IReadOnlyList<KeyValuePair<string, string>> trailers)
    {
        var signed = new StringBuilder();
        foreach (var (name, value) in trailers)
        {
            signed.Append(name).Append(':').Append(value).Append('\n');
            Encoding.ASCII.GetBytes($"{name}:{value}\r\n", output);
        }

        if (signer is not null)
        {
            output.Write("x-amz-trailer-signature:"u8);
            output.Write(signer.SignTrailer(SHA256.HashData(Encoding.ASCII.GetBytes(signed.ToString()))));
            output.Write("\r\n"u8);
        }
    }

    private static long HeaderLength(long chunkLength, bool signed)
        => chunkLength.ToString("x", CultureInfo.InvariantCulture).Length + (signed ? SignatureExtension : 0) + 2;
}
