using Microsoft.Extensions.Logging;
using Proxy.Cache.Captures;
using Proxy.Cache.Invalidation;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache;

/// <summary>The cache's front door and its policy on one page: what is served from where, and what every mutation does.</summary>
/// <remarks>Between the S3 front and the backends, which it knows only as <see cref="IObjectSource"/>. Thread-safe.</remarks>
public sealed class ObjectCache : IAsyncDisposable
{
    /// <summary>Opens the tiers and starts to recover what they held; usable at once, as a pass-through until then.</summary>
    public static ObjectCache Open(CacheOptions options, TimeProvider time, ILoggerFactory loggers) => throw new NotSupportedException("Not built yet.");

    /// <summary>The hit path: answers from catalog and memory alone, synchronously, without allocating.</summary>
    /// <returns>False when anything else is needed: use <see cref="OpenAsync"/>. Never throws for what a client asked.</returns>
    public bool TryOpen(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, in ReadRequest request, out ObjectRead? read) => throw new NotSupportedException("Not built yet.");

    /// <summary>Opens a read from cache, from the backend, or both.</summary>
    /// <exception cref="S3Exception">NotModified 304, PreconditionFailed 412, InvalidRange 416, NoSuchKey 404 (always the backend's own word),
    /// SlowDown 503, and whatever else the source says.</exception>
    public ValueTask<ObjectRead> OpenAsync(ObjectId id, ReadRequest request, IObjectSource source, CancellationToken cancellation) => throw new NotSupportedException("Not built yet.");

    /// <summary>Whether reads of this key never touch the cache (class bypass): the caller takes the thinnest path.</summary>
    public bool IsBypassed(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key) => throw new NotSupportedException("Not built yet.");

    /// <summary>To be called before any request leaves that may change <paramref name="id"/>: raises its generation and drops what is known.</summary>
    /// <returns>To be completed when the outcome is known; disposing it without that counts as an unknown outcome and invalidates again.</returns>
    public Mutation BeginMutation(ObjectId id) => throw new NotSupportedException("Not built yet.");

    /// <summary>Starts keeping the bytes of a PUT beside its way to the backend.</summary>
    /// <param name="length">Decoded length if known.</param>
    /// <returns>Null when the class, the settings or memory pressure say no; then nothing is captured.</returns>
    public UploadCapture? TryBeginCapture(ObjectId id, long? length) => throw new NotSupportedException("Not built yet.");

    /// <summary>Same for one part of a multipart upload.</summary>
    public UploadCapture? TryBeginPartCapture(ObjectId id, string uploadId, int partNumber, long? length) => throw new NotSupportedException("Not built yet.");

    /// <summary>The backend acknowledged the part with this ETag: keep the capture until Complete, Abort, expiry or pressure.</summary>
    public void KeepPart(ObjectId id, string uploadId, int partNumber, string etag, UploadCapture capture) => throw new NotSupportedException("Not built yet.");

    /// <summary>Abort, or an upload known to be gone: drops its captured parts.</summary>
    public void DropUpload(ObjectId id, string uploadId) => throw new NotSupportedException("Not built yet.");

    /// <summary>Every counter at this moment.</summary>
    public CacheSnapshot Snapshot() => throw new NotSupportedException("Not built yet.");

    /// <summary>Forgets every key that begins with <paramref name="prefix"/> (as <c>bucket/key…</c>).</summary>
    /// <returns>How many keys were forgotten.</returns>
    public int Purge(string prefix) => throw new NotSupportedException("Not built yet.");

    /// <summary>What is known of one key.</summary>
    public KeyReport Explain(ObjectId id) => throw new NotSupportedException("Not built yet.");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
