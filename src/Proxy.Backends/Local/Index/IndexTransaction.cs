using System.Text;
using Proxy.Backends.Local.Bodies;

namespace Proxy.Backends.Local.Index;

/// <summary>The changes that can be made to the index, inside the writer's transaction.</summary>
/// <remarks>
/// Used by whoever is committing, one at a time. A mutation asks everything it wants to refuse for (through <see cref="Read"/>) before its first change:
/// a refusal leaves the batch as it was and the other mutations in it go on.
/// </remarks>
internal sealed class IndexTransaction(Database database)
{
    private readonly Statement _begin = database.Prepare("BEGIN IMMEDIATE");
    private readonly Statement _commit = database.Prepare("COMMIT");
    private readonly Statement _rollback = database.Prepare("ROLLBACK");
    private readonly Statement _insertBucket = database.Prepare("INSERT INTO buckets(name, created) VALUES(?1, ?2) RETURNING id");
    private readonly Statement _deleteBucket = database.Prepare("DELETE FROM buckets WHERE id=?1");
    private readonly Statement _insertObject = database.Prepare(
        "INSERT OR REPLACE INTO objects(bucket, key, version, size, etag, modified, class, checksums, parts, details, layout) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)");
    private readonly Statement _updateDetails = database.Prepare("UPDATE objects SET details=?3 WHERE bucket=?1 AND key=?2");
    private readonly Statement _deleteObject = database.Prepare("DELETE FROM objects WHERE bucket=?1 AND key=?2");
    private readonly Statement _insertBody = database.Prepare("INSERT INTO bodies(id, refs, data) VALUES(?1, 1, ?2)");
    private readonly Statement _reference = database.Prepare("UPDATE bodies SET refs=refs+1 WHERE id=?1");
    private readonly Statement _release = database.Prepare("UPDATE bodies SET refs=refs-1 WHERE id=?1 RETURNING refs");
    private readonly Statement _deleteBody = database.Prepare("DELETE FROM bodies WHERE id=?1");
    private readonly Statement _insertUpload = database.Prepare(
        "INSERT INTO uploads(token, bucket, key, initiated, class, algorithm, type, details) VALUES(?1,?2,?3,?4,?5,?6,?7,?8) RETURNING id");
    private readonly Statement _deleteUpload = database.Prepare("DELETE FROM uploads WHERE id=?1");
    private readonly Statement _insertPart = database.Prepare("INSERT OR REPLACE INTO parts(upload, number, size, md5, modified, checksums, layout) VALUES(?1,?2,?3,?4,?5,?6,?7)");
    private readonly Statement _deleteParts = database.Prepare("DELETE FROM parts WHERE upload=?1");
    private readonly Statement _insertCompleted = database.Prepare("INSERT INTO completed(id, token, bucket, key, etag, modified, size, checksums, at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)");
    private readonly Statement _forgetCompleted = database.Prepare("DELETE FROM completed WHERE at<?1");
    private readonly Statement _setReserved = database.Prepare("INSERT OR REPLACE INTO meta(name, value) VALUES('reserved', ?1)");

    /// <summary>Sees this transaction's own changes.</summary>
    public IndexReader Read { get; } = new(database);

    /// <summary>Files whose last reference this batch dropped; removed after the commit.</summary>
    public List<long> Retired { get; } = [];

    /// <summary>Buckets by name, as of this transaction; published to readers after the commit.</summary>
    public Dictionary<string, BucketRow> Buckets { get; private set; } = new(StringComparer.Ordinal);

    public bool BucketsChanged { get; private set; }

    public void Begin(Dictionary<string, BucketRow> buckets)
    {
        Retired.Clear();
        Buckets = buckets;
        BucketsChanged = false;
        _begin.Run();
    }

    public void Commit() => _commit.Run();

    public void Rollback() => _rollback.Run();

    public void CreateBucket(string name, long created)
    {
        _insertBucket.Bind(1, name).Bind(2, created).Step();
        var row = new BucketRow(_insertBucket.Int64(0), name, created);
        _insertBucket.Reset();
        ChangeBuckets(buckets => buckets.Add(name, row));
    }

    public void DeleteBucket(BucketRow bucket)
    {
        _deleteBucket.Bind(1, bucket.Id).Run();
        ChangeBuckets(buckets => buckets.Remove(bucket.Name));
    }

