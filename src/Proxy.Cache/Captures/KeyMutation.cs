using Proxy.Cache.Invalidation;
using Proxy.S3.Objects;

namespace Proxy.Cache.Captures;

/// <summary>The <see cref="Mutation"/> the cache hands out: it holds the generation its begin raised and says how it ended.</summary>
internal sealed class KeyMutation(WriteThrough writes, ObjectId id, GenerationToken begun) : Mutation
{
    private bool _told;

    public override void Refused() => Tell();

    public override void Changed()
    {
        Tell();
        writes.Invalidate(id);
    }

    public override void Stored(string etag, UploadCapture? capture, ObjectInfo? info, IObjectSource source)
    {
        Tell();
        writes.PublishStored(id, begun, etag, capture as BlockCapture, info, source);
    }

    public override void Completed(string uploadId, IReadOnlyList<(int Number, string ETag)> parts, string etag, ObjectInfo? info, IObjectSource source)
    {
        Tell();
        writes.PublishCompleted(id, begun, uploadId, parts, etag, info, source);
    }

    public override void Dispose()
    {
        if (!_told)
        {
            Tell();
            writes.InvalidateUnknown(id);
        }
    }

    /// <summary>Before what follows from it: a write that begins meanwhile raises the generation, and this one then publishes nothing.</summary>
    private void Tell()
    {
        if (!_told)
        {
            _told = true;
            writes.EndWrite(begun);
        }
    }
}
