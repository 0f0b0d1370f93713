using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Proxy.Backends.Local.Bodies;
using Proxy.Backends.Local.Index;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>Answers HEAD and GET. What it opens stays whole however often the key is overwritten meanwhile.</summary>
/// <remarks>Thread-safe. Between <see cref="LocalObjectStore"/> and the index; bytes come from <see cref="BodyStream"/>.</remarks>
internal sealed class ObjectReads(StoreContext store)
{
    /// <summary>Looks at an object that keeps being replaced under us, before giving up; each failed look means that another write has landed.</summary>
    private const int MaxLooks = 1000;

    public ObjectInfo Head(ObjectId id, ObjectReadOptions options)
    {
        var key = StoreContext.KeyBytes(id);
        var bucket = store.Bucket(id.Bucket);
        using var read = store.Index.Read();
        var row = read.Reader.Find(bucket.Id, key, withLayout: options.PartNumber is not null) ?? throw LocalErrors.NoSuchKey(id);
        CheckRead(id, row, options.Preconditions);
        _ = Span(id, row, options);
        return ToInfo(row, options.PartNumber);
    }

    public ObjectBody Get(ObjectId id, ObjectReadOptions options)
    {
        var (row, span, content) = Open(id, row =>
        {
            CheckRead(id, row, options.Preconditions);
            return Span(id, row, options);
        });
        return new ObjectBody(ToInfo(row, options.PartNumber), span, content);
    }

    public IReadOnlyList<PartInfo> Parts(ObjectId id)
    {
        var key = StoreContext.KeyBytes(id);
        var bucket = store.Bucket(id.Bucket);
        using var read = store.Index.Read();
        var row = read.Reader.Find(bucket.Id, key) ?? throw LocalErrors.NoSuchKey(id);
        return [.. row.Layout.Parts.Select(part => part.ToInfo(row.Modified))];
    }

    /// <summary>Finds the object and opens what <paramref name="choose"/> picks of it.</summary>
    /// <remarks>
    /// (1) remember how many bodies were retired; (2) look the object up; (3) pin its files and fetch its inline bytes; (4) when something was retired meanwhile
    /// and the object is not the same any more, let go and look again. After step 4 nothing we hold can be removed.
    /// </remarks>
    public (ObjectRow Row, ByteSpan Span, BodyStream Content) Open(ObjectId id, Func<ObjectRow, ByteSpan> choose)
    {
        var key = StoreContext.KeyBytes(id);
        var bodies = store.Bodies;
        var bucket = store.Bucket(id.Bucket);
        using var read = store.Index.Read();
        for (var look = 0; look < MaxLooks; look++)
        {
            var retirements = bodies.Retirements;
            var row = read.Reader.Find(bucket.Id, key) ?? throw LocalErrors.NoSuchKey(id);
            var span = choose(row);
            var extents = Extents.Slice(row.Layout.All, span.Offset, span.Length);
            bodies.PinAll(extents);
            if (TryFetchInline(read.Reader, extents, out var inline)
                && (retirements == bodies.Retirements || read.Reader.FindVersion(bucket.Id, key) == row.Version))
            {
                return (row, span, new BodyStream(bodies, extents, inline, span.Length));
            }

            bodies.Unpin(CollectionsMarshal.AsSpan(extents));
        }

        throw new S3Exception(S3ErrorCode.SlowDown, $"/{id}");
    }

