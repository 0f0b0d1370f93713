using Microsoft.Extensions.Logging;
using Proxy.Backends.Local.Bodies;
using Proxy.Backends.Local.Index;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>The embedded S3 store: an ordered index and a folder of immutable bodies.</summary>
/// <remarks>
/// Thread-safe. One process at a time may have a folder open. A change is answered when it is durable: the body flushed first, then its folder, then the index's
/// log, and one flush of the log serves every change that waited for it. Readers never wait for writers, and what they have opened stays whole.
/// Each method here names the part that does the work: <see cref="ObjectReads"/>, <see cref="ObjectWrites"/>, <see cref="Uploads"/>, <see cref="Listing"/>.
/// </remarks>
public sealed partial class LocalObjectStore : IObjectStore, IAsyncDisposable
{
    private readonly StoreFolder _folder;
    private readonly DiskThreads _disk;
    private readonly StoreContext _store;
    private readonly ObjectReads _reads;
    private readonly ObjectWrites _writes;
    private readonly Uploads _uploads;
    private int _disposed;

    private LocalObjectStore(StoreFolder folder, LocalOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        var logger = loggers.CreateLogger<LocalObjectStore>();
        var started = time.GetTimestamp();
        _folder = folder;
        _disk = new DiskThreads(options.DiskThreads);
        var bodies = new BodyFolder(folder.Bodies, options.Fsync, _disk, new LocalCounts());
        try
        {
            _store = new StoreContext(new KeyIndex(folder.Root, bodies), bodies, options, time);
        }
        catch
        {
            _disk.Dispose();
            throw;
        }

        _reads = new ObjectReads(_store);
        _writes = new ObjectWrites(_store, _reads);
        _uploads = new Uploads(_store, _reads);
        Janitor = new Janitor(_store, folder.Bodies, time, loggers.CreateLogger<Janitor>());
        Janitor.Start();
        LogOpened(logger, folder.Root, _store.Index.Buckets.Count, time.GetElapsedTime(started).TotalMilliseconds);
        if (!options.Fsync)
        {
            LogNoFsync(logger, folder.Root);
        }
    }

    /// <summary>A snapshot; cheap.</summary>
    public LocalCounters Counters
    {
        get
        {
            var counts = _store.Bodies.Counts;
            return new LocalCounters
            {
                Commits = Interlocked.Read(ref counts.Commits),
                Mutations = Interlocked.Read(ref counts.Mutations),
                LargestBatch = counts.LargestBatch,
                BodyFlushes = Interlocked.Read(ref counts.BodyFlushes),
                BytesWritten = Interlocked.Read(ref counts.BytesWritten),
                BytesRead = Interlocked.Read(ref counts.BytesRead),
                OrphansSwept = Interlocked.Read(ref counts.OrphansSwept),
                SweepFinished = counts.SweepFinished,
            };
        }
    }

    internal Janitor Janitor { get; }

    /// <summary>Opens the folder, creating it when missing. Takes milliseconds whatever it holds; leftovers of a crash are swept in the background.</summary>
    /// <exception cref="IOException">The folder is in use by another process, was written by a newer version, or cannot be written.</exception>
    public static LocalObjectStore Open(LocalOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        var folder = StoreFolder.Open(options.Directory, options.Fsync);
        try
        {
            return new LocalObjectStore(folder, options, time, loggers);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation) => ValueTask.FromResult<IReadOnlyList<BucketInfo>>(
        [.. _store.Index.Buckets.Values.OrderBy(static bucket => bucket.Name, StringComparer.Ordinal).Select(ToInfo)]);

    public async ValueTask CreateBucketAsync(string bucket, CancellationToken cancellation)
    {
        if (!IsBucketName(bucket))
        {
            throw new S3Exception(S3ErrorCode.InvalidBucketName, $"/{bucket}") { Details = [new("BucketName", bucket)] };
        }

        var now = _store.NowSeconds;
        await _store.CommitAsync(transaction =>
        {
            if (transaction.Buckets.ContainsKey(bucket))
            {
                throw new S3Exception(S3ErrorCode.BucketAlreadyOwnedByYou, $"/{bucket}") { Details = [new("BucketName", bucket)] };
            }

            transaction.CreateBucket(bucket, now);
            return true;
        }).ConfigureAwait(false);
    }

    public ValueTask<BucketInfo> HeadBucketAsync(string bucket, CancellationToken cancellation) => ValueTask.FromResult(ToInfo(_store.Bucket(bucket)));

    public async ValueTask DeleteBucketAsync(string bucket, CancellationToken cancellation) => await _store.CommitAsync(transaction =>
    {
        var row = StoreContext.Bucket(transaction, bucket);
        if (transaction.Read.Seek(row.Id, []))
        {
            transaction.Read.CloseCursors();
            throw new S3Exception(S3ErrorCode.BucketNotEmpty, $"/{bucket}") { Details = [new("BucketName", bucket)] };
        }

        transaction.Read.CloseCursors();

        // Uploads in progress go with their bucket.
        foreach (var upload in transaction.Read.UploadsOf(row.Id))
        {
            Uploads.Drop(transaction, upload);
        }

        transaction.DeleteBucket(row);
        return true;
    }).ConfigureAwait(false);

    public ValueTask<ListPage> ListObjectsAsync(string bucket, ListQuery query, CancellationToken cancellation)
    {
        var row = _store.Bucket(bucket);
        using var read = _store.Index.Read();
        return ValueTask.FromResult(Listing.Objects(read.Reader, row.Id, query));
    }

    public ValueTask<ObjectInfo> HeadObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation) =>
        ValueTask.FromResult(_reads.Head(id, options));

