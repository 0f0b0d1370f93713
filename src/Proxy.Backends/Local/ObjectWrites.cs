using Proxy.Backends.Local.Index;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>Puts, copies, deletes and tags objects. Every condition is decided in the transaction that makes the change; there is one at a time.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class ObjectWrites(StoreContext store, ObjectReads reads)
{
    /// <summary>How often a copy that needs a hash of its source starts again because the source was replaced meanwhile.</summary>
    private const int MaxCopyAttempts = 10;

    public async Task<PutResult> PutAsync(ObjectId id, UploadContent content, PutOptions options, CancellationToken cancellation)
    {
        var key = StoreContext.KeyBytes(id);
        store.CheckWriteEarly(id, key, options.IfMatch, options.IfNoneMatch);
        var body = await store.ReceiveAsync(content, cancellation).ConfigureAwait(false);
        var row = new ObjectRow
        {
            Version = store.Index.NextId(),
            Size = body.Size,
            ETag = Convert.ToHexStringLower(body.Md5),
            Modified = store.NowSeconds,
            StorageClass = StoreContext.StorageClass(options),
            Checksums = body.Checksums,
            Details = StoreContext.Details(options, options.Tags),
            Layout = new ObjectLayout(body.Extents, []),
        };
        return await store.CommitAsync(body, transaction =>
        {
            var bucket = StoreContext.Bucket(transaction, id.Bucket);
            var old = transaction.Read.Find(bucket.Id, key);
            StoreContext.CheckWrite(id, options.IfMatch, options.IfNoneMatch, old?.ETag);
            transaction.AddBody(body);
            Replace(transaction, bucket, key, old, row);
            return StoreContext.Result(row);
        }).ConfigureAwait(false);
    }

    public async Task<PutResult> CopyAsync(ObjectId source, ObjectId destination, CopyOptions options, CancellationToken cancellation)
    {
        var fromKey = StoreContext.KeyBytes(source);
        var toKey = StoreContext.KeyBytes(destination);
        store.CheckWriteEarly(destination, toKey, options.IfMatch, options.IfNoneMatch);
        if (source == destination && options.Replacement is null && options.StorageClass is null)
        {
            throw new S3Exception(
                S3ErrorCode.InvalidRequest, $"/{destination}",
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.");
        }

        ChecksumAlgorithm? algorithm = ChecksumAlgorithms.TryParse(options.ChecksumAlgorithm, out var parsed) ? parsed : null;
        for (var attempt = 0; attempt < MaxCopyAttempts; attempt++)
        {
            var (hashedVersion, checksums) = await ChecksumAsync(source, fromKey, algorithm, cancellation).ConfigureAwait(false);
            var result = await store.CommitAsync(transaction =>
            {
                var row = transaction.Read.Find(StoreContext.Bucket(transaction, source.Bucket).Id, fromKey) ?? throw LocalErrors.NoSuchKey(source);
                CheckSource(source, row, options.SourceConditions);
                if (hashedVersion is not null && row.Version != hashedVersion)
                {
                    return null;
                }

                var bucket = StoreContext.Bucket(transaction, destination.Bucket);
                var old = transaction.Read.Find(bucket.Id, toKey);
                StoreContext.CheckWrite(destination, options.IfMatch, options.IfNoneMatch, old?.ETag);
                var copy = row with
                {
                    Version = store.Index.NextId(),
                    Modified = store.NowSeconds,
                    StorageClass = options.StorageClass switch
                    {
                        "STANDARD" => null,
                        null => options.Replacement is { } replaced ? StoreContext.StorageClass(replaced) : row.StorageClass,
                        var named => named,
                    },
                    Checksums = checksums ?? row.Checksums,
                    Details = Details(row.Details, options),
                };

                // First, so that a copy onto itself never lets go of the last reference.
                transaction.Reference(copy.Layout.All);
                Replace(transaction, bucket, toKey, old, copy);
                return StoreContext.Result(copy);
            }).ConfigureAwait(false);
            if (result is not null)
            {
                return result;
            }
        }

        throw new S3Exception(S3ErrorCode.SlowDown, $"/{source}");
    }

    public Task<bool> DeleteAsync(ObjectId id, DeleteConditions? conditions)
    {
        var key = StoreContext.KeyBytes(id);
        var bucketNow = store.Bucket(id.Bucket);
        using (var read = store.Index.Read())
        {
            // Nothing there: no commit to wait for, and nothing that a condition could save. Whoever puts it now comes after us.
            if (conditions?.IfMatch is not "*" && read.Reader.FindVersion(bucketNow.Id, key) is null)
            {
                return Task.FromResult(false);
            }
        }

        return store.CommitAsync(transaction =>
        {
            var bucket = StoreContext.Bucket(transaction, id.Bucket);
            var old = transaction.Read.Find(bucket.Id, key);
            if (old is null)
            {
                return conditions?.IfMatch is not "*" ? false : throw LocalErrors.PreconditionFailed(id, "If-Match");
            }

            CheckDelete(id, conditions, old);

            transaction.Release(old.Layout.All);
            transaction.DeleteObject(bucket.Id, key);
            return true;
        });
    }

    private static void CheckDelete(ObjectId id, DeleteConditions? conditions, ObjectRow row)
    {
        if (conditions?.IfMatch is { } etag && !Preconditions.Matches(etag, row.ETag))
        {
            throw LocalErrors.PreconditionFailed(id, "If-Match");
        }

        if (conditions?.LastModified is { } modified && modified.ToUnixTimeSeconds() != row.Modified)
        {
            throw LocalErrors.PreconditionFailed(id, "x-amz-if-match-last-modified-time");
        }

        if (conditions?.Size is { } size && size != row.Size)
        {
            throw LocalErrors.PreconditionFailed(id, "x-amz-if-match-size");
        }
    }

    public IReadOnlyList<KeyValuePair<string, string>> Tags(ObjectId id)
    {
        var key = StoreContext.KeyBytes(id);
        var bucket = store.Bucket(id.Bucket);
        using var read = store.Index.Read();
        return (read.Reader.Find(bucket.Id, key, withLayout: false) ?? throw LocalErrors.NoSuchKey(id)).Details.Tags;
    }

    public Task<bool> PutTagsAsync(ObjectId id, IReadOnlyList<KeyValuePair<string, string>> tags)
    {
        var key = StoreContext.KeyBytes(id);
        _ = store.Bucket(id.Bucket);
        return store.CommitAsync(transaction =>
        {
            var bucket = StoreContext.Bucket(transaction, id.Bucket);
            var row = transaction.Read.Find(bucket.Id, key, withLayout: false) ?? throw LocalErrors.NoSuchKey(id);
            transaction.PutDetails(bucket.Id, key, row.Details with { Tags = [.. tags] });
            return true;
        });
    }

    /// <summary>The new row in the place of the old, whose bodies lose their user.</summary>
    public static void Replace(IndexTransaction transaction, BucketRow bucket, byte[] key, ObjectRow? old, ObjectRow row)
    {
        if (old is not null)
        {
            transaction.Release(old.Layout.All);
        }

        transaction.PutObject(bucket.Id, key, row);
    }

    /// <summary>A copy's source conditions: what would be 304 for a read is 412 here.</summary>
    public static void CheckSource(ObjectId source, ObjectRow row, Preconditions? conditions)
    {
        if (conditions is not null && conditions.Evaluate(row.ETag, DateTimeOffset.FromUnixTimeSeconds(row.Modified)) != PreconditionOutcome.Proceed)
        {
            throw LocalErrors.PreconditionFailed(source, "x-amz-copy-source conditions");
        }
    }

    private static ObjectDetails Details(ObjectDetails source, CopyOptions options)
    {
        var tags = options.KeepTags ? source.Tags : options.Tags;
        return options.Replacement is { } replacement ? StoreContext.Details(replacement, tags) : source with { Tags = [.. tags] };
    }

    /// <summary>The checksum asked for, when the source does not have it already.</summary>
    private async Task<(long? Version, ObjectChecksums? Checksums)> ChecksumAsync(
        ObjectId source, byte[] key, ChecksumAlgorithm? algorithm, CancellationToken cancellation)
    {
        if (algorithm is not { } asked)
        {
            return (null, null);
        }

        using (var read = store.Index.Read())
        {
            var row = read.Reader.Find(store.Bucket(source.Bucket).Id, key, withLayout: false) ?? throw LocalErrors.NoSuchKey(source);
            if (row.Checksums?.Algorithm == asked.ToS3Name())
            {
                return (row.Version, null);
            }
        }

        var (version, _, checksums) = await reads.HashAsync(source, static row => new ByteSpan(0, row.Size), asked, cancellation).ConfigureAwait(false);
        return (version, checksums);
    }
}
