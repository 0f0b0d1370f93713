using Proxy.Cache.Blocks;
using Proxy.S3.Objects;

namespace Proxy.Cache.Captures;

/// <summary>A part whose ETag the backend gave; its blocks are in the tiers under <paramref name="Content"/>, as long as those keep them.</summary>
/// <param name="HadBytes">Whether its bytes were captured: of some parts only the length is known.</param>
internal sealed record CapturedPart(string ETag, long Length, ContentId Content, bool HadBytes);

/// <summary>Parts of multipart uploads that are neither completed nor aborted. Only their names: the bytes are the tiers'.</summary>
/// <remarks>Bounded in uploads, in parts of them all (the upload touched longest ago goes first) and in time. One short lock; thread-safe.</remarks>
internal sealed class PartRegistry(int maxUploads, TimeSpan expiry, TimeProvider time)
{
    /// <summary>Some 25 MiB of names, and 2 TiB in Milvus's parts of 16 MiB. Uploads alone would bound nothing: each may have 10,000 parts.</summary>
    public const int MaxParts = 1 << 17;

    private readonly Lock _lock = new();
    private readonly Dictionary<(ObjectId Id, string UploadId), Upload> _uploads = [];
    private long _sweptAt = time.GetTimestamp();
    private int _parts;

    public int Count => Volatile.Read(ref _parts);

    /// <returns>The part that this one replaces, and those that had to go; their blocks may be dropped.</returns>
    public IReadOnlyList<CapturedPart> Keep(ObjectId id, string uploadId, int number, CapturedPart part)
    {
        var gone = new List<CapturedPart>();
        lock (_lock)
        {
            Sweep_NeedsLock(gone);
            if (!_uploads.TryGetValue((id, uploadId), out var upload))
            {
                if (_uploads.Count >= maxUploads)
                {
                    Remove_NeedsLock(_uploads.MinBy(pair => pair.Value.TouchedAt).Key, gone);
                }

                _uploads[(id, uploadId)] = upload = new Upload();
            }

            upload.TouchedAt = time.GetTimestamp();
            if (upload.Parts.Remove(number, out var before))
            {
                _parts--;
                if (before.Content != part.Content)
                {
                    gone.Add(before);
                }
            }

            upload.Parts[number] = part;
            _parts++;
            while (_parts > MaxParts && _uploads.Count > 1)
            {
                Remove_NeedsLock(_uploads.Where(pair => pair.Value != upload).MinBy(pair => pair.Value.TouchedAt).Key, gone);
            }
        }

        return gone;
    }

    /// <summary>The parts named, in that order; null in place of one that was not kept with that ETag, because it came some other way.</summary>
    public IReadOnlyList<CapturedPart?> Find(ObjectId id, string uploadId, IReadOnlyList<(int Number, string ETag)> parts)
    {
        lock (_lock)
        {
            var upload = _uploads.GetValueOrDefault((id, uploadId));
            var found = new List<CapturedPart?>(parts.Count);
            foreach (var (number, etag) in parts)
            {
                found.Add(upload is not null && upload.Parts.TryGetValue(number, out var part) && part.ETag.AsSpan().SequenceEqual(etag.AsSpan().Trim('"')) ? part : null);
            }

            return found;
        }
    }

    /// <summary>Forgets an upload.</summary>
    public IReadOnlyList<CapturedPart> Remove(ObjectId id, string uploadId)
    {
        var gone = new List<CapturedPart>();
        lock (_lock)
        {
            Remove_NeedsLock((id, uploadId), gone);
        }

        return gone;
    }

    private void Sweep_NeedsLock(List<CapturedPart> gone)
    {
        if (time.GetElapsedTime(_sweptAt) < expiry / 8)
        {
            return;
        }

        _sweptAt = time.GetTimestamp();
        foreach (var key in _uploads.Where(pair => time.GetElapsedTime(pair.Value.TouchedAt) > expiry).Select(pair => pair.Key).ToArray())
        {
            Remove_NeedsLock(key, gone);
        }
    }

    private void Remove_NeedsLock((ObjectId, string) key, List<CapturedPart> gone)
    {
        if (_uploads.Remove(key, out var upload))
        {
            _parts -= upload.Parts.Count;
            gone.AddRange(upload.Parts.Values);
        }
    }

    private sealed class Upload
    {
        public Dictionary<int, CapturedPart> Parts { get; } = [];

        public long TouchedAt { get; set; }
    }
}
