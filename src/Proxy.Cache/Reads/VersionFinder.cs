using Proxy.Cache.Fills;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>How a read came by its version.</summary>
internal enum Found
{
    /// <summary>In the catalog, and no question needed.</summary>
    Fresh,

    /// <summary>The backend just said that the catalog was right.</summary>
    Confirmed,

    /// <summary>The backend just told it.</summary>
    Learned,

    /// <summary>In the catalog, past its time or not confirmed since a restart, and the backend cannot be asked.</summary>
    Stale,
}

/// <summary>Decides which version a read is of: the catalog's while it may be taken on trust, else the backend's own word.</summary>
/// <remarks>Between <see cref="ObjectCatalog"/>, asked first, and <see cref="Learning"/>. Thread-safe.</remarks>
internal sealed class VersionFinder(CacheOptions options, ObjectCatalog catalog, Generations generations, Learning learning, TimeProvider time)
{
    public async ValueTask<(CatalogEntry Entry, Found How, MissReason Reason)> FindAsync(
        ObjectId id, ReadRequest request, IObjectSource source, bool mustConfirm, CancellationToken cancellation)
    {
        var known = catalog.TryGet(id.Bucket, id.Key, out var entry) ? entry : null;
        if (known is not null && !mustConfirm && IsFreshFor(known, request))
        {
            return (known, Found.Fresh, MissReason.Evicted);
        }

        // A conditional read that may well end without a body does not start one.
        var bodyIsLikely = request.Preconditions is not { } conditions || (conditions.IfNoneMatch is null && conditions.IfModifiedSince is null);
        try
        {
            var (learned, broughtBytes) = await learning.LearnAsync(id, source, request.HeadOnly || !bodyIsLikely, request.Range, known, cancellation, withChecksums: request.NeedsChecksums);
            if (known is null)
            {
                return (learned, broughtBytes || request.HeadOnly ? Found.Learned : Found.Confirmed, MissReason.Unknown);
            }

            return ReferenceEquals(learned.Layout, known.Layout) ? (learned, Found.Confirmed, MissReason.Evicted) : (learned, Found.Learned, MissReason.Expired);
        }
        catch (Exception e) when (known is not null && !mustConfirm && MayServeStale(known, request) && BackendErrors.IsUnreachable(e))
        {
            return (known, Found.Stale, MissReason.Evicted);
        }
        catch (Exception e) when (e is not S3Exception and not OperationCanceledException)
        {
            throw BackendErrors.AsUnavailable(e, id);
        }
    }

    /// <summary>Whether all that the request wants to be told is known.</summary>
    public bool IsFreshFor(CatalogEntry entry, in ReadRequest request) => IsFresh(entry) && KnowsAllFor(entry, request);

    public bool IsFresh(CatalogEntry entry)
    {
        if (entry.Info is null || !entry.Trusted || IsSuspect(entry))
        {
            return false;
        }

        return entry.Policy.Class == ObjectClass.Immutable || time.GetElapsedTime(entry.ValidatedAt) < entry.Policy.Ttl;
    }

    private bool IsSuspect(CatalogEntry entry)
    {
        var validatedAt = entry.ValidatedAt;
        return generations.IsAnySuspect(validatedAt) && generations.IsSuspect(entry.SuspectPlace, validatedAt);
    }

    private static bool KnowsAllFor(CatalogEntry entry, in ReadRequest request) => !(request.NeedsChecksums && !entry.ChecksumsTold && entry.Info!.ChecksumHeaders.Count == 0);

    /// <summary>
    /// Of an immutable key, always: what was right before a restart still is, and all that its one question could bring is that the key is gone. For others as long as
    /// <see cref="CacheOptions.StaleIfUnreachable"/> says, and not after a restart: nobody knows how old they are.
    /// </summary>
    private bool MayServeStale(CatalogEntry entry, in ReadRequest request)
        => entry.Info is not null && KnowsAllFor(entry, request) && !IsSuspect(entry)
            && (entry.Policy.Class == ObjectClass.Immutable
                || (entry.Trusted && options.StaleIfUnreachable > TimeSpan.Zero && time.GetElapsedTime(entry.ValidatedAt) < entry.Policy.Ttl + options.StaleIfUnreachable));
}
