using Proxy.Cache.Invalidation;
using Proxy.S3.Objects;

namespace Proxy.Cache.Captures;

/// <summary>A change of keys that the request does not name: a recursive delete, a rename, an archive that the backend unpacks.</summary>
/// <remarks>
/// A refusal counts as a change: an archive that is refused half-way has been unpacked half-way. Other buckets pay with captures and fills that were under
/// way and are not published; such requests are rare.
/// </remarks>
internal sealed class BucketMutation : Mutation
{
    private readonly WriteThrough _writes;
    private readonly string _bucket;
    private bool _told;

    public BucketMutation(WriteThrough writes, string bucket)
    {
        (_writes, _bucket) = (writes, bucket);
        writes.InvalidateBucket(bucket);
    }

    public override void Refused() => Changed();

    public override void Changed()
    {
        _told = true;
        _writes.InvalidateBucket(_bucket);
    }

    public override void Stored(string etag, UploadCapture? capture, ObjectInfo? info, IObjectSource source) => Changed();

    public override void Completed(string uploadId, IReadOnlyList<(int Number, string ETag)> parts, string etag, ObjectInfo? info, IObjectSource source) => Changed();

    public override void Dispose()
    {
        if (!_told)
        {
            _told = true;
            _writes.InvalidateBucketUnknown(_bucket);
        }
    }
}
