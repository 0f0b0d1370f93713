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
/// <remarks>Asked once for each request before anything is served. Thread-safe.</remarks>
public sealed class SignatureVerifier(CredentialTable credentials, SignatureOptions options, TimeProvider time)
{
    /// <exception cref="S3Exception">AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed 403; AuthorizationHeaderMalformed,
    /// AuthorizationQueryParametersError, InvalidRequest, InvalidArgument, InvalidToken 400.</exception>
    public AuthenticatedRequest Verify<THeaders>(string method, in S3Target target, in THeaders headers)
        where THeaders : IRequestHeaders
    {
        _ = (credentials, options, time);
        throw new NotSupportedException("Not built yet.");
    }
}
