using System.Text;
using Proxy.Backends.Local.Index;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local;

/// <summary>Pages through keys and uploads in UTF-8 byte order. A folded prefix costs one seek past it, however many keys it hides.</summary>
internal static class Listing
{
    public static ListPage Objects(IndexReader reader, long bucket, ListQuery query)
    {
        var prefix = Encoding.UTF8.GetBytes(query.Prefix);
        var delimiter = Encoding.UTF8.GetBytes(query.Delimiter ?? "");
        var objects = new List<ListedObject>(Math.Min(query.MaxKeys, 64));
        var prefixes = new List<string>();
        string? last = null;
        if (query.MaxKeys <= 0)
        {
            // As S3 does: asked for nothing, nothing is left out; otherwise a client would page for ever.
            return new ListPage { Objects = objects };
        }

        reader.BeginSnapshot();
        var found = reader.Seek(bucket, Start(prefix, delimiter, query.After));
        while (found && reader.ListedKey.StartsWith(prefix))
        {
            if (objects.Count + prefixes.Count == query.MaxKeys)
            {
                return new ListPage { Objects = objects, CommonPrefixes = prefixes, IsTruncated = true, NextAfter = last };
            }

            if (Folded(reader.ListedKey, prefix.Length, delimiter) is { Length: > 0 } common)
            {
                prefixes.Add(last = Encoding.UTF8.GetString(common));
                found = reader.Seek(bucket, PastPrefix(common));
            }
            else
            {
                objects.Add(reader.Listed());
                last = objects[^1].Key;
                found = reader.Next();
            }
        }

        return new ListPage { Objects = objects, CommonPrefixes = prefixes };
    }

    public static UploadPage Uploads(IndexReader reader, long bucket, UploadListQuery query)
    {
        var prefix = Encoding.UTF8.GetBytes(query.Prefix);
        var delimiter = Encoding.UTF8.GetBytes(query.Delimiter ?? "");
        var uploads = new List<UploadInfo>();
        var prefixes = new List<string>();
        if (query.MaxUploads <= 0)
        {
            return new UploadPage { Uploads = uploads };
        }

        var from = Start(prefix, delimiter, string.IsNullOrEmpty(query.KeyMarker) ? null : query.KeyMarker);
        long fromId = 0;
        if (!string.IsNullOrEmpty(query.KeyMarker) && !string.IsNullOrEmpty(query.UploadIdMarker))
        {
            if (!UploadRow.TryParseId(query.UploadIdMarker, out var id, out _))
            {
                throw LocalErrors.InvalidArgument("upload-id-marker", query.UploadIdMarker, "Invalid uploadId marker.");
            }

            // The marker's own key may have later uploads; a marker inside a folded prefix is past all of it.
            var marker = Encoding.UTF8.GetBytes(query.KeyMarker);
            if (marker.AsSpan().StartsWith(prefix) && Folded(marker, prefix.Length, delimiter) is null)
            {
                (from, fromId) = (marker, id + 1);
            }
        }

        string? lastKey = null;
        string? lastId = null;
        reader.BeginSnapshot();
        var found = reader.SeekUpload(bucket, from, fromId);
        while (found && reader.UploadKey.StartsWith(prefix))
        {
            if (uploads.Count + prefixes.Count == query.MaxUploads)
            {
                return new UploadPage
                {
                    Uploads = uploads,
                    CommonPrefixes = prefixes,
                    IsTruncated = true,
                    NextKeyMarker = lastKey,
                    NextUploadIdMarker = lastId,
                };
            }

            if (Folded(reader.UploadKey, prefix.Length, delimiter) is { Length: > 0 } common)
            {
                prefixes.Add(lastKey = Encoding.UTF8.GetString(common));
                lastId = null;
                found = reader.SeekUpload(bucket, PastPrefix(common), 0);
            }
            else
            {
                var row = reader.CurrentUpload();
                uploads.Add(new UploadInfo(row.Key, row.UploadId, DateTimeOffset.FromUnixTimeSeconds(row.Initiated))
                {
                    StorageClass = row.StorageClass ?? "STANDARD",
                    ChecksumAlgorithm = row.ChecksumAlgorithm,
                    ChecksumType = row.ChecksumType,
                });
                (lastKey, lastId) = (row.Key, row.UploadId);
                found = reader.NextUpload();
            }
        }

        return new UploadPage { Uploads = uploads, CommonPrefixes = prefixes };
    }

    /// <summary>The first key that may be listed: the prefix, or what follows <paramref name="after"/>.</summary>
    private static byte[] Start(byte[] prefix, byte[] delimiter, string? after)
    {
        if (after is null)
        {
            return prefix;
        }

        var last = Encoding.UTF8.GetBytes(after);
        byte[] start;
        if (last.AsSpan().StartsWith(prefix) && Folded(last, prefix.Length, delimiter) is { } common)
        {
            start = PastPrefix(common);
        }
        else
        {
            // No key lies between a key and the same with a zero byte behind it.
            start = [.. last, 0];
        }

        return start.AsSpan().SequenceCompareTo(prefix) < 0 ? prefix : start;
    }

    /// <returns>The common prefix the key folds into; null when it stands for itself.</returns>
    private static byte[]? Folded(ReadOnlySpan<byte> key, int prefixLength, byte[] delimiter)
    {
        if (delimiter.Length == 0)
        {
            return null;
        }

        var at = key[prefixLength..].IndexOf(delimiter);
        return at < 0 ? null : key[..(prefixLength + at + delimiter.Length)].ToArray();
    }

    /// <summary>The first name after everything that begins with <paramref name="prefix"/>: UTF-8 has no 0xFF byte, so the last one can be raised.</summary>
    private static byte[] PastPrefix(byte[] prefix)
    {
        var next = prefix.AsSpan().ToArray();
        next[^1]++;
        return next;
    }
}
