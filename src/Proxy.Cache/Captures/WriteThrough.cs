using Proxy.Cache.Blocks;
using Proxy.Cache.Fills;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.Cache.Reads;
using Proxy.Cache.Tiers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Captures;

/// <summary>What a write leaves in the cache: its bytes, captured while they streamed, and the entry that names them; or nothing, and never the old version.</summary>
/// <remarks>Between the requests that write (<see cref="Mutation"/>, <see cref="UploadCapture"/>) and the catalog and tiers. Thread-safe.</remarks>
internal sealed class WriteThrough(
    CacheOptions options, TierStack tiers, ObjectCatalog catalog, Generations generations, ClassRules rules, CollectionTable collections, Learning learning,
    FillBudget budget, PartRegistry registry, CacheCounters counters, TimeProvider time)
{
    /// <summary>The one function by which every path makes a key unknown.</summary>
    public GenerationToken Invalidate(ObjectId id)
    {
        Interlocked.Increment(ref counters.Invalidations);
        return catalog.Invalidate(id);
    }

    /// <summary>Same, before a write leaves; <see cref="EndWrite"/> when its outcome is known.</summary>
    public GenerationToken BeginWrite(ObjectId id)
    {
        Interlocked.Increment(ref counters.Invalidations);
        return catalog.Invalidate(id, isWrite: true);
    }

    public void EndWrite(in GenerationToken begun) => catalog.EndWrite(begun);

    /// <summary>The change may still land after we gave up waiting: for a while nothing about the key is taken on trust.</summary>
    public void InvalidateUnknown(ObjectId id)
    {
        generations.Suspect(Generations.StripeOf(id.Bucket, id.Key), UnknownUntil());
        Invalidate(id);
    }

    /// <summary>A change of keys that only the backend knows: every key of the bucket becomes unknown, and nothing asked before now is published.</summary>
    public void InvalidateBucket(string bucket)
    {
        // First: what is published after the walk has passed it was asked for under the old numbers.
        generations.RaiseAll();
        foreach (var entry in catalog.Enumerate(bucket + "/"))
        {
            Invalidate(entry.Id);
        }
    }

    /// <summary>Such a change may still land: for a while no key of the bucket is taken on trust.</summary>
    public void InvalidateBucketUnknown(string bucket)
    {
        generations.SuspectBucket(bucket, UnknownUntil());
        InvalidateBucket(bucket);
    }

    private long UnknownUntil() => time.GetTimestamp() + (long)(options.UnknownOutcomeWindow.TotalSeconds * time.TimestampFrequency);

    public void PublishStored(ObjectId id, in GenerationToken begun, string etag, BlockCapture? capture, ObjectInfo? info, IObjectSource source)
    {
        etag = Quoted(etag);
        var size = info?.Size ?? capture?.Length;
        if (size is not { } length || (info is not null && info.ETag != etag) || (capture is not null && capture.Length != length))
        {
            Invalidate(id);
            return;
        }

        // Bytes before the entry that names them.
        var content = ContentIds.OfObject(id.Bucket, id.Key, etag, length, options.BlockSizeBytes);
        var isKept = capture is { IsWhole: true } && catalog.Holds(begun);
        if (isKept)
        {
            content = capture!.Publish(content);
        }

        var layout = ObjectLayout.Single(content, length, options.BlockSizeBytes);
        if (isKept && length > 0)
        {
            layout.NoteFill(Origin.Put, time.GetUtcNow());
        }

        Publish(id, begun, etag, layout, info, source, Origin.Put);
    }

    public void PublishCompleted(
        ObjectId id, in GenerationToken begun, string uploadId, IReadOnlyList<(int Number, string ETag)> parts, string etag, ObjectInfo? info, IObjectSource source)
    {
        etag = Quoted(etag);
        var found = registry.Find(id, uploadId, parts);
        CapturedPart[] captured = [.. found.OfType<CapturedPart>()];

        // Parts that were uploaded but are not part of the object go with the upload.
        Forget([.. registry.Remove(id, uploadId).Except(captured)]);
        if (!options.Enabled || rules.Find(id.Bucket, id.Key).Class == ObjectClass.Bypass)
        {
            // Bypassed since its parts came.
            Forget(captured);
            Invalidate(id);
            return;
        }

        var missing = parts.Count - captured.Length;
        var knownBytes = captured.Sum(static part => part.Length);
        if (missing == 0 && knownBytes > 0 && (info is null || (info.Size == knownBytes && info.ETag == etag)))
        {
            Interlocked.Increment(ref counters.CapturedLayouts);
            Publish(id, begun, etag, LayoutOf(found), info, source, Origin.Multipart);
        }
        else if (missing == 1 && captured.Length > 0)
        {
            // A part that came some other way (copied, or before a restart): once the object's size is known, so is where that part lies.
            PublishAroundTheMissingPart(id, begun, uploadId, parts, found, etag, info, source);
        }
        else if (info is not null && info.ETag == etag)
        {
            Forget(captured);
            var content = ContentIds.OfObject(id.Bucket, id.Key, etag, info.Size, options.BlockSizeBytes);
            Publish(id, begun, etag, ObjectLayout.Single(content, info.Size, options.BlockSizeBytes), info, source, Origin.Multipart);
        }
        else
        {
            Forget(captured);
            Invalidate(id);
        }
    }

    private ObjectLayout LayoutOf(IReadOnlyList<CapturedPart?> parts)
    {
        var layout = ObjectLayout.OfParts([.. parts.Select(static part => (part!.Content, part.Length))], options.BlockSizeBytes);
        if (parts.Any(static part => part!.HadBytes))
        {
            layout.NoteFill(Origin.Multipart, time.GetUtcNow());
        }

        return layout;
    }

    private void PublishAroundTheMissingPart(
        ObjectId id, in GenerationToken begun, string uploadId, IReadOnlyList<(int Number, string ETag)> parts, IReadOnlyList<CapturedPart?> found, string etag, ObjectInfo? info,
        IObjectSource source)
    {
        if (info is not null)
        {
            if (TryCompleteLayout(id, uploadId, parts, found, etag, info) is { } layout)
            {
                Publish(id, begun, etag, layout, info, source, Origin.Multipart);
            }
            else
            {
                Invalidate(id);
            }

            return;
        }

        // Nothing is known until the backend has told the size; whoever reads before that asks for himself.
        var alone = catalog.Holds(begun);
        var token = Invalidate(id);
        if (alone)
        {
            _ = AskAndPublishAsync();
        }
        else
        {
            Forget([.. found.OfType<CapturedPart>()]);
        }

        async Task AskAndPublishAsync()
        {
            try
            {
                var told = await source.HeadObjectAsync(id, new ObjectReadOptions { WithChecksums = true }, CancellationToken.None);
                if (TryCompleteLayout(id, uploadId, parts, found, etag, told) is { } layout
                    && !(NewEntry(id, etag, layout, told, Origin.Multipart) is { Policy.Class: not ObjectClass.Bypass } entry && catalog.TryPublish(entry, token)))
                {
                    Forget([.. found.OfType<CapturedPart>()]);
                }
            }
            catch (Exception e) when (e is S3Exception or IOException or HttpRequestException or OperationCanceledException)
            {
                Forget([.. found.OfType<CapturedPart>()]);
            }
        }
    }

    /// <summary>The layout, when the object's size leaves exactly one length for the one part that is not known.</summary>
    private ObjectLayout? TryCompleteLayout(ObjectId id, string uploadId, IReadOnlyList<(int Number, string ETag)> parts, IReadOnlyList<CapturedPart?> found, string etag, ObjectInfo info)
    {
        CapturedPart[] captured = [.. found.OfType<CapturedPart>()];
        var length = info.Size - captured.Sum(static part => part.Length);
        if (info.ETag != etag || length < 0)
        {
            Forget(captured);
            return null;
        }

        var at = found.ToList().IndexOf(null);
        var (number, partETag) = parts[at];
        var content = ContentIds.OfPart(id.Bucket, id.Key, uploadId, number, partETag.Trim('"'), length, options.BlockSizeBytes);
        Interlocked.Increment(ref counters.CapturedLayouts);
        return LayoutOf([.. found.Select(part => part ?? new CapturedPart(partETag, length, content, HadBytes: false))]);
    }

    private void Publish(ObjectId id, in GenerationToken begun, string etag, ObjectLayout layout, ObjectInfo? info, IObjectSource source, Origin by)
    {
        var entry = NewEntry(id, etag, layout, info, by);
        if (!options.Enabled || entry.Policy.Class == ObjectClass.Bypass)
        {
            Invalidate(id);
            return;
        }

        Interlocked.Increment(ref counters.Invalidations);
        if (catalog.InvalidateAndPublish(entry, begun) && info is null && entry.Policy.Class == ObjectClass.Immutable)
        {
            // Its headers now, so that the first read asks nothing. Whether it works shows when it is read.
            _ = learning.LearnAsync(id, source, isHead: true, range: null, entry, CancellationToken.None, isWaitedFor: false)
                .ContinueWith(static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    private CatalogEntry NewEntry(ObjectId id, string etag, ObjectLayout layout, ObjectInfo? info, Origin by)
    {
        collections.Learn(id.Key);
        var entry = new CatalogEntry
        {
            Bucket = id.Bucket,
            Key = id.Key,
            Info = info,
            ETag = etag,
            Layout = layout,
            Policy = rules.Find(id.Bucket, id.Key),
            ValidatedAt = time.GetTimestamp(),
            Trusted = true,
            Origin = by,
            LearnedAt = time.GetUtcNow(),
        };
        entry.MarkUnread();
        return entry;
    }

    /// <summary>The backend acknowledged the part with this ETag: keep the capture until Complete, Abort, expiry or pressure.</summary>
    /// <remarks>The bytes go to the tiers at once, under a content id of the part's own, so that a large upload does not have to fit into memory.</remarks>
    public void KeepPart(ObjectId id, string uploadId, int partNumber, string etag, UploadCapture capture)
    {
        var bare = etag.Trim('"');
        var content = ContentIds.OfPart(id.Bucket, id.Key, uploadId, partNumber, bare, capture.Length, options.BlockSizeBytes);
        var isKept = capture is BlockCapture { IsWhole: true };
        if (isKept)
        {
            content = ((BlockCapture)capture).Publish(content);
        }

        // Also without its bytes: knowing its length is what the layout needs, and they are filled when they are read.
        Forget(registry.Keep(id, uploadId, partNumber, new CapturedPart(bare, capture.Length, content, isKept)));
    }

    /// <summary>Abort, or an upload known to be gone: drops its captured parts.</summary>
    public void DropUpload(ObjectId id, string uploadId) => Forget(registry.Remove(id, uploadId));

    public BlockCapture? TryCapture(ObjectId id, long? length)
    {
        if (!options.Enabled || !options.Captures.Enabled)
        {
            return null;
        }

        // One upload as large as the memory tier would sweep all else out of it.
        var policy = rules.Find(id.Bucket, id.Key);
        if (policy.Class == ObjectClass.Bypass || length > options.Memory.CapacityBytes)
        {
            Interlocked.Increment(ref counters.CapturesRefused);
            return null;
        }

        return new BlockCapture(tiers, budget, counters, options.BlockSizeBytes, time);
    }

    private void Forget(IReadOnlyList<CapturedPart> parts)
    {
        foreach (var part in parts)
        {
            for (var number = 0; (long)number * options.BlockSizeBytes < part.Length; number++)
            {
                tiers.Remove(new BlockId(part.Content, number));
            }
        }
    }

    private static string Quoted(string etag) => etag.EndsWith('"') ? etag : $"\"{etag}\"";
}
