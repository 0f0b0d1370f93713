namespace Proxy.Cache.Captures;

/// <summary>Keeps the bytes of one upload as blocks while they stream to the backend.</summary>
/// <remarks>Used by one request. When memory runs out it drops what it has and stays empty.</remarks>
public abstract class UploadCapture : IDisposable
{
    /// <summary>Bytes in order; copied at once.</summary>
    public abstract void Append(ReadOnlySpan<byte> bytes);

    /// <summary>
    /// Waits while the disk is so far behind that captured blocks are about to be lost: for three quarters of the time the upload takes until that is a second, then for a tenth of it. To be
    /// called between pieces; done at once nearly always.
    /// </summary>
    public abstract ValueTask PaceAsync(CancellationToken cancellation);

    /// <summary>Bytes appended so far, also after it gave up.</summary>
    public abstract long Length { get; }

    /// <summary>Drops what was captured unless a <see cref="Invalidation.Mutation"/> or KeepPart took it over.</summary>
    public abstract void Dispose();
}
