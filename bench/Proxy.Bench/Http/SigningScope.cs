using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth.Hashing;

namespace Proxy.Bench.Http;

/// <summary>What AWS Signature Version 4 derives from the clock: the timestamp, the day's signing key and the text around each hash. Renewed once a second.</summary>
/// <remarks>Signing allocates nothing. Not thread-safe: one per connection or thread.</remarks>
internal sealed class SigningScope(S3Target target, TimeProvider time)
{
    private const string Timestamp = "yyyyMMdd'T'HHmmss'Z'";

    private readonly byte[] _stamp = new byte[16];
    private readonly byte[] _digest = new byte[SHA256.HashSizeInBytes];
    private HmacSha256? _hmac;
    private byte[] _credential = [];
    private byte[] _toSign = [];
    private long _second;

    /// <summary>Stands for a hash that is written in later.</summary>
    public static string NoHash { get; } = new('0', 2 * SHA256.HashSizeInBytes);

    /// <summary>Of x-amz-date.</summary>
    public string Time { get; private set; } = "";

    /// <summary>As <c>day/region/s3/aws4_request</c>.</summary>
    public string Name { get; private set; } = "";

    /// <summary><see cref="Time"/> in ASCII.</summary>
    public ReadOnlySpan<byte> Stamp => _stamp;

    /// <summary>The Authorization header as far as the credential.</summary>
    public ReadOnlySpan<byte> Credential => _credential;

    /// <summary>Takes the time for the next request.</summary>
    /// <returns>True when it is another second, and with it everything here.</returns>
    public bool Renew()
    {
        var now = time.GetUtcNow();
        var second = now.UtcTicks / TimeSpan.TicksPerSecond;
        if (second == _second)
        {
            return false;
        }

        var text = now.ToString(Timestamp, CultureInfo.InvariantCulture);
        var day = text[..8];
        if (!Time.StartsWith(day, StringComparison.Ordinal))
        {
            _hmac = new HmacSha256(DeriveKey(target, day));
        }

        (_second, Time, Name) = (second, text, $"{day}/{target.Region}/s3/aws4_request");
        Encoding.ASCII.GetBytes(text, _stamp);
        _credential = Encoding.ASCII.GetBytes($"Authorization: AWS4-HMAC-SHA256 Credential={target.AccessKey}/{Name}");
        _toSign = Encoding.ASCII.GetBytes($"AWS4-HMAC-SHA256\n{Time}\n{Name}\n{NoHash}");
        return true;
    }

    /// <param name="canonicalHash">SHA-256 of the canonical request.</param>
    /// <param name="hex">The signature, in hexadecimal digits.</param>
    public void SignRequest(ReadOnlySpan<byte> canonicalHash, Span<byte> hex)
    {
        _ = Convert.TryToHexStringLower(canonicalHash, _toSign.AsSpan(_toSign.Length - NoHash.Length), out _);
        Sign(_toSign, hex);
    }

    /// <summary>Signs a text of the caller's own, as chunks have it.</summary>
    public void Sign(ReadOnlySpan<byte> toSign, Span<byte> hex)
    {
        _hmac!.Sign(toSign, _digest);
        _ = Convert.TryToHexStringLower(_digest, hex, out _);
    }

    /// <param name="day">As yyyyMMdd.</param>
    public static byte[] DeriveKey(S3Target target, string day)
    {
        var key = HMACSHA256.HashData(Encoding.UTF8.GetBytes("AWS4" + target.SecretKey), Encoding.UTF8.GetBytes(day));
        key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(target.Region));
        key = HMACSHA256.HashData(key, "s3"u8);
        return HMACSHA256.HashData(key, "aws4_request"u8);
    }
}
