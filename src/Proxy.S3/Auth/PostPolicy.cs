using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Proxy.S3.Errors;

namespace Proxy.S3.Auth;

/// <summary>The signed policy of a browser upload (POST Object): who signed it, until when, and what the form may say.</summary>
/// <remarks>
/// API Reference, "Browser-based uploads using POST (AWS Signature Version 4)". Forms live long in other people's pages, so the older signature, HMAC-SHA1 of
/// the same policy (Version 2), is still taken here, and only here. Immutable once verified.
/// </remarks>
public sealed class PostPolicy
{
    private const int MaxPolicyLength = 64 << 10;

    private static readonly string[] V4Fields = ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];

    private readonly List<(string Match, string Field, string Value)> _conditions = [];

    private PostPolicy(Credential credential) => Credential = credential;

    public Credential Credential { get; }

    /// <summary>Bytes the file may have; null when the policy does not say.</summary>
    public (long Min, long Max)? ContentLengthRange { get; private set; }

    /// <summary>Verifies the form's signature and expiry, then its fields against the policy's conditions.</summary>
    /// <param name="fields">Form fields before the file, names in lower case, and <c>bucket</c>.</param>
    /// <exception cref="S3Exception">AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch 403; InvalidArgument, InvalidPolicyDocument, InvalidRequest, InvalidToken 400.</exception>
    public static PostPolicy Verify(IReadOnlyDictionary<string, string> fields, CredentialTable credentials, TimeProvider time)
    {
        var isV2 = fields.ContainsKey("awsaccesskeyid") && !fields.ContainsKey("x-amz-algorithm");
        if (!isV2 && Array.Find(V4Fields, name => !fields.ContainsKey(name)) is { } missing)
        {
            // Half of a signature is a mistake in the form; none of it is a stranger.
            throw Array.Exists(V4Fields, fields.ContainsKey) ? MissingField(missing) : new S3Exception(S3ErrorCode.AccessDenied);
        }

        var encoded = fields.GetValueOrDefault("policy") ?? throw new S3Exception(S3ErrorCode.AccessDenied);
        if (encoded.Length > MaxPolicyLength)
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, message: "The form's policy is too long.");
        }

        var credential = isV2 ? VerifyV2(fields, encoded, credentials) : VerifyV4(fields, encoded, credentials);
        if (credential.SessionToken is { } token
            && !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(token), Encoding.UTF8.GetBytes(fields.GetValueOrDefault("x-amz-security-token") ?? "")))
        {
            throw new S3Exception(S3ErrorCode.InvalidToken);
        }

        var policy = new PostPolicy(credential);
        policy.Read(encoded, time);
        policy.Check(fields);
        return policy;
    }

    /// <summary>A field that every form must have.</summary>
    public static S3Exception MissingField(string name) => new(
        S3ErrorCode.InvalidArgument, message: $"Bucket POST must contain a field named '{name}'. If it is specified, please check the order of the fields.")
    {
        Details = [new("ArgumentName", name)],
    };

    private static Credential VerifyV4(IReadOnlyDictionary<string, string> fields, string encoded, CredentialTable credentials)
    {
        if (fields.GetValueOrDefault("x-amz-algorithm") != "AWS4-HMAC-SHA256")
        {
            throw SignatureErrors.Unsupported();
        }

        if (!CredentialScope.TryParse(fields.GetValueOrDefault("x-amz-credential") ?? "", out var scope) || scope.Service is not "s3" || scope.Terminator is not "aws4_request")
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, message: "The form's x-amz-credential must be key/date/region/s3/aws4_request.");
        }

        var accessKey = scope.AccessKey.ToString();
        if (!credentials.TryGet(accessKey, out var credential))
        {
            throw SignatureErrors.UnknownKey(accessKey);
        }

        Span<byte> expected = stackalloc byte[32];
        credential.GetSigningKey(scope.Date, scope.Region, scope.Service).Sign(Encoding.UTF8.GetBytes(encoded), expected);
        Span<byte> given = stackalloc byte[32];
        var signature = fields.GetValueOrDefault("x-amz-signature") ?? "";
        if (signature.Length != 64 || Convert.FromHexString(signature, given, out _, out _) != OperationStatus.Done || !CryptographicOperations.FixedTimeEquals(expected, given))
        {
            throw new S3Exception(S3ErrorCode.SignatureDoesNotMatch);
        }

        return credential;
    }

    private static Credential VerifyV2(IReadOnlyDictionary<string, string> fields, string encoded, CredentialTable credentials)
    {
        var accessKey = fields["awsaccesskeyid"];
        var signature = fields.GetValueOrDefault("signature") ?? throw MissingField("Signature");
        if (!credentials.TryGet(accessKey, out var credential))
        {
            throw SignatureErrors.UnknownKey(accessKey);
        }

        var expected = HMACSHA1.HashData(Encoding.UTF8.GetBytes(credential.SecretKey), Encoding.UTF8.GetBytes(encoded));
        Span<byte> given = stackalloc byte[64];
        return signature.Length <= 64 && Convert.TryFromBase64String(signature, given, out var length) && CryptographicOperations.FixedTimeEquals(expected, given[..length])
            ? credential
            : throw new S3Exception(S3ErrorCode.SignatureDoesNotMatch);
    }

    private void Read(string encoded, TimeProvider time)
    {
        try
        {
            using var document = JsonDocument.Parse(Convert.FromBase64String(encoded), new JsonDocumentOptions { MaxDepth = 8 });
            var root = document.RootElement;
            if (root.GetProperty("expiration").GetDateTimeOffset() <= time.GetUtcNow())
            {
                throw Denied("Policy expired.");
            }

            foreach (var condition in root.GetProperty("conditions").EnumerateArray())
            {
                if (condition.ValueKind == JsonValueKind.Object)
                {
                    var field = condition.EnumerateObject().Single(); // "Simple-Conditions must have exactly one property"
                    _conditions.Add(("eq", field.Name.ToLowerInvariant(), field.Value.GetString() ?? ""));
                }
                else if (condition[0].GetString()?.ToLowerInvariant() is not { } match)
                {
                    throw new FormatException("A condition has no name.");
                }
                else if (match == "content-length-range")
                {
                    ContentLengthRange = (Number(condition[1]), Number(condition[2]));
                }
                else
                {
                    _conditions.Add((match, condition[1].GetString()?.TrimStart('$').ToLowerInvariant() ?? "", condition[2].GetString() ?? ""));
                }
            }
        }
        catch (Exception e) when (e is JsonException or FormatException or OverflowException or KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException)
        {
            throw new S3Exception(S3ErrorCode.InvalidPolicyDocument, message: "Invalid Policy: it must be base64 of a JSON document with expiration and conditions.", innerException: e);
        }
    }

    private void Check(IReadOnlyDictionary<string, string> fields)
    {
        foreach (var (match, field, value) in _conditions)
        {
            var given = fields.GetValueOrDefault(field) ?? "";
            var holds = match switch
            {
                "eq" => given == value,
                "starts-with" when field == "content-type" => given.Split(',').All(type => type.AsSpan().TrimStart().StartsWith(value, StringComparison.Ordinal)), // a list: each of it
                "starts-with" => given.StartsWith(value, StringComparison.Ordinal),
                _ => false,
            };
            if (!holds)
            {
                throw Denied($"Policy Condition failed: [\"{match}\", \"${field}\", \"{value}\"]");
            }
        }

        foreach (var name in fields.Keys)
        {
            // A checksum only narrows what may be stored. The bucket stands in the request itself, but what is signed must name it: else the form would do for any bucket of the credential.
            var covered = name is "policy" or "x-amz-signature" or "signature" or "awsaccesskeyid" or "file" || name.StartsWith("x-ignore-", StringComparison.Ordinal) || name.StartsWith("x-amz-checksum-", StringComparison.Ordinal)
                || _conditions.Exists(condition => condition.Field == name);
            if (!covered)
            {
                throw Denied($"Extra input fields: {name}");
            }
        }
    }

    /// <summary>A size, as a number or as text: digits only, so never negative.</summary>
    private static long Number(JsonElement element) =>
        long.TryParse(element.ValueKind == JsonValueKind.Number ? element.GetRawText() : element.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out var size)
            ? size
            : throw new FormatException("content-length-range takes two sizes.");

    private static S3Exception Denied(string why) => new(S3ErrorCode.AccessDenied, message: "Invalid according to Policy: " + why);
}
