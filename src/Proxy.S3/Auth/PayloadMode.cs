using System.Buffers;

namespace Proxy.S3.Auth;

/// <summary>How a request says its body is framed and protected: the x-amz-content-sha256 header.</summary>
public enum PayloadMode
{
    /// <summary><c>UNSIGNED-PAYLOAD</c>, and presigned requests that say nothing.</summary>
    Unsigned,

    /// <summary>The hex SHA-256 of the body.</summary>
    SignedSha256,

    /// <summary><c>STREAMING-AWS4-HMAC-SHA256-PAYLOAD</c>: aws-chunked, each chunk signed.</summary>
    StreamingSigned,

    /// <summary><c>STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER</c>: the same and signed trailers.</summary>
    StreamingSignedTrailer,

    /// <summary><c>STREAMING-UNSIGNED-PAYLOAD-TRAILER</c>: aws-chunked without signatures, with trailers.</summary>
    StreamingUnsignedTrailer,
}

/// <summary>The names of the modes on the wire.</summary>
public static class PayloadHash
{
    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdefABCDEF");

    public const string Unsigned = "UNSIGNED-PAYLOAD";
    public const string StreamingSigned = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    public const string StreamingSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    public const string StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

    /// <summary>Hex SHA-256 of no bytes.</summary>
    public const string Empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// <summary>False when the value is none of the five forms.</summary>
    public static bool TryParse(ReadOnlySpan<char> value, out PayloadMode mode)
    {
        switch (value)
        {
            case Unsigned:
                mode = PayloadMode.Unsigned;
                return true;
            case StreamingSigned:
                mode = PayloadMode.StreamingSigned;
                return true;
            case StreamingSignedTrailer:
                mode = PayloadMode.StreamingSignedTrailer;
                return true;
            case StreamingUnsignedTrailer:
                mode = PayloadMode.StreamingUnsignedTrailer;
                return true;
            default:
                mode = PayloadMode.SignedSha256;
                return value.Length == 64 && !value.ContainsAnyExcept(HexDigits);
        }
    }
}
