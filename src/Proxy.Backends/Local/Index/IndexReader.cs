using System.Text;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local.Index;

/// <summary>The questions asked of the index, as prepared statements on one connection.</summary>
/// <remarks>Used by one thread at a time. The writer has one inside its transaction; everybody else borrows one from the key index.</remarks>
internal sealed class IndexReader(Database database)
{
    /// <summary>Most uploads that <see cref="UploadsBefore"/> finds at a time.</summary>
    public const int MaxUploadsBefore = 1000;

    private const string UploadColumns = "id, token, key, initiated, class, algorithm, type, details";

    private readonly Statement _begin = database.Prepare("BEGIN");
    private readonly Statement _end = database.Prepare("COMMIT");
    private readonly Statement _object = database.Prepare("SELECT version, size, etag, modified, class, checksums, parts, details, layout FROM objects WHERE bucket=?1 AND key=?2");
    private readonly Statement _head = database.Prepare("SELECT version, size, etag, modified, class, checksums, parts, details FROM objects WHERE bucket=?1 AND key=?2");
    private readonly Statement _version = database.Prepare("SELECT version FROM objects WHERE bucket=?1 AND key=?2");
    private readonly Statement _data = database.Prepare("SELECT data FROM bodies WHERE id=?1");
    private readonly Statement _alive = database.Prepare("SELECT id FROM bodies WHERE id>=?1 AND id<?2");
    private readonly Statement _list = database.Prepare("SELECT key, size, etag, modified, class, checksums FROM objects WHERE bucket=?1 AND key>=?2 ORDER BY key");
    private readonly Statement _upload = database.Prepare($"SELECT {UploadColumns} FROM uploads WHERE id=?1 AND token=?2 AND bucket=?3 AND key=?4");
    private readonly Statement _uploads = database.Prepare($"SELECT {UploadColumns} FROM uploads WHERE bucket=?1 AND (key, id)>=(?2, ?3) ORDER BY key, id");
    private readonly Statement _parts = database.Prepare("SELECT number, size, md5, modified, checksums, layout FROM parts WHERE upload=?1 AND number>?2 ORDER BY number LIMIT ?3");
    private readonly Statement _completed = database.Prepare("SELECT etag, modified, size, checksums FROM completed WHERE id=?1 AND token=?2 AND bucket=?3 AND key=?4");
    private readonly Statement _expired = database.Prepare("SELECT bucket, id FROM uploads WHERE initiated<?1 LIMIT ?2");
    private readonly Statement _free = database.Prepare("SELECT f.freelist_count * s.page_size FROM pragma_freelist_count f, pragma_page_size s");
    private bool _snapshot;

    /// <param name="withLayout">False leaves <see cref="ObjectRow.Layout"/> empty, for those who want no bytes.</param>
    public ObjectRow? Find(long bucket, ReadOnlySpan<byte> key, bool withLayout = true)
    {
        var statement = withLayout ? _object : _head;
        try
        {
            if (!statement.Bind(1, bucket).Bind(2, key).Step())
            {
                return null;
            }

            return new ObjectRow
            {
                Version = statement.Int64(0),
                Size = statement.Int64(1),
                ETag = statement.Text(2),
                Modified = statement.Int64(3),
                StorageClass = statement.NullableText(4),
                Checksums = ChecksumText.Parse(statement.NullableText(5)),
                PartCount = (int?)statement.NullableInt64(6),
                Details = ObjectDetails.Decode(statement.Blob(7)),
                Layout = withLayout ? ObjectLayout.Decode(statement.Blob(8)) : ObjectLayout.Empty,
            };
        }
        finally
        {
            statement.Reset();
        }
    }

    public long? FindVersion(long bucket, ReadOnlySpan<byte> key)
    {
        try
        {
            return _version.Bind(1, bucket).Bind(2, key).Step() ? _version.Int64(0) : null;
        }
        finally
        {
            _version.Reset();
        }
    }

    /// <returns>Null when the body is gone.</returns>
    public byte[]? FindInline(long body)
    {
        try
        {
            return _data.Bind(1, body).Step() && !_data.IsNull(0) ? _data.Blob(0).ToArray() : null;
        }
        finally
        {
            _data.Reset();
        }
    }

    /// <summary>Bytes of pages that nothing lies in any more.</summary>
    public long FreeBytes()
    {
        try
        {
            return _free.Step() ? _free.Int64(0) : 0;
        }
        finally
        {
            _free.Reset();
        }
    }

    public HashSet<long> AliveBodies(long from, long to)
    {
        var alive = new HashSet<long>();
        _alive.Bind(1, from).Bind(2, to);
        while (_alive.Step())
        {
            alive.Add(_alive.Int64(0));
        }

        _alive.Reset();
        return alive;
    }

