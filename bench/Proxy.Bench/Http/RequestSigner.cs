using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Proxy.Bench.Http;

/// <summary>What a signed request's chunk signatures grow from.</summary>
internal readonly record struct RequestSignature(string Hex, string Timestamp, string Scope, byte[] SigningKey);

/// <summary>Writes a request's head with an AWS Signature Version 4 for one target.</summary>
/// <remarks>
/// The bench signs with code of its own rather than Proxy.S3's: a client that shared the server's canonical request would
/// agree with the server's mistakes. Keys are encoded once by the caller (<see cref="EncodePath"/>) and signed as sent.
/// Not thread-safe: one per connection.
/// </remarks>
internal sealed class RequestSigner(S3Target target, TimeProvider time)
{
    public const string EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    public const string StreamingPayload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

    private readonly StringBuilder _canonical = new(512);
    private string _date = "";
    private byte[] _signingKey = [];

    /// <summary>Appends the request line, every header and the empty line.</summary>
    /// <param name="path">Encoded path, with the bucket.</param>
    /// <param name="query">Encoded query, sorted by name, each as <c>name=value</c>; empty when there is none.</param>
    /// <param name="payloadHash">Value of x-amz-content-sha256.</param>
    /// <param name="amzHeaders">Further x-amz-* headers, lower case, sorted by name after x-amz-date; signed.</param>
    /// <param name="plainHeaders">Headers sent without being signed (Range, If-Match, Content-Length…), as lines ending in CRLF.</param>
    public RequestSignature WriteHead(
        StringBuilder head, string method, string path, string query, string payloadHash,
        ReadOnlySpan<KeyValuePair<string, string>> amzHeaders, string plainHeaders)
    {
        var now = time.GetUtcNow();
        var timestamp = now.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        if (!timestamp.StartsWith(_date, StringComparison.Ordinal) || _date.Length == 0)
        {
            _date = timestamp[..8];
            _signingKey = DeriveKey(target, _date);
        }

        _canonical.Clear();
        _canonical.Append(method).Append('\n').Append(path).Append('\n').Append(query).Append('\n')
            .Append("host:").Append(target.HostHeader).Append('\n')
            .Append("x-amz-content-sha256:").Append(payloadHash).Append('\n')
            .Append("x-amz-date:").Append(timestamp).Append('\n');
        var signedHeaders = "host;x-amz-content-sha256;x-amz-date";
        foreach (var (name, value) in amzHeaders)
        {
            _canonical.Append(name).Append(':').Append(value).Append('\n');
            signedHeaders += ";" + name;
        }

        _canonical.Append('\n').Append(signedHeaders).Append('\n').Append(payloadHash);

        var scope = $"{_date}/{target.Region}/s3/aws4_request";
        var signature = Sign(_signingKey, $"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{HexSha256(_canonical.ToString())}");

        head.Append(method).Append(' ').Append(path);
        if (query.Length > 0)
        {
            head.Append('?').Append(query);
        }

        head.Append(" HTTP/1.1\r\nHost: ").Append(target.HostHeader)
            .Append("\r\nUser-Agent: proxy-bench\r\nx-amz-content-sha256: ").Append(payloadHash)
            .Append("\r\nx-amz-date: ").Append(timestamp).Append("\r\n");
        foreach (var (name, value) in amzHeaders)
        {
            head.Append(name).Append(": ").Append(value).Append("\r\n");
        }

        head.Append(plainHeaders)
            .Append("Authorization: AWS4-HMAC-SHA256 Credential=").Append(target.AccessKey).Append('/').Append(scope)
            .Append(", SignedHeaders=").Append(signedHeaders).Append(", Signature=").Append(signature).Append("\r\n\r\n");
        return new RequestSignature(signature, timestamp, scope, _signingKey);
    }

    /// <summary>The signature of one chunk of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD body.</summary>
    public static string SignChunk(in RequestSignature seed, string previous, ReadOnlySpan<byte> chunk)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(chunk, hash);
        return Sign(
            seed.SigningKey,
            $"AWS4-HMAC-SHA256-PAYLOAD\n{seed.Timestamp}\n{seed.Scope}\n{previous}\n{EmptyPayload}\n{Convert.ToHexStringLower(hash)}");
    }

    /// <summary>Percent-encodes everything but RFC 3986 unreserved characters and <c>/</c>, as S3's canonical path has it.</summary>
    public static string EncodePath(string path)
    {
        var encoded = new StringBuilder(path.Length + 16);
        foreach (var value in Encoding.UTF8.GetBytes(path))
        {
            if (char.IsAsciiLetterOrDigit((char)value) || value is (byte)'/' or (byte)'-' or (byte)'_' or (byte)'.' or (byte)'~')
            {
                encoded.Append((char)value);
            }
            else
            {
                encoded.Append('%').Append(value.ToString("X2", CultureInfo.InvariantCulture));
            }
        }

        return encoded.ToString();
    }

    /// <param name="date">As yyyyMMdd.</param>
    public static byte[] DeriveKey(S3Target target, string date)
    {
        var key = HMACSHA256.HashData(Encoding.UTF8.GetBytes("AWS4" + target.SecretKey), Encoding.UTF8.GetBytes(date));
        key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(target.Region));
        key = HMACSHA256.HashData(key, "s3"u8);
        return HMACSHA256.HashData(key, "aws4_request"u8);
    }

    private static string HexSha256(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static string Sign(byte[] key, string text) => Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));
}
