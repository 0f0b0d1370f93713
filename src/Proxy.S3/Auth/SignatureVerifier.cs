using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth.Hashing;
using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.S3.Auth;

public sealed record SignatureOptions
{
    /// <summary>The region the proxy says it is in. Signatures for it and for us-east-1 are accepted.</summary>
    /// <value>us-east-1: MinIO's default, and what SDKs use before they know a bucket's location.</value>
    public string Region { get; init; } = "us-east-1";

    /// <summary>Accept whatever region the client signed for.</summary>
    public bool AcceptAnyRegion { get; init; }
}

/// <summary>Checks SigV4 signatures: in the Authorization header and in presigned queries.</summary>
/// <remarks>
/// Asked once for each request before anything is served. Thread-safe. A header signature costs about 3 µs and allocates nothing we can name; only refusals
/// and streaming bodies do. The canonical path and query are made from the decoded bytes, as S3 makes them, and when that does not match from the text as sent:
/// some clients leave characters unescaped that S3's rule escapes. Both mean the same request, since both are read from the same raw target. Likewise a header's tab: AWS's
/// Go and C++ SDKs sign it as it is, boto3, minio-go and the SDKs for Java and JavaScript as a space.
/// </remarks>
public sealed class SignatureVerifier(CredentialTable credentials, SignatureOptions options, TimeProvider time)
{
    private const string Algorithm = "AWS4-HMAC-SHA256";

    /// <exception cref="S3Exception">AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed 403; AuthorizationHeaderMalformed,
    /// AuthorizationQueryParametersError, InvalidRequest, InvalidArgument, InvalidToken 400.</exception>
    public AuthenticatedRequest Verify<THeaders>(string method, in S3Target target, in THeaders headers)
        where THeaders : IRequestHeaders
    {
        var authorization = headers["authorization"];
        var query = target.Query;
        var inQuery = !query.IsEmpty && (query.Contains("X-Amz-Algorithm") || query.Contains("X-Amz-Signature") || query.Contains("X-Amz-Credential"));
        var inQueryV2 = !query.IsEmpty && query.Contains("AWSAccessKeyId") && query.Contains("Signature");
        if (authorization is { Length: > 0 })
        {
            return inQuery || inQueryV2 ? throw SignatureErrors.SeveralMechanisms() : VerifyHeader(method, target, headers, authorization);
        }

        return inQuery ? VerifyQuery(method, target, headers)
            : inQueryV2 ? throw SignatureErrors.Version2()
            : throw new S3Exception(S3ErrorCode.AccessDenied);
    }

    private AuthenticatedRequest VerifyHeader<THeaders>(string method, in S3Target target, in THeaders headers, string authorization)
        where THeaders : IRequestHeaders
    {
        // 1. Take the header apart.
        var parts = ParseHeader(authorization);
        var scope = ParseScope(parts.Credential, presigned: false);

        // 2. The time it was signed at.
        var amzDate = headers["x-amz-date"];
        if (amzDate is null || !AmzDate.TryParse(amzDate, out var signedAt))
        {
            if (!HttpDate.TryParse(amzDate ?? headers["date"], out signedAt))
            {
                throw SignatureErrors.MissingDate();
            }

            amzDate = AmzDate.Format(signedAt);
        }

        CheckScope(scope, amzDate, presigned: false);
        var now = time.GetUtcNow();
        if ((now - signedAt).Duration() > S3Limits.MaxClockSkew)
        {
            throw SignatureErrors.Skewed(amzDate, now);
        }

        // 3. What it says of the body.
        var sha256 = headers["x-amz-content-sha256"] ?? throw SignatureErrors.MissingContentSha256();
        if (!PayloadHash.TryParse(sha256, out var payload))
        {
            throw SignatureErrors.BadContentSha256(sha256);
        }

        // 4. Who, and whether the secret fits.
        var credential = FindCredential(scope, headers["x-amz-security-token"]);
        CheckSignedHeaders(parts.SignedHeaders, headers, presigned: false);
        var key = credential.GetSigningKey(scope.Date, scope.Region, scope.Service);
        CheckSignature(method, target, headers, parts.SignedHeaders, sha256, amzDate, scope, key, parts.Signature, credential);
        return new AuthenticatedRequest
        {
            Credential = credential,
            Payload = payload,
            PayloadSha256 = payload == PayloadMode.SignedSha256 ? sha256 : null,
            SignedHeaderList = parts.SignedHeaders,
            Chunks = payload is PayloadMode.StreamingSigned or PayloadMode.StreamingSignedTrailer ? StartChunks(key, amzDate, scope, parts.Signature) : null,
        };
    }

