using Proxy.S3.Errors;

namespace Proxy.S3.Objects;

/// <summary>A whole S3 store behind the front: the reading half plus every operation that changes something.</summary>
/// <remarks>
/// Thread-safe. Remote backends are spoken to by forwarding instead, so the embedded local store is the full implementation.
/// Every method throws <see cref="S3Exception"/> for what the client should see; anything else that escapes is a bug (500).
/// An acknowledged change is durable: it survives <c>kill -9</c> and power loss.
/// </remarks>
public interface IObjectStore : IObjectSource
{
    ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation);

    /// <exception cref="S3Exception">BucketAlreadyOwnedByYou 409; InvalidBucketName 400.</exception>
    ValueTask CreateBucketAsync(string bucket, CancellationToken cancellation);

    /// <exception cref="S3Exception">NoSuchBucket 404.</exception>
    ValueTask<BucketInfo> HeadBucketAsync(string bucket, CancellationToken cancellation);

    /// <exception cref="S3Exception">NoSuchBucket 404; BucketNotEmpty 409.</exception>
    ValueTask DeleteBucketAsync(string bucket, CancellationToken cancellation);

    /// <summary>Stores a body. The old version stays whole and visible until the new one is durable.</summary>
    /// <param name="content">Read to its end exactly once. It verifies what the client declared: an exception from it means no object.
    /// Its checksums are known only after its end.</param>
    ValueTask<PutResult> PutObjectAsync(ObjectId id, UploadContent content, PutOptions options, CancellationToken cancellation);

    /// <summary>Copies on the server. Source preconditions are in <see cref="CopyOptions"/>.</summary>
    ValueTask<PutResult> CopyObjectAsync(ObjectId source, ObjectId destination, CopyOptions options, CancellationToken cancellation);

    /// <summary>Deletes; a missing key is success. With <paramref name="conditions"/>, only the version they describe.</summary>
    /// <exception cref="S3Exception">PreconditionFailed 412 when there is another; or when there is none, and <c>If-Match: *</c> says there must be.</exception>
    ValueTask DeleteObjectAsync(ObjectId id, DeleteConditions? conditions, CancellationToken cancellation);

    ValueTask<IReadOnlyList<KeyValuePair<string, string>>> GetTaggingAsync(ObjectId id, CancellationToken cancellation);

    /// <summary>Replaces all tags; an empty list removes them.</summary>
    ValueTask PutTaggingAsync(ObjectId id, IReadOnlyList<KeyValuePair<string, string>> tags, CancellationToken cancellation);

    /// <returns>The upload id: opaque, URL-safe.</returns>
    ValueTask<string> CreateMultipartUploadAsync(ObjectId id, PutOptions options, CancellationToken cancellation);

    /// <exception cref="S3Exception">NoSuchUpload 404; what <paramref name="content"/> throws.</exception>
    ValueTask<PartInfo> UploadPartAsync(ObjectId id, string uploadId, int partNumber, UploadContent content, CancellationToken cancellation);

    /// <param name="range">Null is the whole source.</param>
    ValueTask<PartInfo> UploadPartCopyAsync(
        ObjectId source, ByteRange? range, Preconditions? sourceConditions, ObjectId destination, string uploadId, int partNumber, CancellationToken cancellation);

    /// <summary>Makes the object out of the named parts. Repeating it after success gives the same answer while the object is unchanged.</summary>
    /// <exception cref="S3Exception">NoSuchUpload 404; InvalidPart, InvalidPartOrder, EntityTooSmall, BadDigest 400; PreconditionFailed 412.</exception>
    ValueTask<PutResult> CompleteMultipartUploadAsync(ObjectId id, string uploadId, CompleteOptions options, CancellationToken cancellation);

    /// <exception cref="S3Exception">NoSuchUpload 404.</exception>
    ValueTask AbortMultipartUploadAsync(ObjectId id, string uploadId, CancellationToken cancellation);

    /// <exception cref="S3Exception">NoSuchUpload 404.</exception>
    ValueTask<PartPage> ListPartsAsync(ObjectId id, string uploadId, int afterPartNumber, int maxParts, CancellationToken cancellation);

    ValueTask<UploadPage> ListMultipartUploadsAsync(string bucket, UploadListQuery query, CancellationToken cancellation);

    /// <summary>Size, ETag, checksum and number of each part, in order; empty for an object that was not uploaded in parts.</summary>
    ValueTask<IReadOnlyList<PartInfo>> GetObjectPartsAsync(ObjectId id, CancellationToken cancellation);
}

public sealed record BucketInfo(string Name, DateTimeOffset CreatedAt);

/// <summary>The body of an upload as it arrives from the client: decoded, and verified while it is read.</summary>
/// <param name="Stream">Ends, or throws <see cref="S3Exception"/> (BadDigest, XAmzContentSHA256Mismatch, SignatureDoesNotMatch, IncompleteBody …).</param>
/// <param name="Length">Decoded length in bytes; null when only the end of the stream tells.</param>
/// <param name="ChecksumsAfterEnd">The x-amz-checksum-* values that were declared or asked for, verified; call only after the stream ended.</param>
public sealed record UploadContent(Stream Stream, long? Length, Func<ObjectChecksums?> ChecksumsAfterEnd);

