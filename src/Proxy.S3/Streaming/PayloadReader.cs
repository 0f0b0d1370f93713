using System.Globalization;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;

namespace Proxy.S3.Streaming;

/// <summary>Opens the body of an upload: takes off the aws-chunked framing and verifies everything the client declared, while it is read.</summary>
/// <remarks>Whether a body is framed is what x-amz-content-sha256 says; Content-Encoding is not asked, since minio-go frames without naming it.</remarks>
public static class PayloadReader
{
    /// <param name="body">As the server gives it: HTTP's own chunking already taken off.</param>
    /// <param name="alsoCompute">A checksum to have at the end though the client declared none.</param>
    /// <param name="checksumsOfObject">The x-amz-checksum-* headers speak of the object that will come of it, not of this body: CompleteMultipartUpload.</param>
    /// <returns>
    /// The decoded bytes. With a known length the last bytes are handed out only after all checks passed; a failed check throws <see cref="S3Exception"/> from
    /// ReadAsync, again and again. Dispose the stream; <paramref name="body"/> stays open.
    /// </returns>
    /// <exception cref="S3Exception">InvalidDigest, InvalidRequest, InvalidArgument 400, MissingContentLength 411 for what the headers alone show to be wrong.</exception>
    public static UploadContent Open<THeaders>(Stream body, in AuthenticatedRequest request, in THeaders headers, ChecksumAlgorithm? alsoCompute = null, bool checksumsOfObject = false)
        where THeaders : IRequestHeaders
    {
        var digests = DeclaredDigests.Read(request, headers, alsoCompute, checksumsOfObject);
        var length = ReadLength(headers, "content-length");
        AwsChunkedReader? chunks = null;
        if (request.Payload is not (PayloadMode.Unsigned or PayloadMode.SignedSha256))
        {
            var decoded = ReadLength(headers, "x-amz-decoded-content-length");

            // minio-go sends an empty object with the streaming hash and an empty body, not even a last chunk.
            if (length == 0 && decoded is null or 0 && !digests.InTrailer)
            {
                decoded = 0;
            }
            else
            {
                chunks = new AwsChunkedReader(
                    body, decoded ?? throw new S3Exception(S3ErrorCode.MissingContentLength), request.Payload, request.Chunks, digests.TrailerNames);
            }

            length = decoded;
        }

        var stream = new VerifyingStream(body, chunks, length, digests);
        return new UploadContent(stream, length, () => stream.Checksums);
    }

    /// <summary>The Content-Encoding to keep: <c>aws-chunked</c> names the framing, which is gone by then, and is never stored.</summary>
    /// <returns>Null when nothing else is left.</returns>
    public static string? WithoutAwsChunked(string? contentEncoding)
    {
        if (contentEncoding is null || !contentEncoding.Contains("aws-chunked", StringComparison.OrdinalIgnoreCase))
        {
            return contentEncoding;
        }

        var kept = contentEncoding.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(coding => !coding.Equals("aws-chunked", StringComparison.OrdinalIgnoreCase));
        return string.Join(',', kept) is { Length: > 0 } rest ? rest : null;
    }

    private static long? ReadLength<THeaders>(in THeaders headers, string name)
        where THeaders : IRequestHeaders
    {
        if (headers[name] is not { } text)
        {
            return null;
        }

        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            ? length
            : throw new S3Exception(S3ErrorCode.InvalidArgument, message: $"Value for {name} is invalid.")
            {
                Details = [new("ArgumentName", name), new("ArgumentValue", text)],
            };
    }
}
