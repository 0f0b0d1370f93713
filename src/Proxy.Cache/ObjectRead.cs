using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.Cache;

/// <summary>An open answer from the cache: facts first, then the bytes piece by piece.</summary>
/// <remarks>Used by one request; disposed by it, also when it stops half-way. Instances are pooled: never touch one after Dispose.</remarks>
public abstract class ObjectRead : IAsyncDisposable
{
    /// <summary>Facts of the whole object.</summary>
    public abstract ObjectInfo Info { get; }

    /// <summary>What the body gives; the whole object when the request had no range. Length 0 for HEAD of an empty object only.</summary>
    public abstract ByteSpan Span { get; }

    /// <summary>The request named a range: the answer is 206 with Content-Range.</summary>
    public abstract bool IsPartial { get; }

    /// <summary>Decided when the read was opened; it does not change while the body streams.</summary>
    public abstract CacheOutcome Outcome { get; }

    /// <summary>Of the bytes handed out so far, those that no backend had to send for this read.</summary>
    public virtual long CachedBytes => 0;

    /// <summary>What of Milvus's the object is.</summary>
    public abstract MilvusKind Kind { get; }

    /// <summary>As <see cref="ReadNextAsync"/>, when the next piece lies in memory: asks no disk and no backend, and waits for nobody.</summary>
    /// <returns>False changes nothing; the piece before stays valid no longer.</returns>
    public virtual bool TryReadNext(out ReadOnlyMemory<byte> piece)
    {
        piece = default;
        return false;
    }

    /// <summary>The next piece of the body, in order, without copying: cached blocks are handed out as they lie in memory.</summary>
    /// <returns>Valid until the next call or Dispose; empty at the end. A memory hit completes synchronously.</returns>
    /// <exception cref="IOException">The rest cannot be had (backend failed, version changed): abort the connection, never end it cleanly.</exception>
    public abstract ValueTask<ReadOnlyMemory<byte>> ReadNextAsync(CancellationToken cancellation);

    public abstract ValueTask DisposeAsync();
}
