using System.Globalization;
using System.Text;
using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.S3.Auth;

/// <summary>The refusals of authentication, with S3's own texts.</summary>
internal static class SignatureErrors
{
    public static S3Exception BadContentSha256(string value) => new(
        S3ErrorCode.InvalidArgument,
        message: "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
    {
        Details = [new("ArgumentName", "x-amz-content-sha256"), new("ArgumentValue", value)],
    };

    public static S3Exception MissingContentSha256() => new(S3ErrorCode.InvalidRequest, message: "Missing required header for this request: x-amz-content-sha256");

    public static S3Exception Unsupported() => new(
        S3ErrorCode.InvalidRequest, message: "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.");

    /// <summary>Signature Version 2 is understood, and refused.</summary>
    public static S3Exception Version2() => new(
        S3ErrorCode.AccessDenied, message: "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.");

    public static S3Exception SeveralMechanisms() => new(
        S3ErrorCode.InvalidArgument,
        message: "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified");

    public static S3Exception MissingDate() => new(S3ErrorCode.AccessDenied, message: "AWS authentication requires a valid Date or x-amz-date header");

    public static S3Exception NotSigned(string headers) => new(S3ErrorCode.AccessDenied, message: "There were headers present in the request which were not signed")
    {
        Details = [new("HeadersNotSigned", headers)],
    };

    public static S3Exception UnknownKey(string accessKey) => new(S3ErrorCode.InvalidAccessKeyId) { Details = [new("AWSAccessKeyId", accessKey)] };

    /// <summary>About the header or, for a presigned request, the query.</summary>
    public static S3Exception Malformed(bool presigned, string what) => presigned
        ? new(S3ErrorCode.AuthorizationQueryParametersError, message: what)
        : new(S3ErrorCode.AuthorizationHeaderMalformed, message: "The authorization header is malformed; " + what);

    public static S3Exception WrongRegion(bool presigned, string region, string expected)
    {
        var what = $"the region '{region}' is wrong; expecting '{expected}'";
        return presigned
            ? new(S3ErrorCode.AuthorizationQueryParametersError, message: "Error parsing the X-Amz-Credential parameter; " + what) { Details = [new("Region", expected)] }
            : new(S3ErrorCode.AuthorizationHeaderMalformed, message: "The authorization header is malformed; " + what) { Details = [new("Region", expected)] };
    }

    public static S3Exception Skewed(string requestTime, DateTimeOffset now) => new(S3ErrorCode.RequestTimeTooSkewed)
    {
        Details =
        [
            new("RequestTime", requestTime),
            new("ServerTime", now.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)),
            new("MaxAllowedSkewMilliseconds", ((long)S3Limits.MaxClockSkew.TotalMilliseconds).ToString(CultureInfo.InvariantCulture)),
        ],
    };

    /// <summary>A link that is valid at no time, or for too long. 403 as RGW answers, so that a client need not ask why it was none.</summary>
    public static S3Exception NeverValid(long seconds) => new(S3ErrorCode.AccessDenied, message: "X-Amz-Expires must be at least 1 and at most 604800 seconds, a week")
    {
        Details = [new("X-Amz-Expires", seconds.ToString(CultureInfo.InvariantCulture))],
    };

    public static S3Exception Expired(long seconds, DateTimeOffset signedAt, DateTimeOffset now) => new(S3ErrorCode.AccessDenied, message: "Request has expired")
    {
        Details =
        [
            new("X-Amz-Expires", seconds.ToString(CultureInfo.InvariantCulture)),
            new("Expires", signedAt.AddSeconds(seconds).UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)),
            new("ServerTime", now.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)),
        ],
    };

    /// <summary>With what we computed, as S3 answers it: the client compares it with its own. It holds nothing that the client did not send.</summary>
    public static S3Exception Mismatch(string accessKey, ReadOnlySpan<char> signature, ReadOnlySpan<byte> stringToSign, ReadOnlySpan<byte> canonical)
        => new(S3ErrorCode.SignatureDoesNotMatch)
        {
            Details =
            [
                new("AWSAccessKeyId", accessKey),
                new("StringToSign", Encoding.UTF8.GetString(stringToSign)),
                new("SignatureProvided", signature.Length <= 128 ? signature.ToString() : signature[..128].ToString()),
                new("CanonicalRequest", Encoding.UTF8.GetString(canonical)),
            ],
        };
}
