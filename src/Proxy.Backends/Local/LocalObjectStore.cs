using Microsoft.Extensions.Logging;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>The embedded S3 store: an ordered index and a folder of immutable bodies.</summary>
/// <remarks>Thread-safe. One process at a time may have a folder open.</remarks>
public sealed class LocalObjectStore : IObjectStore, IAsyncDisposable
{
    private LocalObjectStore(LocalOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        _ = (options, time, loggers);
    }

    public LocalCounters Counters => throw new NotSupportedException();

    /// <summary>Opens the folder, creating it when missing. Takes milliseconds whatever it holds; leftovers of a crash are swept in the background.</summary>
    /// <exception cref="IOException">The folder is in use by another process, was written by a newer version, or cannot be written.</exception>
    public static LocalObjectStore Open(LocalOptions options, TimeProvider time, ILoggerFactory loggers) => new(options, time, loggers);

    public ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask CreateBucketAsync(string bucket, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<BucketInfo> HeadBucketAsync(string bucket, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask DeleteBucketAsync(string bucket, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<PutResult> PutObjectAsync(ObjectId id, UploadContent content, PutOptions options, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<PutResult> CopyObjectAsync(ObjectId source, ObjectId destination, CopyOptions options, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask DeleteObjectAsync(ObjectId id, string? ifMatch, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<IReadOnlyList<KeyValuePair<string, string>>> GetTaggingAsync(ObjectId id, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask PutTaggingAsync(ObjectId id, IReadOnlyList<KeyValuePair<string, string>> tags, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<string> CreateMultipartUploadAsync(ObjectId id, PutOptions options, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<PartInfo> UploadPartAsync(ObjectId id, string uploadId, int partNumber, UploadContent content, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<PartInfo> UploadPartCopyAsync(ObjectId source, ByteRange? range, Preconditions? sourceConditions, ObjectId destination, string uploadId, int partNumber, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<PutResult> CompleteMultipartUploadAsync(ObjectId id, string uploadId, CompleteOptions options, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask AbortMultipartUploadAsync(ObjectId id, string uploadId, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<PartPage> ListPartsAsync(ObjectId id, string uploadId, int afterPartNumber, int maxParts, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<UploadPage> ListMultipartUploadsAsync(string bucket, UploadListQuery query, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<IReadOnlyList<PartInfo>> GetObjectPartsAsync(ObjectId id, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<ObjectInfo> HeadObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<ObjectBody> GetObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<ListPage> ListObjectsAsync(string bucket, ListQuery query, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
