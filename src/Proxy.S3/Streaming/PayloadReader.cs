using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;

namespace Proxy.S3.Streaming;

/// <summary>Opens the body of an upload: takes off the aws-chunked framing and verifies everything the client declared, while it is read.</summary>
public static class PayloadReader
{
    /// <param name="body">As the server gives it: HTTP's own chunking already taken off.</param>
    /// <param name="alsoCompute">A checksum to have at the end though the client declared none.</param>
    /// <returns>
    /// The decoded bytes. The stream's last bytes are handed out only after all checks passed; a failed check throws <see cref="S3Exception"/> from ReadAsync.
    /// Dispose the stream; <paramref name="body"/> stays open.
    /// </returns>
    /// <exception cref="S3Exception">InvalidDigest, InvalidRequest, InvalidArgument 400, MissingContentLength 411 for what the headers alone show to be wrong.</exception>
    public static UploadContent Open<THeaders>(Stream body, in AuthenticatedRequest request, in THeaders headers, ChecksumAlgorithm? alsoCompute = null)
        where THeaders : IRequestHeaders => throw new NotSupportedException("Not built yet.");
}
