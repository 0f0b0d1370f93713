using Proxy.Cache.Invalidation;
using Proxy.S3.Objects;

namespace Proxy.Cache.Captures;

/// <summary>The <see cref="Mutation"/> the cache hands out: it holds the generation its begin raised and says how it ended.</summary>
internal sealed class KeyMutation(WriteThrough writes, ObjectId id, GenerationToken begun) : Mutation
{
    private bool _told;

    public override void Refused() => _told = true;

    public override void Changed()
    {
        _told = true;
        writes.Invalidate(id);
    }

    public override void Stored(string etag, UploadCapture? capture, ObjectInfo? info, IObjectSource source)
    {
        _told = true;
        writes.PublishStored(id, begun, etag, capture as BlockCapture, info, source);
    }

    public override void Completed(string uploadId, IReadOnlyList<(int Number, string ETag)> parts, string etag, ObjectInfo? info, IObjectSource source)
    {
        _told = true;
        writes.PublishCompleted(id, begun, uploadId, parts, etag, info, source);
    }

    public override void Dispose()
    {
        if (!_told)
        {
            _told = true;
            writes.InvalidateUnknown(id);
        }
    }
}