    /// <summary>Reads a piece of an object only to hash it, for copies that share the bytes.</summary>
    /// <returns>The version that was hashed: what is built on it checks that it is still the current one.</returns>
    public async Task<(long Version, byte[] Md5, ObjectChecksums? Checksums)> HashAsync(
        ObjectId id, Func<ObjectRow, ByteSpan> choose, ChecksumAlgorithm? algorithm, CancellationToken cancellation)
    {
        ByteSpan span = default;
        var (row, _, content) = Open(id, found => span = choose(found));
        await using var _1 = content.ConfigureAwait(false);
        if (algorithm is null && row.PartCount is null && row.ETag.Length == 32 && span == new ByteSpan(0, row.Size))
        {
            return (row.Version, Convert.FromHexString(row.ETag), null); // a plain upload's ETag is its MD5
        }

        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        using var checksum = algorithm is { } asked ? IncrementalChecksum.Create(asked) : null;
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(1 << 20);
        try
        {
            int read;
            while ((read = await content.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
            {
                md5.AppendData(buffer, 0, read);
                checksum?.Append(buffer.AsSpan(0, read));
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }

        return (row.Version, md5.GetHashAndReset(),
            checksum is null ? null : new ObjectChecksums(algorithm!.Value.ToS3Name(), checksum.GetBase64AndReset(), ObjectChecksums.FullObject));
    }

    private static bool TryFetchInline(IndexReader reader, List<Extent> extents, out Dictionary<long, byte[]> inline)
    {
        inline = [];
        foreach (var extent in extents)
        {
            if (extent.Inline && !inline.ContainsKey(extent.Body))
            {
                if (reader.FindInline(extent.Body) is not { } data)
                {
                    return false;
                }

                inline.Add(extent.Body, data);
            }
        }

        return true;
    }

    private static ByteSpan Span(ObjectId id, ObjectRow row, ObjectReadOptions options)
    {
        if (options.PartNumber is { } number)
        {
            if (row.PartCount is null)
            {
                return number == 1 ? new ByteSpan(0, row.Size) : throw LocalErrors.InvalidPartNumber(id, number, 1);
            }

            long offset = 0;
            foreach (var part in row.Layout.Parts)
            {
                if (part.Number == number)
                {
                    return new ByteSpan(offset, part.Size);
                }

                offset += part.Size;
            }

            throw LocalErrors.InvalidPartNumber(id, number, row.PartCount.Value);
        }

        if (options.Range is not { } range)
        {
            return new ByteSpan(0, row.Size);
        }

        return range.TryResolve(row.Size, out var span) ? span : throw LocalErrors.InvalidRange(id, range, row.Size);
    }

    private static void CheckRead(ObjectId id, ObjectRow row, Preconditions? conditions)
    {
        var modified = DateTimeOffset.FromUnixTimeSeconds(row.Modified);
        switch (conditions?.Evaluate(row.ETag, modified))
        {
            case PreconditionOutcome.Failed:
                throw LocalErrors.PreconditionFailed(id, conditions.IfMatch is not null ? "If-Match" : "If-Unmodified-Since");
            case PreconditionOutcome.NotModified:
                throw LocalErrors.NotModified(id, $"\"{row.ETag}\"", modified);
            default:
                return;
        }
    }

    /// <param name="part">The checksums are of this part, if the object has parts; null is the whole.</param>
    private static ObjectInfo ToInfo(ObjectRow row, int? part)
    {
        var headers = row.Details.Headers;
        if (row.Details.Tags.Count > 0 || row.StorageClass is not null)
        {
            var more = new List<KeyValuePair<string, string>>(headers);
            if (row.Details.Tags.Count > 0)
            {
                more.Add(new("x-amz-tagging-count", row.Details.Tags.Count.ToString(System.Globalization.CultureInfo.InvariantCulture)));
            }

            if (row.StorageClass is not null)
            {
                more.Add(new("x-amz-storage-class", row.StorageClass));
            }

            headers = more;
        }

        return new ObjectInfo
        {
            Size = row.Size,
            ETag = $"\"{row.ETag}\"",
            LastModified = DateTimeOffset.FromUnixTimeSeconds(row.Modified),
            ContentType = row.Details.ContentType,
            Headers = headers,
            ChecksumHeaders = ChecksumHeaders(row, part),
            PartCount = row.PartCount,
        };
    }

    private static KeyValuePair<string, string>[] ChecksumHeaders(ObjectRow row, int? part)
    {
        if (part is { } number && row.PartCount is not null)
        {
            return row.Layout.Parts.FirstOrDefault(stored => stored.Number == number)?.Checksums is { } one ? [new(Header(one), one.Value)] : [];
        }

        return row.Checksums is { } whole ? [new(Header(whole), whole.Value), new("x-amz-checksum-type", whole.Type)] : [];

        static string Header(ObjectChecksums checksums) => $"x-amz-checksum-{checksums.Algorithm.ToLowerInvariant()}";
    }
}