    private AuthenticatedRequest VerifyQuery<THeaders>(string method, in S3Target target, in THeaders headers)
        where THeaders : IRequestHeaders
    {
        // 1. All parameters must be there, and sensible.
        var query = target.Query;
        var algorithm = query.Get("X-Amz-Algorithm");
        var credentialText = query.Get("X-Amz-Credential");
        var amzDate = query.Get("X-Amz-Date");
        var expires = query.Get("X-Amz-Expires");
        var signedHeaders = query.Get("X-Amz-SignedHeaders");
        var signature = query.Get("X-Amz-Signature");
        if (algorithm is null || credentialText is null || amzDate is null || expires is null || string.IsNullOrEmpty(signedHeaders) || signature is null)
        {
            throw SignatureErrors.Malformed(
                presigned: true,
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
        }

        if (algorithm != Algorithm)
        {
            throw SignatureErrors.Malformed(presigned: true, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"");
        }

        var scope = ParseScope(credentialText, presigned: true);
        if (!AmzDate.TryParse(amzDate, out var signedAt))
        {
            throw SignatureErrors.Malformed(presigned: true, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
        }

        CheckScope(scope, amzDate, presigned: true);
        if (!long.TryParse(expires, System.Globalization.NumberStyles.AllowLeadingSign, null, out var seconds))
        {
            throw SignatureErrors.Malformed(presigned: true, "X-Amz-Expires should be a number");
        }

        if (seconds is <= 0 or > S3Limits.MaxPresignSeconds)
        {
            throw SignatureErrors.NeverValid(seconds);
        }

        // 2. Neither from the future nor past its time.
        var now = time.GetUtcNow();
        if (signedAt - now > S3Limits.MaxClockSkew)
        {
            throw new S3Exception(S3ErrorCode.AccessDenied, message: "Request is not valid yet");
        }

        if (now - signedAt > TimeSpan.FromSeconds(seconds))
        {
            throw SignatureErrors.Expired(seconds, signedAt, now);
        }

        // 3. What it says of the body: nothing, mostly.
        var list = new SignedHeaderList(signedHeaders, 0, signedHeaders.Length);
        var sha256 = query.Get("X-Amz-Content-Sha256");
        if (sha256 is null && headers["x-amz-content-sha256"] is { } header)
        {
            if (!list.Contains("x-amz-content-sha256") && header != PayloadHash.Unsigned)
            {
                throw new S3Exception(S3ErrorCode.SignatureDoesNotMatch); // it is part of what is signed, whether or not it is listed
            }

            sha256 = header;
        }

        sha256 ??= PayloadHash.Unsigned;
        if (!PayloadHash.TryParse(sha256, out var payload))
        {
            // As MinIO answers; S3 says nothing of it. It cannot be what the body comes to.
            throw new S3Exception(S3ErrorCode.XAmzContentSha256Mismatch);
        }

        // 4. Who, and whether the secret fits.
        var credential = FindCredential(scope, query.Get("X-Amz-Security-Token") ?? headers["x-amz-security-token"]);
        CheckSignedHeaders(list, headers, presigned: true);
        var key = credential.GetSigningKey(scope.Date, scope.Region, scope.Service);
        CheckSignature(method, target, headers, list, sha256, amzDate, scope, key, signature, credential);
        return new AuthenticatedRequest
        {
            Credential = credential,
            Payload = payload,
            PayloadSha256 = payload == PayloadMode.SignedSha256 ? sha256 : null,
            IsPresigned = true,
            SignedHeaderList = list,
            Chunks = payload is PayloadMode.StreamingSigned or PayloadMode.StreamingSignedTrailer ? StartChunks(key, amzDate, scope, signature) : null,
        };
    }

    private static HeaderParts ParseHeader(string authorization)
    {
        var text = authorization.AsSpan().TrimStart();
        var space = text.IndexOf(' ');
        var scheme = space < 0 ? text : text[..space];
        if (scheme is not Algorithm)
        {
            // SigV4A and Basic alike: S3 knows the mechanism or it does not.
            throw scheme is "AWS" ? SignatureErrors.Version2() : SignatureErrors.Unsupported();
        }

        var parts = default(HeaderParts);
        var at = authorization.Length - text.Length + Math.Max(space, 0);
        foreach (var range in authorization.AsSpan(at).Split(','))
        {
            var (offset, length) = range.GetOffsetAndLength(authorization.Length - at);
            var start = at + offset + length - authorization.AsSpan(at + offset, length).TrimStart().Length;
            var part = authorization.AsSpan(start, at + offset + length - start).TrimEnd();
            if (part.StartsWith("Credential=") && parts.Credential.IsEmpty)
            {
                parts.Credential = part[11..];
            }
            else if (part.StartsWith("SignedHeaders=") && parts.SignedHeaders.Text.IsEmpty)
            {
                parts.SignedHeaders = new SignedHeaderList(authorization, start + 14, part.Length - 14);
            }
            else if (part.StartsWith("Signature=") && parts.Signature.IsEmpty)
            {
                parts.Signature = part[10..];
            }
            else if (!part.IsEmpty)
            {
                throw SignatureErrors.Malformed(presigned: false, "the authorization header requires three components: Credential, SignedHeaders, and Signature.");
            }
        }

        if (parts.Credential.IsEmpty || parts.SignedHeaders.Text.IsEmpty || parts.Signature.IsEmpty)
        {
            throw SignatureErrors.Malformed(presigned: false, "the authorization header requires three components: Credential, SignedHeaders, and Signature.");
        }

        return parts;
    }

    private CredentialScope ParseScope(ReadOnlySpan<char> credential, bool presigned)
    {
        if (!CredentialScope.TryParse(credential, out var scope))
        {
            throw SignatureErrors.Malformed(presigned, "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
        }

        if (scope.Service is not "s3")
        {
            throw SignatureErrors.Malformed(presigned, $"incorrect service \"{scope.Service}\". This endpoint belongs to \"s3\".");
        }

        if (scope.Terminator is not "aws4_request")
        {
            throw SignatureErrors.Malformed(presigned, $"incorrect terminal \"{scope.Terminator}\". This endpoint uses \"aws4_request\".");
        }

        if (!options.AcceptAnyRegion && !scope.Region.SequenceEqual(options.Region) && scope.Region is not "us-east-1")
        {
            throw SignatureErrors.WrongRegion(presigned, scope.Region.ToString(), options.Region);
        }

        return scope;
    }

    private static void CheckScope(in CredentialScope scope, string amzDate, bool presigned)
    {
        if (!amzDate.AsSpan(0, 8).SequenceEqual(scope.Date))
        {
            throw SignatureErrors.Malformed(presigned, $"Invalid credential date \"{scope.Date}\". This date is not the same as X-Amz-Date: \"{amzDate.AsSpan(0, 8)}\".");
        }
    }

    private Credential FindCredential(in CredentialScope scope, string? token)
    {
        if (!credentials.TryGet(scope.AccessKey, out var credential))
        {
            throw SignatureErrors.UnknownKey(scope.AccessKey.ToString());
        }

        if (credential.SessionToken is null && token is null)
        {
            return credential;
        }

        // Hashed first, so that the comparison tells nothing of the token's length either.
        Span<byte> expected = stackalloc byte[CanonicalRequest.HashLength];
        Span<byte> provided = stackalloc byte[CanonicalRequest.HashLength];
        Sha256.Hash(Encoding.UTF8.GetBytes(credential.SessionToken ?? ""), expected);
        Sha256.Hash(Encoding.UTF8.GetBytes(token ?? ""), provided);
        return CryptographicOperations.FixedTimeEquals(expected, provided) ? credential : throw new S3Exception(S3ErrorCode.InvalidToken);
    }

    private static void CheckSignedHeaders<THeaders>(in SignedHeaderList list, in THeaders headers, bool presigned)
        where THeaders : IRequestHeaders
    {
        if (!list.IsPlausible())
        {
            throw SignatureErrors.Malformed(presigned, "SignedHeaders names a header twice, or too many.");
        }

        if (!list.Contains("host"))
        {
            throw SignatureErrors.NotSigned("host");
        }

        if (list.FindUnsigned(headers, presigned) is { } unsigned)
        {
            throw SignatureErrors.NotSigned(unsigned);
        }
    }

    private static void CheckSignature<THeaders>(
        string method, in S3Target target, in THeaders headers, in SignedHeaderList list, string sha256, string amzDate, in CredentialScope scope, SigningKey key,
        ReadOnlySpan<char> signature, Credential credential)
        where THeaders : IRequestHeaders
    {
        Span<byte> provided = stackalloc byte[CanonicalRequest.HashLength];
        Span<byte> hash = stackalloc byte[CanonicalRequest.HashLength];
        Span<byte> expected = stackalloc byte[CanonicalRequest.HashLength];
        var wellFormed = signature.Length == 2 * CanonicalRequest.HashLength
            && Convert.FromHexString(signature, provided, out _, out _) == OperationStatus.Done;

        var canonical = new Utf8Builder(stackalloc byte[1024]);
        var toSign = new Utf8Builder(stackalloc byte[256]);
        try
        {
            var plainPath = CanonicalRequest.IsPlainPath(target.RawPath);
            var plainQuery = target.Query.IsEmpty;
            for (var form = 0; form < 8; form++)
            {
                var (pathAsSent, queryAsSent, asWords) = ((form & 1) != 0, (form & 2) != 0, (form & 4) != 0);
                if ((pathAsSent && plainPath) || (queryAsSent && plainQuery) || (asWords && !list.MayBeWords(headers)))
                {
                    continue;
                }

                canonical.Clear();
                toSign.Clear();
                if (!TryBuild(ref canonical, method, target, headers, list, sha256, pathAsSent, queryAsSent, asWords))
                {
                    continue;
                }

                Sha256.Hash(canonical.Written, hash);
                CanonicalRequest.AppendStringToSign(ref toSign, amzDate, scope.Scope, hash);
                key.Sign(toSign.Written, expected);
                if (wellFormed && CryptographicOperations.FixedTimeEquals(expected, provided))
                {
                    return;
                }

                if (!wellFormed)
                {
                    break;
                }
            }

            throw SignatureErrors.Mismatch(credential.AccessKey, signature, toSign.Written, canonical.Written);
        }
        finally
        {
            toSign.Dispose();
            canonical.Dispose();
        }
    }

    private static bool TryBuild<THeaders>(
        ref Utf8Builder canonical, string method, in S3Target target, in THeaders headers, in SignedHeaderList list, string sha256, bool pathAsSent, bool queryAsSent, bool asWords)
        where THeaders : IRequestHeaders
    {
        // Same order as RequestSigner.Build; change both.
        canonical.Append(method);
        canonical.Append((byte)'\n');
        if (!CanonicalRequest.TryAppendPath(ref canonical, target.RawPath, pathAsSent))
        {
            return false;
        }

        canonical.Append((byte)'\n');
        if (!CanonicalRequest.TryAppendQuery(ref canonical, target.Query, queryAsSent))
        {
            return false;
        }

        canonical.Append((byte)'\n');
        list.AppendCanonical(ref canonical, headers, asWords);
        canonical.Append((byte)'\n');
        canonical.Append(list.Text);
        canonical.Append((byte)'\n');
        canonical.Append(sha256);
        return true;
    }

    private static ChunkSigner StartChunks(SigningKey key, string amzDate, in CredentialScope scope, ReadOnlySpan<char> signature)
    {
        Span<byte> seed = stackalloc byte[2 * CanonicalRequest.HashLength];
        Span<char> lower = stackalloc char[2 * CanonicalRequest.HashLength];
        signature.ToLowerInvariant(lower);
        Encoding.ASCII.GetBytes(lower, seed);
        return new ChunkSigner(key, amzDate, scope.Scope, seed);
    }

    private ref struct HeaderParts
    {
        public ReadOnlySpan<char> Credential;
        public SignedHeaderList SignedHeaders;
        public ReadOnlySpan<char> Signature;
    }
}
