using Proxy.Cache.Captures;
using Proxy.S3.Objects;

namespace Proxy.Cache.Invalidation;

/// <summary>One change of a key on its way to the backend. Exactly one of the outcomes is reported, before the client hears of it.</summary>
/// <remarks>Used by one request. Dispose without an outcome means unknown (reset, timeout, 5xx): the key is invalidated again.</remarks>
public abstract class Mutation : IDisposable
{
    /// <summary>The backend refused (4xx) and certainly changed nothing, or was never asked.</summary>
    public abstract void Refused();

    /// <summary>Deleted, copied onto, or changed in a way whose bytes we have not seen.</summary>
    public abstract void Changed();

    /// <summary>A PUT was acknowledged: publishes its captured blocks under the new version.</summary>
    /// <param name="etag">As the backend answered it.</param>
    /// <param name="info">All facts, when the caller knows them for certain (local store); null: the cache asks <paramref name="source"/> by HEAD when it first needs them,
    /// at once and in the background for immutable keys.</param>
    public abstract void Stored(string etag, UploadCapture? capture, ObjectInfo? info, IObjectSource source);

    /// <summary>A multipart upload was completed: publishes a layout over its captured parts; missing parts are filled when read.</summary>
    /// <param name="parts">Part numbers and ETags in the order of the completed object.</param>
    public abstract void Completed(string uploadId, IReadOnlyList<(int Number, string ETag)> parts, string etag, ObjectInfo? info, IObjectSource source);

    public abstract void Dispose();
}
