namespace Proxy.S3.Requests;

/// <summary>The operations the proxy itself understands, by S3's own names.</summary>
public enum S3Operation
{
    /// <summary>Anything else: forwarded as it came, or 501 NotImplemented.</summary>
    Other,
    ListBuckets,
    CreateBucket,
    HeadBucket,
    DeleteBucket,
    GetBucketLocation,
    GetBucketVersioning,
    ListObjects,
    ListObjectsV2,
    ListMultipartUploads,
    DeleteObjects,
    PostObject,
    GetObject,
    HeadObject,
    PutObject,
    DeleteObject,
    CopyObject,
    GetObjectTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    GetObjectAttributes,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,

    // Only the local store answers these itself; for a remote backend they are Other.
    ListObjectVersions,
    GetBucketAcl,
    PutBucketAcl,
    GetObjectAcl,
    PutObjectAcl,
}
