using System.Security.Cryptography;
using Proxy.Backends.Local.Bodies;
using Proxy.Backends.Local.Index;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>Multipart uploads. Completing one moves no bytes: the parts' bodies become the object's.</summary>
/// <remarks>Thread-safe. Complete, Abort and a late part of the same upload are put in order by the index's writer; whoever comes second finds no upload.</remarks>
internal sealed class Uploads(StoreContext store, ObjectReads reads)
{
    private const int MaxParts = 10_000;
    private const int MaxCopyAttempts = 10;

    public async Task<string> CreateAsync(ObjectId id, PutOptions options)
    {
        var key = StoreContext.KeyBytes(id);
        store.CheckWriteEarly(id, key, options.IfMatch, options.IfNoneMatch);
        var token = (long)(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) >> 1);
        var now = store.NowSeconds;
        return await store.CommitAsync(transaction =>
        {
            var bucket = StoreContext.Bucket(transaction, id.Bucket);
            var details = StoreContext.Details(options, options.Tags);
            var storageClass = StoreContext.StorageClass(options);
            var upload = transaction.CreateUpload(bucket.Id, id.Key, token, now, storageClass, options.ChecksumAlgorithm, options.ChecksumType, details);
            return new UploadRow(upload, token, id.Key, now, null, null, null, details).UploadId;
        }).ConfigureAwait(false);
    }

    public async Task<PartInfo> PutPartAsync(ObjectId id, string uploadId, int number, UploadContent content, CancellationToken cancellation)
    {
        CheckNumber(number);
        var found = Find(id, uploadId);
        var body = await store.ReceiveAsync(content, cancellation).ConfigureAwait(false);
        if (body.Checksums is null && ChecksumAlgorithms.TryParse(found.ChecksumAlgorithm, out var algorithm))
        {
            // The upload promised checksums and this part came without: S3 computes it then. Rare, so the bytes are read again rather than hashed twice for everybody.
            body = body with { Checksums = await store.ChecksumAsync(body, algorithm, cancellation).ConfigureAwait(false) };
        }

        var row = new PartRow(new StoredPart(number, body.Size, body.Md5, body.Checksums, body.Extents), store.NowSeconds);
        return await store.CommitAsync(body, transaction =>
        {
            var upload = Find(transaction, id, uploadId);
            if (upload.ChecksumAlgorithm is { } promised && body.Checksums?.Algorithm != promised)
            {
                throw LocalErrors.ChecksumMismatch(id, promised, body.Checksums?.Algorithm);
            }

            transaction.AddBody(body);
            ReplacePart(transaction, upload, row);
            return row.Part.ToInfo(row.Modified);
        }).ConfigureAwait(false);
    }

    public async Task<PartInfo> CopyPartAsync(
        ObjectId source, ByteRange? range, Preconditions? conditions, ObjectId id, string uploadId, int number, CancellationToken cancellation)
    {
        CheckNumber(number);
        var fromKey = StoreContext.KeyBytes(source);
        var found = Find(id, uploadId);
        ChecksumAlgorithm? algorithm = ChecksumAlgorithms.TryParse(found.ChecksumAlgorithm, out var parsed) ? parsed : null;
        for (var attempt = 0; attempt < MaxCopyAttempts; attempt++)
        {
            ByteSpan span = default;
            var (version, md5, checksums) = await reads.HashAsync(
                source,
                row =>
                {
                    ObjectWrites.CheckSource(source, row, conditions);
                    span = range is { } asked ? Resolve(source, asked, row.Size) : new ByteSpan(0, row.Size);
                    return span.Length <= store.Options.MaxPutBytes ? span : throw LocalErrors.EntityTooLarge(source, span.Length, store.Options.MaxPutBytes);
                },
                algorithm, cancellation).ConfigureAwait(false);
            var now = store.NowSeconds;
            var part = await store.CommitAsync(transaction =>
            {
                var upload = Find(transaction, id, uploadId);
                var row = transaction.Read.Find(StoreContext.Bucket(transaction, source.Bucket).Id, fromKey) ?? throw LocalErrors.NoSuchKey(source);
                if (row.Version != version)
                {
                    return null;
                }

                var extents = Extents.Slice(row.Layout.All, span.Offset, span.Length);
                transaction.Reference(extents);
                var copy = new PartRow(new StoredPart(number, span.Length, md5, checksums, extents), now);
                ReplacePart(transaction, upload, copy);
                return copy.Part.ToInfo(now);
            }).ConfigureAwait(false);
            if (part is not null)
            {
                return part;
            }
        }

        throw new S3Exception(S3ErrorCode.SlowDown, $"/{source}");
    }

    public async Task<PutResult> CompleteAsync(ObjectId id, string uploadId, CompleteOptions options)
    {
        var key = StoreContext.KeyBytes(id);
        _ = store.Bucket(id.Bucket);
        CheckOrder(id, options.Parts);
        var now = store.NowSeconds;
        return await store.CommitAsync(transaction =>
        {
            var bucket = StoreContext.Bucket(transaction, id.Bucket);
            var old = transaction.Read.Find(bucket.Id, key);
            if (transaction.Read.FindUpload(bucket.Id, id.Key, uploadId) is not { } upload)
            {
                return Repeat(transaction, bucket, id, uploadId, old);
            }

            // 1. Everything that may be refused.
            var stored = transaction.Read.Parts(upload.Id, 0, MaxParts);
            var parts = Choose(id, upload, options.Parts, stored);
            var size = parts.Sum(static part => part.Size);
            if (size > store.Options.MaxObjectBytes)
            {
                throw LocalErrors.EntityTooLarge(id, size, store.Options.MaxObjectBytes);
            }

            if (options.ObjectSize is { } expected && expected != size)
            {
                throw new S3Exception(S3ErrorCode.InvalidRequest, $"/{id}", $"The upload has {size} bytes, x-amz-mp-object-size says {expected}.");
            }

            var checksums = Checksums(upload, parts);
            CheckClaims(id, upload, options, checksums);

            StoreContext.CheckWrite(id, options.IfMatch, options.IfNoneMatch, old?.ETag);

            // 2. The change. The parts' references become the object's; those of parts not named are let go.
            var row = new ObjectRow
            {
                Version = store.Index.NextId(),
                Size = size,
                ETag = MultipartChecksum.ETag([.. parts.Select(static part => Convert.ToHexStringLower(part.Md5))]).Trim('"'),
                Modified = now,
                StorageClass = upload.StorageClass,
                Checksums = checksums,
                PartCount = parts.Count,
                Details = upload.Details,
                Layout = new ObjectLayout([], parts),
            };
            var named = parts.Select(static part => part.Number).ToHashSet();
            transaction.Release(stored.Where(part => !named.Contains(part.Part.Number)).SelectMany(static part => part.Part.Extents));
            ObjectWrites.Replace(transaction, bucket, key, old, row);
            transaction.DeleteUpload(upload.Id);
            transaction.RememberCompleted(upload, bucket.Id, new CompletedRow(row.ETag, now, size, ChecksumText.Format(checksums)), now);
            return StoreContext.Result(row);
        }).ConfigureAwait(false);
    }

    public Task<bool> AbortAsync(ObjectId id, string uploadId)
    {
        _ = store.Bucket(id.Bucket);
        return store.CommitAsync(transaction =>
        {
            Drop(transaction, Find(transaction, id, uploadId).Id);
            return true;
        });
    }

    public PartPage List(ObjectId id, string uploadId, int after, int max)
    {
        var bucket = store.Bucket(id.Bucket);
        using var read = store.Index.Read();
        var upload = read.Reader.FindUpload(bucket.Id, id.Key, uploadId) ?? throw LocalErrors.NoSuchUpload(id, uploadId);
        var rows = max <= 0 ? [] : read.Reader.Parts(upload.Id, after, max + 1);
        return new PartPage
        {
            Parts = [.. rows.Take(max).Select(static row => row.Part.ToInfo(row.Modified))],
            IsTruncated = rows.Count > max,
            ChecksumAlgorithm = upload.ChecksumAlgorithm,
            ChecksumType = upload.ChecksumType,
            StorageClass = upload.StorageClass ?? "STANDARD",
        };
    }

    /// <summary>Removes an upload with all its parts.</summary>
    public static void Drop(IndexTransaction transaction, long upload)
    {
        foreach (var row in transaction.Read.Parts(upload, 0, MaxParts))
        {
            transaction.Release(row.Part.Extents);
        }

        transaction.DeleteUpload(upload);
    }

    /// <summary>A second Complete of the same upload: the same answer, as long as the object is still the one it made.</summary>
    private static PutResult Repeat(IndexTransaction transaction, BucketRow bucket, ObjectId id, string uploadId, ObjectRow? current)
    {
        if (transaction.Read.FindCompleted(bucket.Id, id.Key, uploadId) is { } completed && current?.ETag == completed.ETag)
        {
            return new PutResult($"\"{completed.ETag}\"", DateTimeOffset.FromUnixTimeSeconds(completed.Modified), completed.Size)
            {
                Checksums = ChecksumText.Parse(completed.Checksums),
            };
        }

        throw LocalErrors.NoSuchUpload(id, uploadId);
    }

    private static void ReplacePart(IndexTransaction transaction, UploadRow upload, PartRow row)
    {
        if (transaction.Read.Parts(upload.Id, row.Part.Number - 1, 1) is [var old] && old.Part.Number == row.Part.Number)
        {
            transaction.Release(old.Part.Extents);
        }

        transaction.PutPart(upload.Id, row);
    }

    private static UploadRow Find(IndexTransaction transaction, ObjectId id, string uploadId) =>
        transaction.Read.FindUpload(StoreContext.Bucket(transaction, id.Bucket).Id, id.Key, uploadId) ?? throw LocalErrors.NoSuchUpload(id, uploadId);

    private static void CheckNumber(int number)
    {
        if (number is < 1 or > MaxParts)
        {
            throw LocalErrors.InvalidArgument(
                "partNumber", number.ToString(System.Globalization.CultureInfo.InvariantCulture), "Part number must be an integer between 1 and 10000, inclusive");
        }
    }

    private static void CheckOrder(ObjectId id, IReadOnlyList<CompletedPart> parts)
    {
        if (parts.Count == 0)
        {
            throw new S3Exception(S3ErrorCode.MalformedXml, $"/{id}");
        }

        for (var i = 1; i < parts.Count; i++)
        {
            if (parts[i].Number <= parts[i - 1].Number)
            {
                throw new S3Exception(S3ErrorCode.InvalidPartOrder, $"/{id}");
            }
        }
    }

    private static ByteSpan Resolve(ObjectId source, ByteRange range, long size)
    {
        // Unlike a read, a part copy wants the whole range to be there.
        if (range is { First: { } first, Last: { } last } && (first > last || last >= size))
        {
            throw LocalErrors.InvalidRange(source, range, size);
        }

        return range.TryResolve(size, out var span) ? span : throw LocalErrors.InvalidRange(source, range, size);
    }

    private List<StoredPart> Choose(ObjectId id, UploadRow upload, IReadOnlyList<CompletedPart> asked, List<PartRow> stored)
    {
        ChecksumAlgorithm? promised = ChecksumAlgorithms.TryParse(upload.ChecksumAlgorithm, out var parsed) ? parsed : null;
        var isComposite = promised is { } algorithm && (upload.ChecksumType ?? algorithm.MultipartType()) == ObjectChecksums.Composite;
        var byNumber = stored.ToDictionary(static row => row.Part.Number, static row => row.Part);
        var parts = new List<StoredPart>(asked.Count);
        foreach (var want in asked)
        {
            if (!byNumber.TryGetValue(want.Number, out var part)
                || !IsETagOf(part, want.ETag)
                || (want.Checksums is { } said && part.Checksums is { } known && said.Algorithm == known.Algorithm && said.Value != known.Value))
            {
                throw LocalErrors.InvalidPart(id, upload.UploadId, want);
            }

            // Of an algorithm that the part came without, nothing is known that could be compared.
            if (want.Checksums is null ? isComposite : want.Checksums.Algorithm != part.Checksums?.Algorithm)
            {
                throw LocalErrors.PartChecksum(id, want, upload.ChecksumAlgorithm);
            }

            parts.Add(part);
        }

        for (var i = 0; i < parts.Count - 1; i++)
        {
            if (parts[i].Size < store.Options.MinPartSize)
            {
                throw LocalErrors.EntityTooSmall(id, asked[i], parts[i].Size, store.Options.MinPartSize);
            }
        }

        return parts;
    }

    /// <summary>One version, quoted or not: neither <c>*</c> nor the list that a condition may be.</summary>
    private static bool IsETagOf(StoredPart part, ReadOnlySpan<char> etag)
    {
        var bare = etag is ['"', .. var quoted, '"'] ? quoted : etag;
        return bare.Equals(Convert.ToHexStringLower(part.Md5), StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>What the client says of the whole: it must be of the kind the upload was created with, and true.</summary>
    private static void CheckClaims(ObjectId id, UploadRow upload, CompleteOptions options, ObjectChecksums? checksums)
    {
        if (ChecksumAlgorithms.TryParse(upload.ChecksumAlgorithm, out var promised))
        {
            var type = upload.ChecksumType ?? promised.MultipartType();
            if (options.ChecksumType is { } said && said != type)
            {
                throw new S3Exception(
                    S3ErrorCode.InvalidRequest, $"/{id}", $"The upload was created using the {type} checksum mode. The complete request must use the same checksum mode.");
            }
        }

        if (options.Checksums is not { } claimed)
        {
            return;
        }

        // Of an algorithm that the parts came without it could only be believed, or all bytes read again while the client waits: refused, as S3 does.
        if (claimed.Algorithm != checksums?.Algorithm)
        {
            throw LocalErrors.ChecksumMismatch(id, checksums?.Algorithm, claimed.Algorithm);
        }

        // minio-go claims a composite checksum without its -N.
        if (claimed.Value != (claimed.Value.Contains('-', StringComparison.Ordinal) ? checksums.Value : checksums.Value.Split('-')[0]))
        {
            throw new S3Exception(S3ErrorCode.BadDigest, $"/{id}");
        }
    }

    /// <summary>The object's checksum out of the parts'; null unless every part has one of the upload's algorithm.</summary>
    private static ObjectChecksums? Checksums(UploadRow upload, List<StoredPart> parts)
    {
        var name = upload.ChecksumAlgorithm ?? parts[0].Checksums?.Algorithm;
        if (!ChecksumAlgorithms.TryParse(name, out var algorithm) || parts.Exists(part => part.Checksums?.Algorithm != algorithm.ToS3Name()))
        {
            return null;
        }

        var full = (upload.ChecksumType ?? algorithm.MultipartType()) == ObjectChecksums.FullObject;
        if (full && !algorithm.IsCrc())
        {
            return null; // Digests cannot be put together; the front refuses such uploads.
        }

        return full
            ? MultipartChecksum.FullObject(algorithm, [.. parts.Select(static part => (part.Checksums!.Value, part.Size))])
            : MultipartChecksum.Composite(algorithm, [.. parts.Select(static part => part.Checksums!.Value)]);
    }

    private UploadRow Find(ObjectId id, string uploadId)
    {
        var bucket = store.Bucket(id.Bucket);
        using var read = store.Index.Read();
        return read.Reader.FindUpload(bucket.Id, id.Key, uploadId) ?? throw LocalErrors.NoSuchUpload(id, uploadId);
    }
}
