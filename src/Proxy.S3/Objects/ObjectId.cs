namespace Proxy.S3.Objects;

/// <summary>Names one object: its bucket and its key, as the client of whoever holds this value spells them.</summary>
/// <remarks>
/// Any UTF-8 key of up to 1024 bytes is valid, also <c>..</c>, <c>//</c> and leading slashes: a key is a name, never a path.
/// A proxy may rename buckets between its clients and a backend; the cache always uses the client's spelling.
/// </remarks>
public readonly record struct ObjectId(string Bucket, string Key)
{
    /// <summary><c>bucket/key</c>: unambiguous, since a bucket name has no slash.</summary>
    public override string ToString() => $"{Bucket}/{Key}";
}
