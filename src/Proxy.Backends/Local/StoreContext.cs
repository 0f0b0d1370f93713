using System.Text;
using Proxy.Backends.Local.Bodies;
using Proxy.Backends.Local.Index;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>What the operations of one open store share: its index, its bodies, its clock, and the few steps they all begin or end with.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class StoreContext(KeyIndex index, BodyFolder bodies, LocalOptions options, TimeProvider time)
{
    /// <summary>S3's limit on a key, in UTF-8 bytes.</summary>
    private const int MaxKeyBytes = 1024;

    private readonly DiskRoom _disk = new(Path.GetFullPath(options.Directory));

    public KeyIndex Index => index;

    public BodyFolder Bodies => bodies;

    public LocalOptions Options => options;

    public long NowSeconds => time.GetUtcNow().ToUnixTimeSeconds();

    public static byte[] KeyBytes(ObjectId id)
    {
        if (id.Key.Length == 0)
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, $"/{id}", "An object needs a key.");
        }

        var bytes = Encoding.UTF8.GetBytes(id.Key);
        return bytes.Length <= MaxKeyBytes
            ? bytes
            : throw new S3Exception(S3ErrorCode.KeyTooLongError, $"/{id.Bucket}")
            {
                Details = [new("Size", bytes.Length.ToString(System.Globalization.CultureInfo.InvariantCulture)), new("MaxSizeAllowed", "1024")],
            };
    }

    public BucketRow Bucket(string name) => index.Buckets.TryGetValue(name, out var bucket) ? bucket : throw LocalErrors.NoSuchBucket(name);

    /// <summary>The bucket as the transaction sees it: it may have gone while a body was being received.</summary>
    public static BucketRow Bucket(IndexTransaction transaction, string name) =>
        transaction.Buckets.TryGetValue(name, out var bucket) ? bucket : throw LocalErrors.NoSuchBucket(name);

    /// <summary>The conditions of a write against the ETag that is there now; null when nothing is.</summary>
    public static void CheckWrite(ObjectId id, string? ifMatch, string? ifNoneMatch, string? etag)
    {
        if (ifMatch is not null)
        {
            if (etag is null)
            {
                throw LocalErrors.NoSuchKey(id);
            }

            if (!Preconditions.Matches(ifMatch, etag))
            {
                throw LocalErrors.PreconditionFailed(id, "If-Match");
            }
        }

        if (ifNoneMatch is not null && etag is not null && Preconditions.Matches(ifNoneMatch, etag))
        {
            throw LocalErrors.PreconditionFailed(id, "If-None-Match");
        }
    }

    /// <summary>Refuses early what the commit would refuse anyway, before a body is received for nothing. The commit asks again: only its answer is atomic.</summary>
    public void CheckWriteEarly(ObjectId id, byte[] key, string? ifMatch, string? ifNoneMatch)
    {
        var bucket = Bucket(id.Bucket);
        if (ifMatch is not null || ifNoneMatch is not null)
        {
            using var read = index.Read();
            CheckWrite(id, ifMatch, ifNoneMatch, read.Reader.Find(bucket.Id, key, withLayout: false)?.ETag);
        }
    }

    /// <exception cref="S3Exception">SlowDown when the disk has no room for it, InternalError when the index takes no more changes; what the content's stream throws.</exception>
    public Task<ReceivedBody> ReceiveAsync(UploadContent content, CancellationToken cancellation)
    {
        if (index.Broken is { } broken)
        {
            throw DiskErrors.ToS3(broken);
        }

        RefuseWithoutRoom(content.Length ?? 0);
        return BodyWriter.ReceiveAsync(bodies, index.NextId, content, options.InlineBytes, options.MaxPutBytes, cancellation);
    }

    /// <summary>Hashes a body just received, from the page cache. On failure its file goes again.</summary>
    public async Task<ObjectChecksums> ChecksumAsync(ReceivedBody body, ChecksumAlgorithm algorithm, CancellationToken cancellation)
    {
        using var checksum = IncrementalChecksum.Create(algorithm);
        if (body.HasFile)
        {
            try
            {
                var file = File.OpenRead(bodies.PathOf(body.Body));
                await using var closing = file.ConfigureAwait(false);
                var buffer = new byte[64 << 10];
                int read;
                while ((read = await file.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
                {
                    checksum.Append(buffer.AsSpan(0, read));
                }
            }
            catch
            {
                bodies.Remove(body.Body);
                throw;
            }
        }
        else
        {
            checksum.Append(body.Inline);
        }

        return new ObjectChecksums(algorithm.ToS3Name(), checksum.GetBase64AndReset(), ObjectChecksums.FullObject);
    }

    /// <summary>Commits a change that brings a new body; when nothing was changed the body's file goes again.</summary>
    public async Task<T> CommitAsync<T>(ReceivedBody body, Func<IndexTransaction, T> mutation)
    {
        try
        {
            return await index.WriteAsync(mutation, body.HasFile ? bodies.FolderOf(body.Body) : null, body.Inline?.Length ?? 0, mayBlock: true).ConfigureAwait(false);
        }
        catch (IndexException e) when (e.IsOutcomeUnknown)
        {
            // The commit may have reached the disk: the file stays until the next start knows.
            throw DiskErrors.ToS3(e);
        }
        catch (Exception e)
        {
            if (body.HasFile)
            {
                bodies.Remove(body.Body);
            }

            throw e switch
            {
                IndexException { IsDiskFull: true } => DiskErrors.Full(e),
                IOException => DiskErrors.ToS3(e),
                _ => e,
            };
        }
    }

    public async Task<T> CommitAsync<T>(Func<IndexTransaction, T> mutation)
    {
        try
        {
            return await index.WriteAsync(mutation).ConfigureAwait(false);
        }
        catch (IndexException e) when (e.IsDiskFull)
        {
            throw DiskErrors.Full(e);
        }
        catch (IOException e)
        {
            throw DiskErrors.ToS3(e);
        }
    }

    /// <summary>Refuses an upload before the last byte is gone: clients are told to delete objects, and that has to work.</summary>
    private void RefuseWithoutRoom(long length)
    {
        var room = _disk.ForUploads();

        // An index never gets smaller: what was deleted from it is room for small bodies, and for nothing else.
        if (length > room && (length > options.InlineBytes || length - room > index.FreeBytes()))
        {
            throw DiskErrors.Full(null);
        }
    }

    /// <summary>Headers without the storage class, which has a place of its own.</summary>
    public static ObjectDetails Details(PutOptions options, IReadOnlyList<KeyValuePair<string, string>> tags) =>
        new(options.ContentType, [.. options.Headers.Where(static header => header.Key is not "x-amz-storage-class")], [.. tags]);

    /// <returns>Null for STANDARD.</returns>
    public static string? StorageClass(PutOptions options)
    {
        foreach (var (name, value) in options.Headers)
        {
            if (name is "x-amz-storage-class" && value is not "STANDARD")
            {
                return value;
            }
        }

        return null;
    }

    public static PutResult Result(ObjectRow row) =>
        new($"\"{row.ETag}\"", DateTimeOffset.FromUnixTimeSeconds(row.Modified), row.Size) { Checksums = row.Checksums };
}