    public ValueTask<ObjectBody> GetObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation) =>
        ValueTask.FromResult(_reads.Get(id, options));

    public ValueTask<IReadOnlyList<PartInfo>> GetObjectPartsAsync(ObjectId id, CancellationToken cancellation) => ValueTask.FromResult(_reads.Parts(id));

    public async ValueTask<PutResult> PutObjectAsync(ObjectId id, UploadContent content, PutOptions options, CancellationToken cancellation) =>
        await _writes.PutAsync(id, content, options, cancellation).ConfigureAwait(false);

    public async ValueTask<PutResult> CopyObjectAsync(ObjectId source, ObjectId destination, CopyOptions options, CancellationToken cancellation) =>
        await _writes.CopyAsync(source, destination, options, cancellation).ConfigureAwait(false);

    public async ValueTask DeleteObjectAsync(ObjectId id, DeleteConditions? conditions, CancellationToken cancellation) =>
        await _writes.DeleteAsync(id, conditions).ConfigureAwait(false);

    public ValueTask<IReadOnlyList<KeyValuePair<string, string>>> GetTaggingAsync(ObjectId id, CancellationToken cancellation) =>
        ValueTask.FromResult(_writes.Tags(id));

    public async ValueTask PutTaggingAsync(ObjectId id, IReadOnlyList<KeyValuePair<string, string>> tags, CancellationToken cancellation) =>
        await _writes.PutTagsAsync(id, tags).ConfigureAwait(false);

    public async ValueTask<string> CreateMultipartUploadAsync(ObjectId id, PutOptions options, CancellationToken cancellation) =>
        await _uploads.CreateAsync(id, options).ConfigureAwait(false);

    public async ValueTask<PartInfo> UploadPartAsync(ObjectId id, string uploadId, int partNumber, UploadContent content, CancellationToken cancellation) =>
        await _uploads.PutPartAsync(id, uploadId, partNumber, content, cancellation).ConfigureAwait(false);

    public async ValueTask<PartInfo> UploadPartCopyAsync(
        ObjectId source, ByteRange? range, Preconditions? sourceConditions, ObjectId destination, string uploadId, int partNumber, CancellationToken cancellation) =>
        await _uploads.CopyPartAsync(source, range, sourceConditions, destination, uploadId, partNumber, cancellation).ConfigureAwait(false);

    public async ValueTask<PutResult> CompleteMultipartUploadAsync(ObjectId id, string uploadId, CompleteOptions options, CancellationToken cancellation) =>
        await _uploads.CompleteAsync(id, uploadId, options).ConfigureAwait(false);

    public async ValueTask AbortMultipartUploadAsync(ObjectId id, string uploadId, CancellationToken cancellation) =>
        await _uploads.AbortAsync(id, uploadId).ConfigureAwait(false);

    public ValueTask<PartPage> ListPartsAsync(ObjectId id, string uploadId, int afterPartNumber, int maxParts, CancellationToken cancellation) =>
        ValueTask.FromResult(_uploads.List(id, uploadId, afterPartNumber, maxParts));

    public ValueTask<UploadPage> ListMultipartUploadsAsync(string bucket, UploadListQuery query, CancellationToken cancellation)
    {
        var row = _store.Bucket(bucket);
        using var read = _store.Index.Read();
        return ValueTask.FromResult(Listing.Uploads(read.Reader, row.Id, query));
    }

    /// <summary>Finishes what was accepted, moves the log into the index and lets go of the folder.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await Janitor.DisposeAsync().ConfigureAwait(false);
        _store.Index.Dispose();
        _disk.Dispose();
        _folder.Dispose();
    }

    private static BucketInfo ToInfo(BucketRow row) => new(row.Name, DateTimeOffset.FromUnixTimeSeconds(row.Created));

    /// <summary>S3's rules in short: 3 to 63 of a–z, 0–9, dot and hyphen, beginning and ending with a letter or digit, no two dots together, and no IPv4 address.</summary>
    private static bool IsBucketName(string name) =>
        name.Length is >= 3 and <= 63
        && name.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '-')
        && name[0] is not ('.' or '-') && name[^1] is not ('.' or '-')
        && !name.Contains("..", StringComparison.Ordinal)
        && !(name.Count('.') == 3 && name.All(static c => char.IsAsciiDigit(c) || c is '.')); // only the dotted form: 2024 and 0xabc are names

    [LoggerMessage(2100, LogLevel.Information, "Local store {Directory} is open: {Buckets} buckets, after {ElapsedMs} ms")]
    private static partial void LogOpened(ILogger logger, string directory, int buckets, double elapsedMs);

    [LoggerMessage(2105, LogLevel.Warning, "Local store {Directory} does not flush: what it acknowledges survives a crash of the process, not of the machine")]
    private static partial void LogNoFsync(ILogger logger, string directory);
}
