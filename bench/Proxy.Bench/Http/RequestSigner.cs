using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth.Hashing;

namespace Proxy.Bench.Http;

/// <summary>A header beside those every request has.</summary>
/// <param name="Name">Lower case.</param>
internal readonly record struct RequestHeader(string Name, string Value, bool IsSigned = true);

/// <summary>Writes a request's head with an AWS Signature Version 4 for one target.</summary>
/// <remarks>
/// The bench signs with code of its own rather than Proxy.S3's: a client that shared the server's canonical request would
/// agree with the server's mistakes; only the hash is shared. Keys are encoded as they are written, and signed as sent. Keeps what the next chunk's signature grows
/// from. Not thread-safe: one per connection.
/// </remarks>
internal sealed class RequestSigner(S3Target target, TimeProvider time)
{
    public const string EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    public const string StreamingPayload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    public const string TrailerPayload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    public const string UnsignedPayload = "UNSIGNED-PAYLOAD";

    /// <summary>Of a signature in hexadecimal digits.</summary>
    public const int SignatureBytes = 2 * SHA256.HashSizeInBytes;

    /// <summary>The longest head: a key of 1,024 bytes, each of them encoded as three, a query and the headers.</summary>
    public const int HeadBytes = 16 << 10;

    private static readonly SearchValues<char> Unreserved = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/");

    private readonly byte[] _host = Encoding.ASCII.GetBytes(target.HostHeader);
    private readonly byte[] _canonical = new byte[HeadBytes];
    private readonly byte[] _signed = new byte[512];
    private readonly byte[] _digest = new byte[SHA256.HashSizeInBytes];
    private readonly byte[] _signature = new byte[SignatureBytes];
    private readonly SigningScope _scope = new(target, time);
    private byte[] _chunkToSign = [];

    /// <summary>The signature of the last request's head, or of its last chunk.</summary>
    public ReadOnlySpan<byte> Signature => _signature;

    /// <summary>Writes the request line, every header and the empty line.</summary>
    /// <param name="key">Not encoded; null for the bucket itself.</param>
    /// <param name="query">Encoded, sorted by name, each as <c>name=value</c>; empty when there is none.</param>
    /// <param name="payloadHash">Value of x-amz-content-sha256.</param>
    /// <param name="headers">Sorted by name.</param>
    /// <returns>How many bytes of <paramref name="into"/> it takes.</returns>
    public int WriteHead(Span<byte> into, string method, string? key, string query, string payloadHash, ReadOnlySpan<RequestHeader> headers)
    {
        RenewTimestamp();
        var head = new HeadBuffer(into);
        head.Append(method);
        head.Append(" "u8);
        var pathFrom = head.Length;
        head.Append("/"u8);
        head.Append(target.Bucket);
        if (key is not null)
        {
            head.Append(target.Bucket.Length > 0 ? "/"u8 : ""u8);    // none where the host names the bucket
            head.AppendEncoded(key);
        }

        var path = into[pathFrom..head.Length];
        if (query.Length > 0)
        {
            head.Append("?"u8);
            head.Append(query);
        }

        head.Append(" HTTP/1.1\r\nHost: "u8);
        head.Append(_host);
        head.Append("\r\nUser-Agent: proxy-bench\r\nx-amz-content-sha256: "u8);
        head.Append(payloadHash);
        head.Append("\r\nx-amz-date: "u8);
        head.Append(_scope.Stamp);
        head.Append("\r\n"u8);
        foreach (var header in headers)
        {
            head.Append(header.Name);
            head.Append(": "u8);
            head.Append(header.Value);
            head.Append("\r\n"u8);
        }

        var names = Sign(method, path, query, payloadHash, headers);

        // minio-go leaves out the blanks where it signs chunks, and has them elsewhere as the AWS SDKs do.
        var isStreaming = ReferenceEquals(payloadHash, StreamingPayload);
        head.Append(_scope.Credential);
        head.Append(isStreaming ? ",SignedHeaders="u8 : ", SignedHeaders="u8);
        head.Append(_signed.AsSpan(0, names));
        head.Append(isStreaming ? ",Signature="u8 : ", Signature="u8);
        head.Append(_signature);
        head.Append("\r\n\r\n"u8);
        return head.Length;
    }

    /// <summary>Signs the next chunk of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD body; <see cref="Signature"/> has the result.</summary>
    public void SignChunk(ReadOnlySpan<byte> chunk) => SignChunk(_signature, chunk);

    /// <param name="previous">Of the chunk before, or of the head.</param>
    internal void SignChunk(ReadOnlySpan<byte> previous, ReadOnlySpan<byte> chunk)
    {
        // …previous \n hash of no headers \n hash of the chunk
        var end = _chunkToSign.Length;
        previous.CopyTo(_chunkToSign.AsSpan(end - (3 * SignatureBytes) - 2));
        SHA256.HashData(chunk, _digest);
        _ = Convert.TryToHexStringLower(_digest, _chunkToSign.AsSpan(end - SignatureBytes), out _);
        _scope.Sign(_chunkToSign, _signature);
    }

