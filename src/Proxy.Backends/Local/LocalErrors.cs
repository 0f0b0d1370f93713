using System.Globalization;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>The store's refusals, with what S3 says beside each code.</summary>
internal static class LocalErrors
{
    public static S3Exception NoSuchBucket(string bucket) => new(S3ErrorCode.NoSuchBucket, $"/{bucket}") { Details = [new("BucketName", bucket)] };

    public static S3Exception NoSuchKey(ObjectId id) => new(S3ErrorCode.NoSuchKey, $"/{id}") { Details = [new("Key", id.Key)] };

    public static S3Exception NoSuchUpload(ObjectId id, string uploadId) => new(S3ErrorCode.NoSuchUpload, $"/{id}") { Details = [new("UploadId", uploadId)] };

    /// <param name="condition">The header's name: If-Match, If-None-Match, x-amz-copy-source-if-match …</param>
    public static S3Exception PreconditionFailed(ObjectId id, string condition) =>
        new(S3ErrorCode.PreconditionFailed, $"/{id}") { Details = [new("Condition", condition)] };

    public static S3Exception NotModified(ObjectId id, string etag, DateTimeOffset modified) => new(S3ErrorCode.NotModified, $"/{id}")
    {
        Headers = [new("ETag", etag), new("Last-Modified", modified.ToString("R", CultureInfo.InvariantCulture))],
    };

    public static S3Exception InvalidRange(ObjectId id, ByteRange range, long size) => new(S3ErrorCode.InvalidRange, $"/{id}")
    {
        Details = [new("RangeRequested", range.ToString()), new("ActualObjectSize", size.ToString(CultureInfo.InvariantCulture))],
        Headers = [new("Content-Range", string.Create(CultureInfo.InvariantCulture, $"bytes */{size}"))],
    };

    /// <remarks>As RGW answers it; S3 itself says 416 InvalidPartNumber.</remarks>
    public static S3Exception InvalidPartNumber(ObjectId id, int asked, int count) => new(S3ErrorCode.InvalidPart, $"/{id}", "The requested partnumber is not satisfiable.")
    {
        Details = [new("PartNumberRequested", asked.ToString(CultureInfo.InvariantCulture)), new("ActualPartCount", count.ToString(CultureInfo.InvariantCulture))],
    };

    public static S3Exception InvalidArgument(string name, string value, string message) =>
        new(S3ErrorCode.InvalidArgument, message: message) { Details = [new("ArgumentName", name), new("ArgumentValue", value)] };

    public static S3Exception InvalidPart(ObjectId id, string uploadId, CompletedPart part) => new(S3ErrorCode.InvalidPart, $"/{id}")
    {
        Details = [new("UploadId", uploadId), new("PartNumber", part.Number.ToString(CultureInfo.InvariantCulture)), new("ETag", part.ETag)],
    };

    /// <summary>A checksum of another algorithm than the upload has.</summary>
    /// <param name="promised">Null for none at all.</param>
    /// <param name="actual">Null for none at all.</param>
    public static S3Exception ChecksumMismatch(ObjectId id, string? promised, string? actual) => new(
        S3ErrorCode.InvalidRequest, $"/{id}",
        $"Checksum Type mismatch occurred, expected checksum Type: {promised?.ToLowerInvariant() ?? "null"}, actual checksum Type: {actual?.ToLowerInvariant() ?? "null"}");

    /// <summary>A part in CompleteMultipartUpload whose checksum is missing, or of another algorithm than the part has.</summary>
    /// <param name="promised">Of the upload; null only where the part in the request has a checksum.</param>
    public static S3Exception PartChecksum(ObjectId id, CompletedPart part, string? promised) => part.Checksums is { } other
        ? new(S3ErrorCode.BadDigest, $"/{id}", string.Create(CultureInfo.InvariantCulture, $"The {other.Algorithm.ToLowerInvariant()} you specified for part {part.Number} did not match what we received."))
        : new(S3ErrorCode.InvalidRequest, $"/{id}", string.Create(
            CultureInfo.InvariantCulture,
            $"The upload was created using a {promised!.ToLowerInvariant()} checksum. The complete request must include the checksum for each part. It was missing for part {part.Number} in the request."));

    public static S3Exception EntityTooLarge(ObjectId id, long size, long maximum) => new(S3ErrorCode.EntityTooLarge, $"/{id}")
    {
        Details = [new("ProposedSize", size.ToString(CultureInfo.InvariantCulture)), new("MaxSizeAllowed", maximum.ToString(CultureInfo.InvariantCulture))],
    };

    public static S3Exception EntityTooSmall(ObjectId id, CompletedPart part, long size, long minimum) => new(S3ErrorCode.EntityTooSmall, $"/{id}")
    {
        Details =
        [
            new("ProposedSize", size.ToString(CultureInfo.InvariantCulture)), new("MinSizeAllowed", minimum.ToString(CultureInfo.InvariantCulture)),
            new("PartNumber", part.Number.ToString(CultureInfo.InvariantCulture)), new("ETag", part.ETag),
        ],
    };
}