/// <summary>A stored checksum: the algorithm's S3 name (<see cref="Checksums.ChecksumAlgorithms"/>), base64 value (with <c>-N</c> when composite), and type.</summary>
public sealed record ObjectChecksums(string Algorithm, string Value, string Type)
{
    public const string FullObject = "FULL_OBJECT";
    public const string Composite = "COMPOSITE";
}

/// <summary>What an upload stores beside its bytes, and on what condition.</summary>
public sealed record PutOptions
{
    public string? ContentType { get; init; }

    /// <summary>Header names in lower case: cache-control, content-disposition, content-encoding, content-language, expires, x-amz-meta-*, x-amz-storage-class …</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    public IReadOnlyList<KeyValuePair<string, string>> Tags { get; init; } = [];

    /// <summary>Only when the current ETag is this one (or, with <c>*</c>, when there is an object). Checked atomically with the change.</summary>
    public string? IfMatch { get; init; }

    /// <summary><c>*</c>: only when there is no such object. Checked atomically with the change.</summary>
    public string? IfNoneMatch { get; init; }

    /// <summary>For multipart: the algorithm and type asked for at creation.</summary>
    public string? ChecksumAlgorithm { get; init; }

    public string? ChecksumType { get; init; }
}

/// <summary>What must be true of an object for it to be deleted; null says nothing. Checked atomically with the deletion.</summary>
public sealed record DeleteConditions
{
    /// <summary>As <see cref="PutOptions.IfMatch"/>.</summary>
    public string? IfMatch { get; init; }

    /// <summary>To the second, as S3 shows it.</summary>
    public DateTimeOffset? LastModified { get; init; }

    /// <summary>Bytes.</summary>
    public long? Size { get; init; }
}

public sealed record PutResult(string ETag, DateTimeOffset LastModified, long Size)
{
    public ObjectChecksums? Checksums { get; init; }
}

public sealed record CopyOptions
{
    public Preconditions? SourceConditions { get; init; }

    /// <summary>Null keeps the source's metadata; otherwise it is replaced by this (also the tags, unless <see cref="KeepTags"/>).</summary>
    public PutOptions? Replacement { get; init; }

    /// <summary>Of the copy; null is the source's, or that of <see cref="Replacement"/>.</summary>
    public string? StorageClass { get; init; }

    public bool KeepTags { get; init; } = true;

    public IReadOnlyList<KeyValuePair<string, string>> Tags { get; init; } = [];

    public string? IfMatch { get; init; }

    public string? IfNoneMatch { get; init; }

    public string? ChecksumAlgorithm { get; init; }
}

/// <param name="Number">1 to 10,000.</param>
/// <param name="ETag">With quotes.</param>
public sealed record PartInfo(int Number, long Size, string ETag, DateTimeOffset LastModified)
{
    public ObjectChecksums? Checksums { get; init; }
}

/// <param name="Number">Part number as the client lists it; strictly ascending.</param>
/// <param name="ETag">With or without quotes, as the client sent it.</param>
/// <param name="Checksums">What the client says the part's checksum is; null when it says nothing.</param>
public sealed record CompletedPart(int Number, string ETag, ObjectChecksums? Checksums);

public sealed record CompleteOptions
{
    public required IReadOnlyList<CompletedPart> Parts { get; init; }

    public string? IfMatch { get; init; }

    public string? IfNoneMatch { get; init; }

    /// <summary>The checksum the client expects the whole object to have.</summary>
    public ObjectChecksums? Checksums { get; init; }

    /// <summary>x-amz-checksum-type: what the client takes the upload's checksum to be; null when it says nothing.</summary>
    public string? ChecksumType { get; init; }

    /// <summary>x-amz-mp-object-size: the size the client expects; null when it says nothing.</summary>
    public long? ObjectSize { get; init; }
}

public sealed record PartPage
{
    public required IReadOnlyList<PartInfo> Parts { get; init; }

    public bool IsTruncated { get; init; }

    public string? ChecksumAlgorithm { get; init; }

    public string? ChecksumType { get; init; }

    public string StorageClass { get; init; } = "STANDARD";
}

public sealed record UploadListQuery
{
    public string Prefix { get; init; } = "";

    public string? Delimiter { get; init; }

    public string? KeyMarker { get; init; }

    public string? UploadIdMarker { get; init; }

    /// <summary>0 to 1000.</summary>
    public int MaxUploads { get; init; } = 1000;
}

public sealed record UploadPage
{
    public required IReadOnlyList<UploadInfo> Uploads { get; init; }

    public IReadOnlyList<string> CommonPrefixes { get; init; } = [];

    public bool IsTruncated { get; init; }

    public string? NextKeyMarker { get; init; }

    public string? NextUploadIdMarker { get; init; }
}

public sealed record UploadInfo(string Key, string UploadId, DateTimeOffset Initiated)
{
    public string StorageClass { get; init; } = "STANDARD";

    public string? ChecksumAlgorithm { get; init; }

    public string? ChecksumType { get; init; }
}
