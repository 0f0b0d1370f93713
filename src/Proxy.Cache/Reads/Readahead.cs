using System.Globalization;
using Proxy.Cache.Fills;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>Brings what a client is likely to ask for next: the slices that follow an index slice, and the range that follows a sequential reader's.</summary>
/// <remarks>
/// Only beside reads that went to the backend or the disk, never on the hit path, and only while less than half of the fill budget is in use: fills that
/// somebody waits for go first. What it starts is an ordinary question or fill, which the client's own request joins. Thread-safe.
/// </remarks>
internal sealed class Readahead(CacheOptions options, ObjectCatalog catalog, Learning learning, FillCoordinator fills, FillBudget budget, CacheCounters counters)
{
    private readonly long _half = (options.Fills.MaxBytesInFlight ?? (options.Memory.CapacityBytes / 4)) / 2;

    /// <summary>A read was answered; <paramref name="source"/> is where it would get more.</summary>
    /// <param name="missed">It found nothing: the reader of an index slice is then likely to find its siblings missing too.</param>
    public void After(CatalogEntry entry, ByteSpan span, bool missed, IObjectSource source)
    {
        if (missed && entry.Policy is { Kind: MilvusKind.Index, Class: ObjectClass.Immutable } && span.Offset == 0)
        {
            BringSiblings(entry, source);
        }

        if (span.End < entry.Size && span.Length > 0 && entry.FollowsLastRead(span))
        {
            BringNext(entry, span.End, source);
        }
    }

    private void BringSiblings(CatalogEntry entry, IObjectSource source)
    {
        var slash = entry.Key.LastIndexOf('_') + 1;
        if (slash == 0 || !int.TryParse(entry.Key.AsSpan(slash), NumberStyles.None, CultureInfo.InvariantCulture, out var slice))
        {
            return;
        }

        for (var next = 1; next <= options.Fills.SiblingSlices; next++)
        {
            var id = new ObjectId(entry.Bucket, string.Concat(entry.Key.AsSpan(0, slash), (slice + next).ToString(CultureInfo.InvariantCulture)));
            if (catalog.TryGet(id.Bucket, id.Key, out _))
            {
                continue;
            }

            if (!HasRoom(entry.Size))
            {
                return;
            }

            Interlocked.Increment(ref counters.SiblingsAhead);

            // There may be none: that costs one request, and ends it, because only a read that was answered brings siblings.
            _ = learning.LearnAsync(id, source, isHead: false, range: null, known: null, CancellationToken.None, Origin.ReadAhead, isWaitedFor: false)
                .ContinueWith(static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    private void BringNext(CatalogEntry entry, long from, IObjectSource source)
    {
        var length = Math.Min(options.Fills.ReadaheadBytes, entry.Size - from);
        if (length <= 0 || !HasRoom(length))
        {
            return;
        }

        switch (fills.Prefetch(entry, new ByteSpan(from, length), source, Origin.ReadAhead))
        {
            case FillAnswer.Started:
                Interlocked.Increment(ref counters.RangesAhead);
                entry.ExpectRead(from);
                break;
            case FillAnswer.OverBudget:
                Interlocked.Increment(ref counters.AheadRefused);
                break;
        }
    }

    private bool HasRoom(long bytes)
    {
        if (budget.UsedBytes + bytes <= _half)
        {
            return true;
        }

        Interlocked.Increment(ref counters.AheadRefused);
        return false;
    }
}
