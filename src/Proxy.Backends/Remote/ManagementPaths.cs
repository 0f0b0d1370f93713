using Proxy.S3.Errors;

namespace Proxy.Backends.Remote;

/// <summary>Where a store is managed, by the same keys that the proxy signs with: no client's request may go there.</summary>
/// <remarks>Immutable. One per backend; asked of every request that names a bucket, and of every read of the proxy's own.</remarks>
internal sealed class ManagementPaths
{
    /// <summary>
    /// MinIO and RustFS keep these bucket names for themselves: no object is meant. radosgw takes all of /admin (rgw_admin_entry), so that it has no bucket of that name;
    /// in another store it may be one.
    /// </summary>
    public static readonly IReadOnlyList<string> Known = ["minio/admin/", "minio/kms/", "rustfs/admin/", "rustfs/rpc/", "admin"];

    private readonly (string Bucket, string KeyPrefix)[] _paths;

    /// <param name="paths">A bucket, or a bucket and how its keys begin. Empty is <see cref="Known"/>.</param>
    public ManagementPaths(IReadOnlyList<string> paths)
        => _paths = [.. (paths.Count > 0 ? paths : Known).Select(path => path.Trim('/') is var bucket && bucket.IndexOf('/') is var slash and >= 0
            ? (bucket[..slash], path.TrimStart('/')[(slash + 1)..])
            : (bucket, ""))];

    public static S3Exception Refusal(string resource) => new(
        S3ErrorCode.AccessDenied, resource,
        "This is where the store behind the proxy may be managed, by keys that are not yours. If it is a bucket there, the backend's ManagementPaths in the proxy's configuration can leave it out.");

    /// <param name="key">Decoded, as the store will decode it; empty for the bucket itself.</param>
    /// <param name="inHost">The bucket stands in the host: the key alone is the path, unless the store puts the bucket before it again.</param>
    public bool Contain(string bucket, string key, bool inHost)
        => ContainPath(bucket, key, inHost) || (IsFoldable(key) && Fold(inHost ? key : $"{bucket}/{key}") is var path && (inHost ? ContainPath(bucket, path, inHost) : ContainPath(path)));

    private bool ContainPath(string bucket, string key, bool inHost)
    {
        foreach (var (managed, prefix) in _paths)
        {
            if (bucket.Equals(managed, StringComparison.OrdinalIgnoreCase) && key.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }

            // A whole bucket is none of another bucket's keys: a store that is managed there and knows buckets by their hosts looks at the host first.
            if (inHost && prefix.Length > 0 && key.StartsWith(managed, StringComparison.OrdinalIgnoreCase)
                && key.Length > managed.Length && key[managed.Length] == '/' && key.AsSpan(managed.Length + 1).StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private bool ContainPath(string path) => path.IndexOf('/') is var slash and >= 0 ? ContainPath(path[..slash], path[(slash + 1)..], inHost: false) : ContainPath(path, "", inHost: false);

    /// <summary>What stands before a store, or it itself, may fold a path as those of files are.</summary>
    private static bool IsFoldable(string key)
        => key.Contains("./", StringComparison.Ordinal) || key.Contains("//", StringComparison.Ordinal) || key.StartsWith('/') || key.EndsWith("/.", StringComparison.Ordinal)
            || key.EndsWith("..", StringComparison.Ordinal);

    private static string Fold(string path)
    {
        var segments = new List<string>();
        foreach (var segment in path.Split('/'))
        {
            if (segment == ".." && segments.Count > 0)
            {
                segments.RemoveAt(segments.Count - 1);
            }
            else if (segment is not ("" or "." or ".."))
            {
                segments.Add(segment);
            }
        }

        return string.Join('/', segments) + (path.EndsWith('/') ? "/" : "");
    }
}