    /// <summary>Writes the row. References of what it replaces and of what it holds are the caller's.</summary>
    public void PutObject(long bucket, ReadOnlySpan<byte> key, ObjectRow row)
    {
        _insertObject.Bind(1, bucket).Bind(2, key).Bind(3, row.Version).Bind(4, row.Size).Bind(5, row.ETag).Bind(6, row.Modified).Bind(7, row.StorageClass)
            .Bind(8, ChecksumText.Format(row.Checksums)).Bind(9, row.PartCount).Bind(10, row.Details.Encode()).Bind(11, row.Layout.Encode()).Run();
    }

    public void PutDetails(long bucket, ReadOnlySpan<byte> key, ObjectDetails details) => _updateDetails.Bind(1, bucket).Bind(2, key).Bind(3, details.Encode()).Run();

    public void DeleteObject(long bucket, ReadOnlySpan<byte> key) => _deleteObject.Bind(1, bucket).Bind(2, key).Run();

    /// <summary>Makes a received body known, with one reference.</summary>
    public void AddBody(ReceivedBody body)
    {
        if (body.Size == 0)
        {
            return;
        }

        _insertBody.Bind(1, body.Body);
        _ = body.Inline is null ? _insertBody.BindNull(2) : _insertBody.Bind(2, body.Inline);
        _insertBody.Run();
    }

    /// <summary>One more user for every body in <paramref name="extents"/>; one extent, one reference.</summary>
    public void Reference(IEnumerable<Extent> extents)
    {
        foreach (var extent in extents)
        {
            _reference.Bind(1, extent.Body).Run();
        }
    }

    /// <summary>One user less; the body goes with its last.</summary>
    public void Release(IEnumerable<Extent> extents)
    {
        foreach (var extent in extents)
        {
            var left = _release.Bind(1, extent.Body).Step() ? _release.Int64(0) : 1;
            _release.Reset();
            if (left <= 0)
            {
                _deleteBody.Bind(1, extent.Body).Run();
                if (!extent.Inline)
                {
                    Retired.Add(extent.Body);
                }
            }
        }
    }

    public long CreateUpload(long bucket, string key, long token, long initiated, string? storageClass, string? algorithm, string? type, ObjectDetails details)
    {
        _insertUpload.Bind(1, token).Bind(2, bucket).Bind(3, Encoding.UTF8.GetBytes(key)).Bind(4, initiated).Bind(5, storageClass).Bind(6, algorithm).Bind(7, type)
            .Bind(8, details.Encode()).Step();
        var id = _insertUpload.Int64(0);
        _insertUpload.Reset();
        return id;
    }

    public void PutPart(long upload, PartRow row)
    {
        var (part, modified) = row;
        _insertPart.Bind(1, upload).Bind(2, part.Number).Bind(3, part.Size).Bind(4, part.Md5).Bind(5, modified).Bind(6, ChecksumText.Format(part.Checksums))
            .Bind(7, new ObjectLayout(part.Extents, []).Encode()).Run();
    }

    /// <summary>Removes the upload and its part rows; what happens to the parts' bodies is the caller's.</summary>
    public void DeleteUpload(long upload)
    {
        _deleteParts.Bind(1, upload).Run();
        _deleteUpload.Bind(1, upload).Run();
    }

    public void RememberCompleted(UploadRow upload, long bucket, CompletedRow row, long at) =>
        _insertCompleted.Bind(1, upload.Id).Bind(2, upload.Token).Bind(3, bucket).Bind(4, upload.Key).Bind(5, row.ETag).Bind(6, row.Modified).Bind(7, row.Size)
            .Bind(8, row.Checksums).Bind(9, at).Run();

    public void ForgetCompleted(long before) => _forgetCompleted.Bind(1, before).Run();

    public void SetReservedId(long id) => _setReserved.Bind(1, id).Run();

    private void ChangeBuckets(Action<Dictionary<string, BucketRow>> change)
    {
        // A copy: readers hold the published one, and a rollback goes back to it.
        Buckets = new Dictionary<string, BucketRow>(Buckets, StringComparer.Ordinal);
        change(Buckets);
        BucketsChanged = true;
    }
}

internal sealed record BucketRow(long Id, string Name, long Created);