    /// <summary>Percent-encodes everything but RFC 3986 unreserved characters and <c>/</c>, as S3's canonical path has it.</summary>
    public static string EncodePath(string path)
    {
        Span<byte> bytes = new byte[9 * path.Length];
        var encoded = new HeadBuffer(bytes);
        encoded.AppendEncoded(path);
        return Encoding.ASCII.GetString(bytes[..encoded.Length]);
    }

    /// <returns>How many bytes of <see cref="_signed"/> are the names of the signed headers.</returns>
    private int Sign(string method, ReadOnlySpan<byte> path, string query, string payloadHash, ReadOnlySpan<RequestHeader> headers)
    {
        var canonical = new HeadBuffer(_canonical);
        var names = new HeadBuffer(_signed);
        canonical.Append(method);
        canonical.Append("\n"u8);
        canonical.Append(path);
        canonical.Append("\n"u8);
        canonical.Append(query);
        canonical.Append("\n"u8);

        // The three that every request has fall in where the alphabet puts them.
        var next = 0;
        AppendBefore("host", ref canonical, ref names, headers, ref next);
        canonical.Append("host:"u8);
        canonical.Append(_host);
        names.Append(names.Length > 0 ? ";host"u8 : "host"u8);
        AppendBefore("x-amz-content-sha256", ref canonical, ref names, headers, ref next);
        canonical.Append("\nx-amz-content-sha256:"u8);
        canonical.Append(payloadHash);
        names.Append(";x-amz-content-sha256"u8);
        AppendBefore("x-amz-date", ref canonical, ref names, headers, ref next);
        canonical.Append("\nx-amz-date:"u8);
        canonical.Append(_scope.Stamp);
        names.Append(";x-amz-date"u8);
        AppendBefore("~", ref canonical, ref names, headers, ref next);

        canonical.Append("\n\n"u8);
        canonical.Append(_signed.AsSpan(0, names.Length));
        canonical.Append("\n"u8);
        canonical.Append(payloadHash);
        Sha256.Hash(_canonical.AsSpan(0, canonical.Length), _digest);
        _scope.SignRequest(_digest, _signature);
        return names.Length;
    }

    private static void AppendBefore(string name, ref HeadBuffer canonical, ref HeadBuffer names, ReadOnlySpan<RequestHeader> headers, ref int next)
    {
        for (; next < headers.Length && string.CompareOrdinal(headers[next].Name, name) < 0; next++)
        {
            if (!headers[next].IsSigned)
            {
                continue;
            }

            // Before host come whole lines; after it each line begins with the end of the one before.
            var isFirst = string.CompareOrdinal(headers[next].Name, "host") < 0;
            canonical.Append(isFirst ? ""u8 : "\n"u8);
            canonical.Append(headers[next].Name);
            canonical.Append(":"u8);
            canonical.Append(headers[next].Value);
            canonical.Append(isFirst ? "\n"u8 : ""u8);
            names.Append(names.Length > 0 ? ";"u8 : ""u8);
            names.Append(headers[next].Name);
        }
    }

    private void RenewTimestamp()
    {
        if (_scope.Renew())
        {
            _chunkToSign = Encoding.ASCII.GetBytes($"AWS4-HMAC-SHA256-PAYLOAD\n{_scope.Time}\n{_scope.Name}\n{SigningScope.NoHash}\n{EmptyPayload}\n{SigningScope.NoHash}");
        }
    }

    private ref struct HeadBuffer(Span<byte> into)
    {
        private readonly Span<byte> _into = into;

        public int Length { get; private set; }

        public void Append(scoped ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_into[Length..]);
            Length += bytes.Length;
        }

        public void Append(string text) => Length += Encoding.ASCII.GetBytes(text, _into[Length..]);

        public void AppendEncoded(string path)
        {
            if (path.AsSpan().IndexOfAnyExcept(Unreserved) < 0)
            {
                Append(path);
                return;
            }

            Span<byte> utf8 = stackalloc byte[4];
            foreach (var rune in path.EnumerateRunes())
            {
                if (rune.IsAscii && Unreserved.Contains((char)rune.Value))
                {
                    _into[Length++] = (byte)rune.Value;
                    continue;
                }

                foreach (var value in utf8[..rune.EncodeToUtf8(utf8)])
                {
                    _into[Length++] = (byte)'%';
                    _into[Length++] = (byte)"0123456789ABCDEF"[value >> 4];
                    _into[Length++] = (byte)"0123456789ABCDEF"[value & 15];
                }
            }
        }
    }
}
