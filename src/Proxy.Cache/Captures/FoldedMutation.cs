using Proxy.Cache.Invalidation;
using Proxy.S3.Objects;

namespace Proxy.Cache.Captures;

/// <summary>A change of a key that some stores take for another one (<see cref="FoldedKey"/>): what is known of that one goes with it.</summary>
/// <remarks>Used by one request.</remarks>
internal sealed class FoldedMutation(Mutation named, Mutation folded) : Mutation
{
    public override void Refused()
    {
        named.Refused();
        folded.Refused();
    }

    public override void Changed()
    {
        named.Changed();
        folded.Changed();
    }

    public override void Stored(string etag, UploadCapture? capture, ObjectInfo? info, IObjectSource source)
    {
        folded.Changed();
        named.Stored(etag, capture, info, source);
    }

    public override void Completed(string uploadId, IReadOnlyList<(int Number, string ETag)> parts, string etag, ObjectInfo? info, IObjectSource source)
    {
        folded.Changed();
        named.Completed(uploadId, parts, etag, info, source);
    }

    public override void Dispose()
    {
        named.Dispose();
        folded.Dispose();
    }
}
