using Proxy.Cache.Fills;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>A version as the backend just told it.</summary>
/// <param name="BroughtBytes">The same answer fills the tiers.</param>
internal sealed record Learned(CatalogEntry Entry, bool BroughtBytes);

/// <summary>Learns a key's current version from the backend, once for all who ask at the same time.</summary>
/// <remarks>
/// Two ways: a HEAD, or, for a key nothing is known of, one GET whose headers tell the version while its body already fills the tiers.
/// Asking runs detached from the request that caused it. Nobody joins an asking that began before the key last changed. Thread-safe.
/// </remarks>
internal sealed class Learning(
    CacheOptions options, ObjectCatalog catalog, ClassRules rules, UnnamedRoot unnamedRoot, FillCoordinator fills, CacheCounters counters, TimeProvider time)
{
    // Arrow's footer probe is the last 64 KiB; twice that is asked for, because the granule it begins in is known only with the size.
    private const int TailBytes = 2 * ObjectLayout.GranuleBytes;

    private readonly Lock _lock = new();
    private readonly Dictionary<ObjectId, Asking> _askings = [];

    /// <summary>What the backend says now.</summary>
    /// <param name="range">What a GET wants of it: then its bytes come along. Null is the whole object.</param>
    /// <param name="known">What the catalog has; its layout stays when the version is the same.</param>
    /// <exception cref="S3Exception">NoSuchKey and every other word of the backend.</exception>
    /// <param name="by">Who asks. For a warm job a HEAD is answered by a HEAD, and brings no bytes ahead of a GET; read-ahead leaves word for whoever reads it first.</param>
    /// <param name="withChecksums">Only the answer to a HEAD tells them.</param>
    /// <param name="isWaitedFor">The caller has nothing else to do, so the question leaves from its own thread; otherwise from another.</param>
    public Task<Learned> LearnAsync(
        ObjectId id, IObjectSource source, bool isHead, ByteRange? range, CatalogEntry? known, CancellationToken cancellation, Origin by = Origin.Read,
        bool isWaitedFor = true, bool withChecksums = false)
    {
        // The rules after the token: new ones raise the generation when they are in use, so what the old ones said is not published any more.
        var token = catalog.Take(id);
        var policy = rules.Find(id.Bucket, id.Key);
        unnamedRoot.Look(id, policy);
        var get = known is null && by != Origin.Warm && !withChecksums ? RangeToGet(isHead, range, policy) : null;
        Asking asking;
        lock (_lock)
        {
            if (_askings.TryGetValue(id, out var running) && running.Token == token && (withChecksums ? !running.BringsBytes : running.BringsBytes || get is null))
            {
                return running.Done.Task.WaitAsync(cancellation);
            }

            // An asking publishes before it leaves the table: who looked before the one and asks after the other would ask again.
            if (known is null && catalog.TryGet(id.Bucket, id.Key, out var entry) && entry is { Info: not null, Trusted: true } && (entry.ChecksumsTold || !withChecksums))
            {
                return Task.FromResult(new Learned(entry, BroughtBytes: false));
            }

            asking = new Asking(token, get is not null, by, isHead ? Origin.ReadAhead : by);
            _askings[id] = asking;
        }

        if (isWaitedFor)
        {
            _ = AskAsync(id, source, get, known, policy, asking);
        }
        else
        {
            // On the caller's scheduler, which is the pool's but in the tests that explore interleavings.
            _ = Task.Factory.StartNew(() => AskAsync(id, source, get, known, policy, asking), CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current);
        }

        return asking.Done.Task.WaitAsync(cancellation);
    }

    private ByteRange? RangeToGet(bool isHead, ByteRange? range, in KeyPolicy policy)
    {
        if (!isHead)
        {
            return FillPlan.Cold(range, options.BlockSizeBytes, options.Fills.MaxRangeBytes);
        }

        if (!options.Fills.HeadAheadOnMiss || policy.Class != ObjectClass.Immutable)
        {
            return null;
        }

        // What Milvus does after this HEAD: GET all of an index slice, or the footer of a parquet file.
        return policy.FillWhole ? ByteRange.FromTo(0, options.Fills.MaxRangeBytes - 1)
            : policy.Kind == MilvusKind.InsertLog ? ByteRange.Suffix(TailBytes)
            : null;
    }

    private async Task AskAsync(ObjectId id, IObjectSource source, ByteRange? get, CatalogEntry? known, KeyPolicy policy, Asking asking)
    {
        Learned? learned = null;
        Exception? failure = null;
        try
        {
            learned = get is { } range ? await GetAsync(id, source, range, policy, asking) : await HeadAsync(id, source, known, policy, asking);
        }
        catch (Exception e)
        {
            failure = e;
            if (known is not null && e is S3Exception refusal && refusal.Code == S3ErrorCode.NoSuchKey)
            {
                catalog.Drop(known);
            }
        }

        lock (_lock)
        {
            if (_askings.TryGetValue(id, out var running) && ReferenceEquals(running, asking))
            {
                _askings.Remove(id);
            }
        }

        // Last: whoever waits may go on right here.
        if (learned is not null)
        {
            asking.Done.SetResult(learned);
        }
        else
        {
            asking.Done.SetException(failure!);
        }
    }

    private async Task<Learned> HeadAsync(ObjectId id, IObjectSource source, CatalogEntry? known, KeyPolicy policy, Asking asking)
    {
        // Before the request leaves: what it confirms was true then, not when the answer is read.
        var askedAt = time.GetTimestamp();
        var info = await source.HeadObjectAsync(id, new ObjectReadOptions { WithChecksums = true }, CancellationToken.None);
        var same = known is not null && known.ETag == info.ETag && known.Size == info.Size;
        if (known?.Info is { } facts)
        {
            Interlocked.Increment(ref counters.Revalidations);
            if (same)
            {
                Interlocked.Increment(ref counters.RevalidationsUnchanged);
                if (SameFacts(facts, info))
                {
                    // In place: if the key was touched meanwhile this entry no longer stands in the catalog, and nobody will find it.
                    known.ValidatedAt = askedAt;
                    known.Trusted = true;
                    known.ChecksumsTold = true;
                    return new Learned(known, BroughtBytes: false);
                }
            }
        }

        var entry = same ? known!.With(info, policy, askedAt) : NewEntry(id, info, policy, askedAt, asking.By);
        entry.ChecksumsTold = true;
        Publish(entry, asking.Token);
        return new Learned(entry, BroughtBytes: false);
    }

    private async Task<Learned> GetAsync(ObjectId id, IObjectSource source, ByteRange range, KeyPolicy policy, Asking asking)
    {
        var token = asking.Token;
        var askedAt = time.GetTimestamp();
        ObjectBody body;
        try
        {
            body = await source.GetObjectAsync(id, new ObjectReadOptions { Range = range }, CancellationToken.None);
        }
        catch (S3Exception e) when (e.Code == S3ErrorCode.InvalidRange)
        {
            // Empty, or shorter than asked: its size decides what the reader is told.
            return await HeadAsync(id, source, known: null, policy, asking);
        }

        var entry = NewEntry(id, body.Info, policy, askedAt, asking.By);
        if (asking.By == Origin.ReadAhead)
        {
            entry.ExpectAnyRead();
        }

        // The fill before the entry: whoever finds the one joins the other.
        var isFilling = entry.Size > 0 && fills.TryStart(entry, token, body, source, asking.BytesBy);
        Publish(entry, token);
        if (!isFilling)
        {
            await body.DisposeAsync();
        }

        return new Learned(entry, isFilling);
    }

    private void Publish(CatalogEntry entry, in GenerationToken token)
    {
        // Bypassed since its reader came here.
        if (entry.Policy.Class != ObjectClass.Bypass)
        {
            catalog.TryPublish(entry, token);
        }
    }

    private static bool SameFacts(ObjectInfo one, ObjectInfo other)
        => one.LastModified == other.LastModified
            && one.ContentType == other.ContentType
            && one.PartCount == other.PartCount
            && one.Headers.SequenceEqual(other.Headers)
            && one.ChecksumHeaders.SequenceEqual(other.ChecksumHeaders);

    private CatalogEntry NewEntry(ObjectId id, ObjectInfo info, in KeyPolicy policy, long validatedAt, Origin by) => new()
    {
        Bucket = id.Bucket,
        Key = id.Key,
        Info = info,
        ETag = info.ETag,
        Layout = ObjectLayout.Single(ContentIds.OfObject(id.Bucket, id.Key, info.ETag, info.Size, options.BlockSizeBytes), info.Size, options.BlockSizeBytes),
        Policy = policy,
        ValidatedAt = validatedAt,
        Trusted = true,
        Origin = by,
        LearnedAt = time.GetUtcNow(),
    };

    /// <param name="bytesBy">What its bytes come by, if it brings any: those that a HEAD brings were not asked for.</param>
    private sealed class Asking(GenerationToken token, bool bringsBytes, Origin by, Origin bytesBy)
    {
        public GenerationToken Token { get; } = token;

        public bool BringsBytes { get; } = bringsBytes;

        public Origin By { get; } = by;

        public Origin BytesBy { get; } = bytesBy;

        public TaskCompletionSource<Learned> Done { get; } = new();
    }
}
