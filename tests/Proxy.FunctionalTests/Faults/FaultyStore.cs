using System.Security.Cryptography;

namespace Proxy.FunctionalTests.Faults;

/// <summary>The objects of a <see cref="FaultyBackend"/>: all of them in memory, every version kept.</summary>
internal sealed class FaultyStore
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, SortedDictionary<string, List<FaultyObject>>> _buckets = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FaultyUpload> _uploads = new(StringComparer.Ordinal);

    public bool CreateBucket(string bucket)
    {
        lock (_lock)
        {
            return _buckets.TryAdd(bucket, new(StringComparer.Ordinal));
        }
    }

    public void RemoveBucket(string bucket)
    {
        lock (_lock)
        {
            _buckets.Remove(bucket);
        }
    }

    public IReadOnlyList<string> Buckets
    {
        get
        {
            lock (_lock)
            {
                return [.. _buckets.Keys];
            }
        }
    }

    public bool HasBucket(string bucket)
    {
        lock (_lock)
        {
            return _buckets.ContainsKey(bucket);
        }
    }

    /// <returns>Null when there is no such key, or it was deleted.</returns>
    public FaultyObject? Find(string bucket, string key)
    {
        lock (_lock)
        {
            return _buckets.TryGetValue(bucket, out var keys) && keys.TryGetValue(key, out var versions) && versions[^1] is { Deleted: false } last ? last : null;
        }
    }

    public IReadOnlyList<FaultyObject> Versions(string bucket, string key)
    {
        lock (_lock)
        {
            return _buckets.TryGetValue(bucket, out var keys) && keys.TryGetValue(key, out var versions) ? [.. versions] : [];
        }
    }

    /// <returns>False when the condition does not hold; checked together with the change.</returns>
    public bool TryPut(string bucket, string key, FaultyObject version, string? ifMatch = null, string? ifNoneMatch = null)
    {
        lock (_lock)
        {
            var current = Find(bucket, key);
            if ((ifNoneMatch == "*" && current is not null) || (ifMatch is not null && current?.ETag != ifMatch))
            {
                return false;
            }

            if (!_buckets[bucket].TryGetValue(key, out var versions))
            {
                _buckets[bucket][key] = versions = [];
            }

            versions.Add(version);
            return true;
        }
    }

    public void Delete(string bucket, string key)
    {
        if (Find(bucket, key) is not null)
        {
            TryPut(bucket, key, new FaultyObject([], "", []) { Deleted = true });
        }
    }

    public IReadOnlyList<KeyValuePair<string, FaultyObject>> List(string bucket)
    {
        lock (_lock)
        {
            return [.. _buckets[bucket].Where(entry => !entry.Value[^1].Deleted).Select(entry => KeyValuePair.Create(entry.Key, entry.Value[^1]))];
        }
    }

    public string BeginUpload(string bucket, string key, List<KeyValuePair<string, string>> headers)
    {
        lock (_lock)
        {
            var id = Guid.NewGuid().ToString("N");
            _uploads[id] = new FaultyUpload(bucket, key, headers, []);
            return id;
        }
    }

    public bool PutPart(string uploadId, int number, byte[] bytes)
    {
        lock (_lock)
        {
            if (!_uploads.TryGetValue(uploadId, out var upload))
            {
                return false;
            }

            upload.Parts[number] = bytes;
            return true;
        }
    }

    /// <returns>Null when there is no such upload.</returns>
    public FaultyObject? Complete(string uploadId, IReadOnlyList<int> numbers)
    {
        lock (_lock)
        {
            if (!_uploads.Remove(uploadId, out var upload))
            {
                return null;
            }

            var parts = numbers.Select(number => upload.Parts[number]).ToList();
            var etag = Convert.ToHexStringLower(MD5.HashData(parts.SelectMany(MD5.HashData).ToArray()));
            var whole = new FaultyObject(parts.SelectMany(part => part).ToArray(), $"\"{etag}-{parts.Count}\"", upload.Headers);
            TryPut(upload.Bucket, upload.Key, whole);
            return whole;
        }
    }

    public bool Abort(string uploadId)
    {
        lock (_lock)
        {
            return _uploads.Remove(uploadId);
        }
    }

    private sealed record FaultyUpload(string Bucket, string Key, List<KeyValuePair<string, string>> Headers, Dictionary<int, byte[]> Parts);
}

/// <summary>One version of an object.</summary>
/// <param name="ETag">With quotes.</param>
/// <param name="Headers">Content-Type, x-amz-meta-* and the like, as they were sent.</param>
internal sealed record FaultyObject(byte[] Bytes, string ETag, IReadOnlyList<KeyValuePair<string, string>> Headers)
{
    public bool Deleted { get; init; }

    public DateTimeOffset LastModified { get; init; } = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds());

    public string VersionId { get; init; } = Guid.NewGuid().ToString("N");

    public static FaultyObject Of(byte[] bytes, params IReadOnlyList<KeyValuePair<string, string>> headers)
        => new(bytes, $"\"{Convert.ToHexStringLower(MD5.HashData(bytes))}\"", headers);
}
