using Proxy.S3.Objects;

namespace Proxy.Server.Routing;

/// <summary>Reads of a store in which the bucket has another name than clients give it. Thread-safe.</summary>
internal class RenamedSource(IObjectSource inner, string bucket) : IObjectSource
{
    public ValueTask<ObjectInfo> HeadObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation) => inner.HeadObjectAsync(There(id), options, cancellation);

    public ValueTask<ObjectBody> GetObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation) => inner.GetObjectAsync(There(id), options, cancellation);

    public ValueTask<ListPage> ListObjectsAsync(string name, ListQuery query, CancellationToken cancellation) => inner.ListObjectsAsync(bucket, query, cancellation);

    protected ObjectId There(ObjectId id) => id with { Bucket = bucket };
}

/// <summary>A whole store in which the bucket has another name than clients give it. Copies stay within that bucket. Thread-safe.</summary>
internal sealed class RenamedStore(IObjectStore inner, string bucket) : RenamedSource(inner, bucket), IObjectStore
{
    private readonly string _bucket = bucket;

    public ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation) => inner.ListBucketsAsync(cancellation);

    public ValueTask CreateBucketAsync(string name, CancellationToken cancellation) => inner.CreateBucketAsync(_bucket, cancellation);

    public async ValueTask<BucketInfo> HeadBucketAsync(string name, CancellationToken cancellation) => await inner.HeadBucketAsync(_bucket, cancellation) with { Name = name };

    public ValueTask DeleteBucketAsync(string name, CancellationToken cancellation) => inner.DeleteBucketAsync(_bucket, cancellation);

    public ValueTask<PutResult> PutObjectAsync(ObjectId id, UploadContent content, PutOptions options, CancellationToken cancellation)
        => inner.PutObjectAsync(There(id), content, options, cancellation);

    public ValueTask<PutResult> CopyObjectAsync(ObjectId source, ObjectId destination, CopyOptions options, CancellationToken cancellation)
        => inner.CopyObjectAsync(There(source), There(destination), options, cancellation);

    public ValueTask DeleteObjectAsync(ObjectId id, DeleteConditions? conditions, CancellationToken cancellation) => inner.DeleteObjectAsync(There(id), conditions, cancellation);

    public ValueTask<IReadOnlyList<KeyValuePair<string, string>>> GetTaggingAsync(ObjectId id, CancellationToken cancellation) => inner.GetTaggingAsync(There(id), cancellation);

    public ValueTask PutTaggingAsync(ObjectId id, IReadOnlyList<KeyValuePair<string, string>> tags, CancellationToken cancellation)
        => inner.PutTaggingAsync(There(id), tags, cancellation);

    public ValueTask<string> CreateMultipartUploadAsync(ObjectId id, PutOptions options, CancellationToken cancellation)
        => inner.CreateMultipartUploadAsync(There(id), options, cancellation);

    public ValueTask<PartInfo> UploadPartAsync(ObjectId id, string uploadId, int partNumber, UploadContent content, CancellationToken cancellation)
        => inner.UploadPartAsync(There(id), uploadId, partNumber, content, cancellation);

    public ValueTask<PartInfo> UploadPartCopyAsync(
        ObjectId source, ByteRange? range, Preconditions? sourceConditions, ObjectId destination, string uploadId, int partNumber, CancellationToken cancellation)
        => inner.UploadPartCopyAsync(There(source), range, sourceConditions, There(destination), uploadId, partNumber, cancellation);

    public ValueTask<PutResult> CompleteMultipartUploadAsync(ObjectId id, string uploadId, CompleteOptions options, CancellationToken cancellation)
        => inner.CompleteMultipartUploadAsync(There(id), uploadId, options, cancellation);

    public ValueTask AbortMultipartUploadAsync(ObjectId id, string uploadId, CancellationToken cancellation)
        => inner.AbortMultipartUploadAsync(There(id), uploadId, cancellation);

    public ValueTask<PartPage> ListPartsAsync(ObjectId id, string uploadId, int afterPartNumber, int maxParts, CancellationToken cancellation)
        => inner.ListPartsAsync(There(id), uploadId, afterPartNumber, maxParts, cancellation);

    public ValueTask<UploadPage> ListMultipartUploadsAsync(string name, UploadListQuery query, CancellationToken cancellation)
        => inner.ListMultipartUploadsAsync(_bucket, query, cancellation);

    public ValueTask<IReadOnlyList<PartInfo>> GetObjectPartsAsync(ObjectId id, CancellationToken cancellation) => inner.GetObjectPartsAsync(There(id), cancellation);
}
