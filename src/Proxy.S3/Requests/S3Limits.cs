namespace Proxy.S3.Requests;

/// <summary>S3's own limits, with where they are written.</summary>
public static class S3Limits
{
    /// <summary>Bytes of UTF-8 in a key. S3 User Guide, "Naming Amazon S3 objects".</summary>
    public const int MaxKeyBytes = 1024;

    /// <summary>5 GiB in one PUT or one part. S3 User Guide, "Amazon S3 multipart upload limits".</summary>
    public const long MaxPutBytes = 5L << 30;

    /// <summary>5 TiB. S3 User Guide, "Amazon S3 multipart upload limits".</summary>
    public const long MaxObjectBytes = 5L << 40;

    /// <summary>5 MiB for every part but the last. S3 User Guide, "Amazon S3 multipart upload limits".</summary>
    public const long MinPartBytes = 5L << 20;

    /// <summary>Parts are numbered 1 to 10,000. S3 User Guide, "Amazon S3 multipart upload limits".</summary>
    public const int MaxPartNumber = 10_000;

    /// <summary>Keys in one page of a listing. API Reference, ListObjectsV2.</summary>
    public const int MaxListKeys = 1000;

    /// <summary>Uploads in one page. API Reference, ListMultipartUploads.</summary>
    public const int MaxListUploads = 1000;

    /// <summary>Parts in one page. API Reference, ListParts.</summary>
    public const int MaxListParts = 1000;

    /// <summary>Keys in one DeleteObjects. API Reference, DeleteObjects.</summary>
    public const int MaxDeleteKeys = 1000;

    /// <summary>Sum of bytes of names and values of x-amz-meta-*. S3 User Guide, "Working with object metadata".</summary>
    public const int MaxUserMetadataBytes = 2048;

    /// <summary>S3 User Guide, "Categorizing your storage using tags".</summary>
    public const int MaxTags = 10;

    /// <summary>UTF-16 code units. S3 User Guide, "Categorizing your storage using tags".</summary>
    public const int MaxTagKeyLength = 128;

    /// <summary>UTF-16 code units. S3 User Guide, "Categorizing your storage using tags".</summary>
    public const int MaxTagValueLength = 256;

    /// <summary>15 minutes. API Reference, "Error responses", RequestTimeTooSkewed.</summary>
    public static readonly TimeSpan MaxClockSkew = TimeSpan.FromMinutes(15);

    /// <summary>Seven days in seconds. API Reference, "Authenticating Requests: Using Query Parameters".</summary>
    public const int MaxPresignSeconds = 604_800;

    /// <summary>Body of CreateBucket, tagging and the like: their largest legal form is far below. Ours.</summary>
    public const int MaxSmallXmlBytes = 64 << 10;

    /// <summary>Body of DeleteObjects: 1000 keys of 1024 bytes, each byte at most six characters of XML, would be 6 MB; MinIO allows 2 MB. Ours.</summary>
    public const int MaxDeleteXmlBytes = 6 << 20;

    /// <summary>Body of CompleteMultipartUpload: 10,000 parts with an ETag and a checksum are 2.5 MB. Ours.</summary>
    public const int MaxCompleteXmlBytes = 4 << 20;
}
