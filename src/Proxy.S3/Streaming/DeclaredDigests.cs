using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.S3.Streaming;

/// <summary>What a request's headers say the body's digests are.</summary>
internal sealed record DeclaredDigests
{
    /// <summary>Content-MD5; null when not declared.</summary>
    public byte[]? Md5 { get; init; }

    /// <summary>x-amz-content-sha256, when it is a hash.</summary>
    public byte[]? Sha256 { get; init; }

    /// <summary>Of x-amz-checksum-*, of the trailer, or asked for by the store.</summary>
    public ChecksumAlgorithm? Algorithm { get; init; }

    /// <summary>From the header; null when it comes in the trailer, or only our own is wanted.</summary>
    public byte[]? Value { get; init; }

    /// <summary>The value follows the body.</summary>
    public bool InTrailer { get; init; }

    /// <summary>Lower case; what x-amz-trailer announces.</summary>
    public string[] TrailerNames { get; init; } = [];

    /// <exception cref="S3Exception">BadDigest, InvalidDigest, InvalidRequest 400.</exception>
    public static DeclaredDigests Read<THeaders>(in AuthenticatedRequest request, in THeaders headers, ChecksumAlgorithm? alsoCompute, bool checksumsOfObject)
        where THeaders : IRequestHeaders
    {
        // 1. The checksum header: one at most, and none that goes unchecked because nobody here knows it.
        var found = new ChecksumHeader();
        headers.VisitNames(ref found);
        if (found.IsUnknown)
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, message: "The algorithm type you specified in x-amz-checksum- header is invalid.");
        }

        if (found.AreSeveral)
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, message: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
        }

        var algorithm = checksumsOfObject ? null : found.Algorithm;
        var value = algorithm is { } one ? ParseValue(one, headers[one.ToHeaderName()]!) : null;

        // 2. Or the trailer that announces it.
        var trailers = ReadTrailerNames(headers["x-amz-trailer"]);
        var inTrailer = false;
        if (trailers.Length > 0)
        {
            if (request.Payload is not (PayloadMode.StreamingSignedTrailer or PayloadMode.StreamingUnsignedTrailer) || trailers.Length > 1 || algorithm is not null)
            {
                throw new S3Exception(S3ErrorCode.InvalidRequest, message: "Expecting a single x-amz-checksum- header or trailer.");
            }

            algorithm = ChecksumAlgorithms.TryParse(trailers[0], out var announced) && trailers[0] == announced.ToHeaderName()
                ? announced
                : throw new S3Exception(S3ErrorCode.InvalidRequest, message: "The value specified in the x-amz-trailer header is not supported");
            inTrailer = true;
        }

        // 3. What the SDK says it used must be that.
        if (headers["x-amz-sdk-checksum-algorithm"] is { Length: > 0 } named
            && (!ChecksumAlgorithms.TryParse(named, out var used) || (algorithm is { } declared && declared != used)))
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, message: "Value for x-amz-sdk-checksum-algorithm header is invalid.");
        }

        return new DeclaredDigests
        {
            Md5 = ReadMd5(headers["content-md5"]),
            Sha256 = request is { Payload: PayloadMode.SignedSha256, PayloadSha256: { } hex } ? Convert.FromHexString(hex) : null,
            Algorithm = algorithm ?? alsoCompute,
            Value = value,
            InTrailer = inTrailer,
            TrailerNames = trailers,
        };
    }

    /// <exception cref="S3Exception">BadDigest 400: what is no checksum can not be the body's.</exception>
    public static byte[] ParseValue(ChecksumAlgorithm algorithm, string text)
    {
        Span<byte> value = stackalloc byte[ChecksumAlgorithms.MaxDigestLength];
        text = text.Trim();
        return Convert.TryFromBase64String(text, value, out var written) && written == algorithm.DigestLength()
            ? value[..written].ToArray()
            : throw new S3Exception(S3ErrorCode.BadDigest, message: $"Value for {algorithm.ToHeaderName()} header is invalid.");
    }

    private static byte[]? ReadMd5(string? text)
    {
        if (text is null)
        {
            return null;
        }

        var value = new byte[24];
        return text.Length <= 32 && Convert.TryFromBase64String(text.Trim(), value, out var written) && written == 16
            ? value[..16]
            : throw new S3Exception(S3ErrorCode.InvalidDigest, message: "The Content-MD5 you specified is not valid.");
    }

    /// <summary>The x-amz-checksum-* headers that carry a value.</summary>
    private struct ChecksumHeader : IHeaderNameVisitor
    {
        private const string Prefix = "x-amz-checksum-";

        public ChecksumAlgorithm? Algorithm { get; private set; }

        public bool AreSeveral { get; private set; }

        public bool IsUnknown { get; private set; }

        public bool Visit(string name)
        {
            if (!name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }

            if (ChecksumAlgorithms.TryParse(name, out var algorithm))
            {
                AreSeveral |= Algorithm is not null;
                Algorithm = algorithm;
            }
            else
            {
                IsUnknown |= name[Prefix.Length..].ToLowerInvariant() is not ("algorithm" or "mode" or "type");
            }

            return true;
        }
    }

    private static string[] ReadTrailerNames(string? header)
        => header is null ? [] : header.ToLowerInvariant().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}