    /// <summary>Until <see cref="CloseCursors"/> every question sees the same moment, and the pages read so far stay cached.</summary>
    public void BeginSnapshot()
    {
        _begin.Run();
        _snapshot = true;
    }

    /// <summary>Puts the listing cursor on the first key that is not before <paramref name="from"/>.</summary>
    /// <returns>False when there is none.</returns>
    public bool Seek(long bucket, ReadOnlySpan<byte> from)
    {
        _list.Reset();
        return _list.Bind(1, bucket).Bind(2, from).Step();
    }

    public bool Next() => _list.Step();

    /// <summary>Under the listing cursor; valid until it moves.</summary>
    public ReadOnlySpan<byte> ListedKey => _list.Blob(0);

    public ListedObject Listed()
    {
        var checksums = _list.IsNull(5) ? null : ChecksumText.Parse(_list.Text(5));
        return new ListedObject(
            Encoding.UTF8.GetString(_list.Blob(0)), _list.Int64(1), $"\"{_list.Text(2)}\"", DateTimeOffset.FromUnixTimeSeconds(_list.Int64(3)))
        {
            StorageClass = _list.IsNull(4) ? "STANDARD" : _list.Text(4),
            ChecksumAlgorithm = checksums?.Algorithm,
            ChecksumType = checksums?.Type,
        };
    }

    /// <summary>Ends the read the cursor holds open; the log cannot shrink before.</summary>
    public void CloseCursors()
    {
        _list.Reset();
        _uploads.Reset();
        if (_snapshot)
        {
            _snapshot = false;
            _end.Run();
        }
    }

    public UploadRow? FindUpload(long bucket, string key, string uploadId)
    {
        if (!UploadRow.TryParseId(uploadId, out var id, out var token))
        {
            return null;
        }

        try
        {
            return _upload.Bind(1, id).Bind(2, token).Bind(3, bucket).Bind(4, key).Step() ? Upload(_upload) : null;
        }
        finally
        {
            _upload.Reset();
        }
    }

    public CompletedRow? FindCompleted(long bucket, string key, string uploadId)
    {
        if (!UploadRow.TryParseId(uploadId, out var id, out var token))
        {
            return null;
        }

        try
        {
            return _completed.Bind(1, id).Bind(2, token).Bind(3, bucket).Bind(4, key).Step()
                ? new CompletedRow(_completed.Text(0), _completed.Int64(1), _completed.Int64(2), _completed.NullableText(3))
                : null;
        }
        finally
        {
            _completed.Reset();
        }
    }

    /// <summary>Puts the upload cursor on the first upload that is not before (<paramref name="key"/>, <paramref name="id"/>).</summary>
    public bool SeekUpload(long bucket, ReadOnlySpan<byte> key, long id)
    {
        _uploads.Reset();
        return _uploads.Bind(1, bucket).Bind(2, key).Bind(3, id).Step();
    }

    public bool NextUpload() => _uploads.Step();

    public ReadOnlySpan<byte> UploadKey => _uploads.Blob(2);

    public UploadRow CurrentUpload() => Upload(_uploads);

    public List<PartRow> Parts(long upload, int after, int max)
    {
        var parts = new List<PartRow>();
        _parts.Bind(1, upload).Bind(2, after).Bind(3, max);
        while (_parts.Step())
        {
            parts.Add(new PartRow(
                new StoredPart(
                    (int)_parts.Int64(0), _parts.Int64(1), _parts.Blob(2).ToArray(), ChecksumText.Parse(_parts.NullableText(4)),
                    ObjectLayout.Decode(_parts.Blob(5)).Extents),
                _parts.Int64(3)));
        }

        _parts.Reset();
        return parts;
    }

    /// <returns><see cref="MaxUploadsBefore"/> of them at the most: when there are so many there may be more.</returns>
    public List<(long Bucket, long Id)> UploadsBefore(long initiated)
    {
        var found = new List<(long, long)>();
        _expired.Bind(1, initiated).Bind(2, MaxUploadsBefore);
        while (_expired.Step())
        {
            found.Add((_expired.Int64(0), _expired.Int64(1)));
        }

        _expired.Reset();
        return found;
    }

    public List<long> UploadsOf(long bucket)
    {
        var found = new List<long>();
        _uploads.Bind(1, bucket).Bind(2, []).Bind(3, 0);
        while (_uploads.Step())
        {
            found.Add(_uploads.Int64(0));
        }

        _uploads.Reset();
        return found;
    }

    private static UploadRow Upload(Statement row) => new(
        row.Int64(0), row.Int64(1), row.Text(2), row.Int64(3), row.NullableText(4), row.NullableText(5), row.NullableText(6), ObjectDetails.Decode(row.Blob(7)));
}
