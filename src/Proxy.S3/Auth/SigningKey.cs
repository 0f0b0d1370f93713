using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth.Hashing;

namespace Proxy.S3.Auth;

/// <summary>A SigV4 signing key: derived from a secret for one day, region and service, and ready for use.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class SigningKey
{
    private readonly HmacSha256 _hmac;
    private readonly string _date;
    private readonly string _region;
    private readonly string _service;

    private SigningKey(byte[] key, string date, string region, string service)
    {
        _hmac = new HmacSha256(key);
        _date = date;
        _region = region;
        _service = service;
    }

    public bool IsFor(ReadOnlySpan<char> date, ReadOnlySpan<char> region, ReadOnlySpan<char> service)
        => date.SequenceEqual(_date) && region.SequenceEqual(_region) && service.SequenceEqual(_service);

    /// <summary>API Reference, "Signature calculations", task 3.</summary>
    public static SigningKey Derive(string secret, ReadOnlySpan<char> date, ReadOnlySpan<char> region, ReadOnlySpan<char> service)
    {
        var key = HMACSHA256.HashData(Encoding.UTF8.GetBytes("AWS4" + secret), Bytes(date));
        key = HMACSHA256.HashData(key, Bytes(region));
        key = HMACSHA256.HashData(key, Bytes(service));
        key = HMACSHA256.HashData(key, "aws4_request"u8);
        return new SigningKey(key, date.ToString(), region.ToString(), service.ToString());
    }

    /// <summary>A signature of 32 bytes.</summary>
    public void Sign(ReadOnlySpan<byte> stringToSign, Span<byte> signature) => _hmac.Sign(stringToSign, signature);

    private static byte[] Bytes(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }
}
