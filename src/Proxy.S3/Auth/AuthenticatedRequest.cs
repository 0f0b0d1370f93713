using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.S3.Auth;

/// <summary>Who signed a request, and what the signature says of its body.</summary>
public readonly struct AuthenticatedRequest
{
    /// <summary>Null only for <see cref="Unverified"/>.</summary>
    public Credential? Credential { get; init; }

    public PayloadMode Payload { get; init; }

    /// <summary>Hex, as the client sent it; only for <see cref="PayloadMode.SignedSha256"/>.</summary>
    public string? PayloadSha256 { get; init; }

    public bool IsPresigned { get; init; }

    /// <summary>The names under the signature, lower case, joined by semicolons. Allocates on each call.</summary>
    public string SignedHeaders => SignedHeaderList.ToString();

    internal SignedHeaderList SignedHeaderList { get; init; }

    /// <summary>Where the chain of chunk signatures starts; only for the signed streaming modes.</summary>
    public ChunkSigner? Chunks { get; init; }

    /// <summary>For listeners that are configured to ask for no signature: the declared framing still holds, chunk signatures are not looked at.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400 for a content hash that is none.</exception>
    public static AuthenticatedRequest Unverified<THeaders>(in THeaders headers)
        where THeaders : IRequestHeaders
    {
        var declared = headers["x-amz-content-sha256"];
        if (declared is null)
        {
            return default;
        }

        if (!PayloadHash.TryParse(declared, out var mode))
        {
            throw SignatureErrors.BadContentSha256(declared);
        }

        return new AuthenticatedRequest { Payload = mode, PayloadSha256 = mode == PayloadMode.SignedSha256 ? declared : null };
    }
}
