using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Proxy.Cache.Admin;
using Proxy.Cache.Captures;
using Proxy.Cache.Fills;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.Cache.Reads;
using Proxy.Cache.Tiers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache;

/// <summary>The cache's front door and its policy on one page: what is served from where, and what every mutation does. What it can say of itself is in ObjectCache.Reports.</summary>
/// <remarks>Between the S3 front and the backends, which it knows only as <see cref="IObjectSource"/>. Thread-safe.</remarks>
public sealed partial class ObjectCache : IAsyncDisposable
{
    /// <summary>What a tracer subscribes to for the spans of fills.</summary>
    public const string TraceSourceName = "S3TierProxy.Cache";

    private const int MaxRestarts = 4;

    private readonly CacheOptions _options;
    private readonly TierStack _tiers;
    private readonly TimeProvider _time;
    private readonly ClassRules _rules;
    private readonly Generations _generations = new();
    private readonly CacheCounters _counters = new();
    private readonly CatalogJournal? _journal;
    private readonly ObjectCatalog _catalog;
    private readonly FillBudget _fillBudget;
    private readonly FillBudget _captureBudget;
    private readonly FillCoordinator _fills;
    private readonly Learning _learning;
    private readonly PartRegistry _parts;
    private readonly WriteThrough _writes;
    private readonly VersionFinder _versions;
    private readonly Purging _purging;
    private readonly CollectionTable _collections;
    private readonly ReadContext _context;
    private readonly Readahead _readahead;
    private readonly ReadSampler _sampler = new();

    internal ObjectCache(CacheOptions options, TierStack tiers, TimeProvider time, ILogger<ObjectCache> logger)
    {
        (_options, _tiers, _time) = (options, tiers, time);
        _rules = new ClassRules(options);
        _journal = JournalFolder.TryPrepare(options, logger) is { } folder ? new CatalogJournal(folder, options.Catalog.JournalBytes, options.BlockSizeBytes, time, logger) : null;
        _catalog = new ObjectCatalog(options.Catalog.CapacityBytes, _generations, _journal);
        _fillBudget = new FillBudget(options.Fills.MaxBytesInFlight ?? (options.Memory.CapacityBytes / 4));
        _captureBudget = new FillBudget(options.Captures.MaxBytes ?? (options.Memory.CapacityBytes / 4));
        _fills = new FillCoordinator(options, tiers, _catalog, _fillBudget, _counters, time, logger);
        _learning = new Learning(options, _catalog, _rules, new UnnamedRoot(_rules, logger), _fills, _counters, time);
        _readahead = new Readahead(options, _catalog, _learning, _fills, _fillBudget, _counters);
        _parts = new PartRegistry(options.Captures.MaxUploads, options.Captures.PartExpiry, time);
        _collections = new CollectionTable(_rules);
        _writes = new WriteThrough(options, tiers, _catalog, _generations, _rules, _collections, _learning, _captureBudget, _parts, _counters, time);
        _purging = new Purging(_catalog, _generations, _rules, tiers, _writes);
        _versions = new VersionFinder(options, _catalog, _generations, _learning, time);
        _context = new ReadContext(options, tiers, _fills, _counters, _collections);
        Admin = new CacheAdmin(options, tiers, _catalog, _rules, _learning, _fills, _sampler, _purging, Recovered, time, logger);
        _journal?.Start(_catalog, _rules, trustRecovered: !options.VerifyRecovered);
    }

    /// <summary>Opens the tiers and starts to recover what they held; usable at once, as a pass-through until then.</summary>
    public static ObjectCache Open(CacheOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        var tiers = TierStack.Open(
            new TierOptions
            {
                MemoryCapacityBytes = options.Memory.CapacityBytes,
                NvmeDirectories = options.Enabled ? [.. options.Nvme.Directories] : [],
                NvmeCapacityBytes = options.Nvme.EffectiveCapacityBytes,
                NvmeEngine = Enum.Parse<NvmeEngine>(options.Nvme.Engine, ignoreCase: true),
                MaxBlockBytes = options.BlockSizeBytes,
            },
            time,
            loggers);
        return new ObjectCache(options, tiers, time, loggers.CreateLogger<ObjectCache>());
    }

    /// <summary>What operators may ask and do: listings, warming, pins.</summary>
    public CacheAdmin Admin { get; }

    /// <summary>Completes when the catalog of the last run is back. Nothing has to wait for it.</summary>
    public Task Recovered => _journal?.Recovered ?? Task.CompletedTask;

    /// <summary>The hit path: answers from catalog and memory alone, synchronously, without allocating.</summary>
    /// <returns>False when anything else is needed: use <see cref="OpenAsync"/>. Never throws for what a client asked.</returns>
    public bool TryOpen(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, in ReadRequest request, out ObjectRead? read)
    {
        read = null;
        if (!IsKnown(bucket, key, request, out var entry, out var span))
        {
            return false;
        }

        var cached = _context.Rent();
        cached.Begin(entry, source: null, span, request.Range is not null, request.HeadOnly);
        if (!request.HeadOnly && !cached.TryHoldAll())
        {
            cached.Forget();
            return false;
        }

        Decide(cached, CacheOutcome.HitMemory, MissReason.Evicted, request.HeadOnly);
        if (!request.HeadOnly)
        {
            entry.FollowsLastRead(span);
        }

        read = cached;
        return true;
    }

    /// <summary>As <see cref="TryOpen"/> for a small range that lies on NVMe: all of it is read before there is an answer. Allocates nothing that is not pooled.</summary>
    /// <param name="source">Where readers that go through an object would get what comes next.</param>
    /// <param name="opening">On its way; null when something was not to be had after all: nothing was counted then, and <see cref="OpenAsync"/> is asked.</param>
    /// <returns>False when anything else is needed.</returns>
    public bool TryBring(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, in ReadRequest request, IObjectSource source, out ValueTask<ObjectRead?> opening)
    {
        opening = default;
        if (request.HeadOnly || !IsKnown(bucket, key, request, out var entry, out var span) || span.Length == 0)
        {
            return false;
        }

        var cached = _context.Rent();
        cached.Begin(entry, source: null, span, request.Range is not null, headOnly: false);
        if (!cached.CanBringAll())
        {
            cached.Forget();
            return false;
        }

        opening = BringAsync(cached, source);
        return true;
    }

    /// <summary>Whether <see cref="OpenAsync"/> of this would begin without asking anybody: a trusted version, and its first byte in a tier.</summary>
    /// <remarks>Then it only queues a read of the device, which any thread may do. A look, no promise.</remarks>
    public bool IsAtHand(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, in ReadRequest request)
    {
        if (!_options.Enabled || request.Preconditions is not null || !_catalog.TryGet(bucket, key, out var entry) || !_versions.IsFresh(entry))
        {
            return false;
        }

        var span = new ByteSpan(0, entry.Size);
        return entry.Size > 0 && (request.Range is not { } range || range.TryResolve(entry.Size, out span)) && _tiers.Contains(entry.Layout.BlockAt(span.Offset).Id, out _);
    }

    /// <summary>Opens a read from cache, from the backend, or both.</summary>
    /// <exception cref="S3Exception">NotModified 304, PreconditionFailed 412, InvalidRange 416, NoSuchKey 404 (always the backend's own word),
    /// SlowDown 503, and whatever else the source says.</exception>
    public async ValueTask<ObjectRead> OpenAsync(ObjectId id, ReadRequest request, IObjectSource source, CancellationToken cancellation)
    {
        var policy = _rules.Find(id.Bucket, id.Key);
        if (!_options.Enabled || policy.Class == ObjectClass.Bypass)
        {
            return await PassAsync(id, request, policy, source, cancellation);
        }

        // A version that changes before its first byte left is simply read anew.
        var mustConfirm = false;
        for (var restart = 0; restart < MaxRestarts; restart++)
        {
            var (entry, how, reason) = await _versions.FindAsync(id, request, source, mustConfirm, cancellation);
            switch (request.Preconditions?.Evaluate(entry.ETag, entry.Info!.LastModified))
            {
                case PreconditionOutcome.NotModified:
                    throw new S3Exception(S3ErrorCode.NotModified, "/" + id) { Headers = [new("ETag", entry.ETag), new("Last-Modified", entry.Info!.LastModified.ToString("R"))] };
                case PreconditionOutcome.Failed when how is Found.Fresh or Found.Stale:
                    mustConfirm = true;
                    continue;
                case PreconditionOutcome.Failed:
                    throw new S3Exception(S3ErrorCode.PreconditionFailed, "/" + id);
            }

            var span = new ByteSpan(0, entry.Size);
            if (request.Range is { } range && !range.TryResolve(entry.Size, out span))
            {
                if (how is Found.Fresh or Found.Stale)
                {
                    mustConfirm = true;
                    continue;
                }

                throw new S3Exception(S3ErrorCode.InvalidRange, "/" + id) { Headers = [new("Content-Range", $"bytes */{entry.Size}")] };
            }

            if (await TryOpenCachedAsync(entry, how, reason, request, span, source, cancellation) is { } read)
            {
                if (!request.HeadOnly)
                {
                    _readahead.After(entry, span, read.Outcome == CacheOutcome.Miss, source);
                }

                return read;
            }

            _catalog.Drop(entry);
            mustConfirm = true;
        }

        throw new S3Exception(S3ErrorCode.SlowDown, "/" + id);
    }

    /// <summary>Whether reads of this key never touch the cache (class bypass): the caller takes the thinnest path.</summary>
    public bool IsBypassed(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key) => !_options.Enabled || _rules.Find(bucket, key).Class == ObjectClass.Bypass;

    /// <summary>To be called before any request leaves that may change <paramref name="id"/>: raises its generation and drops what is known.</summary>
    /// <returns>To be completed when the outcome is known; disposing it without that counts as an unknown outcome and invalidates again.</returns>
    public Mutation BeginMutation(ObjectId id)
        => FoldedKey.TryFold(id.Key, out var folded) ? new FoldedMutation(BeginKeyMutation(id), BeginKeyMutation(id with { Key = folded })) : BeginKeyMutation(id);

    /// <summary>Same for a request that changes keys it does not name: the whole bucket becomes unknown, now and with the outcome, whatever that is.</summary>
    public Mutation BeginBucketMutation(string bucket) => new BucketMutation(_writes, bucket);

    /// <summary>Starts keeping the bytes of a PUT beside its way to the backend.</summary>
    /// <param name="length">Decoded length if known.</param>
    /// <returns>Null when the class, the settings or memory pressure say no; then nothing is captured.</returns>
    public UploadCapture? TryBeginCapture(ObjectId id, long? length) => _writes.TryCapture(id, length);

    /// <summary>Same for one part of a multipart upload.</summary>
    public UploadCapture? TryBeginPartCapture(ObjectId id, string uploadId, int partNumber, long? length) => _writes.TryCapture(id, length);

    /// <summary>The backend acknowledged the part with this ETag: keep the capture until Complete, Abort, expiry or pressure.</summary>
    public void KeepPart(ObjectId id, string uploadId, int partNumber, string etag, UploadCapture capture) => _writes.KeepPart(id, uploadId, partNumber, etag, capture);

    /// <summary>Abort, or an upload known to be gone: drops its captured parts.</summary>
    public void DropUpload(ObjectId id, string uploadId) => _writes.DropUpload(id, uploadId);

    /// <summary>Forgets every key that begins with <paramref name="prefix"/> (as <c>bucket/key…</c>).</summary>
    /// <returns>How many keys were forgotten.</returns>
    public int Purge(string prefix) => _purging.Purge(prefix);

    /// <summary>
    /// Forgets every known key that <paramref name="isMeant"/> picks, and keeps what is being filled now from being published. Walks the whole catalog: for a
    /// changed configuration, not for a request.
    /// </summary>
    /// <returns>How many keys were forgotten.</returns>
    public int PurgeWhere(Func<ObjectId, bool> isMeant) => _purging.PurgeWhere(isMeant);

    /// <summary>Takes rules, Milvus profile and revalidation time of <paramref name="options"/> into use; forgets the keys they judge otherwise.</summary>
    public void UpdateRules(CacheOptions options) => _purging.UpdateRules(options);

    /// <summary>Completes when no fill runs: for tests and for a clean end.</summary>
    internal Task IdleAsync() => _fills.IdleAsync();

    /// <summary>Leaves the tiers and the journal ready for the next start. Reads should be over by now.</summary>
    public async ValueTask DisposeAsync()
    {
        await _fills.IdleAsync().WaitAsync(TimeSpan.FromSeconds(10)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Admin.DisposeAsync();
        if (_journal is not null)
        {
            await _journal.DisposeAsync();
        }

        await _tiers.DisposeAsync();
    }

    private KeyMutation BeginKeyMutation(ObjectId id) => new(_writes, id, _writes.BeginWrite(id));

    /// <returns>Null when the version changed before a byte left.</returns>
    private async ValueTask<ObjectRead?> TryOpenCachedAsync(
        CatalogEntry entry, Found how, MissReason reason, ReadRequest request, ByteSpan span, IObjectSource source, CancellationToken cancellation)
    {
        var read = _context.Rent();
        read.Begin(entry, source, span, request.Range is not null, request.HeadOnly);
        if (request.HeadOnly || span.Length == 0)
        {
            Decide(read, Outcome(how, memory: true, nvme: false, missing: false), reason, request.HeadOnly);
            return read;
        }

        var opened = false;
        try
        {
            var (memory, nvme, missing) = read.Survey();
            opened = await read.PrepareAsync(cancellation);
            if (opened)
            {
                Decide(read, Outcome(how, memory, nvme, missing), reason, request.HeadOnly);
            }
        }
        finally
        {
            if (!opened)
            {
                await read.AbandonAsync();
            }
        }

        return opened ? read : null;
    }

    /// <summary>A trusted version, and the request is one for its bytes.</summary>
    private bool IsKnown(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, in ReadRequest request, [NotNullWhen(true)] out CatalogEntry? entry, out ByteSpan span)
    {
        (entry, span) = (null, default);
        if (!_options.Enabled || !_catalog.TryGet(bucket, key, out entry) || !_versions.IsFreshFor(entry, request))
        {
            return false;
        }

        span = new ByteSpan(0, entry.Size);
        return (request.Range is not { } range || range.TryResolve(entry.Size, out span))
            && (request.Preconditions is not { } conditions || conditions.Evaluate(entry.ETag, entry.Info!.LastModified) == PreconditionOutcome.Proceed);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ObjectRead?> BringAsync(CachedRead read, IObjectSource source)
    {
        var tier = await read.BringAllAsync();
        if (tier == Tier.None)
        {
            read.Forget();
            return null;
        }

        Decide(read, tier == Tier.Nvme ? CacheOutcome.HitNvme : CacheOutcome.HitMemory, MissReason.Evicted, headOnly: false);
        _readahead.After(read.Entry, read.Span, missed: false, source);
        return read;
    }

    private static CacheOutcome Outcome(Found how, bool memory, bool nvme, bool missing) => how switch
    {
        Found.Learned => CacheOutcome.Miss,
        _ when missing => memory || nvme ? CacheOutcome.Partial : CacheOutcome.Miss,
        Found.Confirmed => CacheOutcome.Revalidated,
        Found.Stale => CacheOutcome.Stale,
        _ => nvme ? CacheOutcome.HitNvme : CacheOutcome.HitMemory,
    };

    private void Decide(CachedRead read, CacheOutcome outcome, MissReason reason, bool headOnly)
    {
        read.Decide(outcome);
        var isHit = outcome is not (CacheOutcome.Miss or CacheOutcome.Partial);
        if (!isHit)
        {
            _counters.CountMiss(reason);
        }

        if (headOnly)
        {
            return;
        }

        read.Entry.CountRead(Environment.TickCount64);
        _sampler.Observe(read.Entry.Layout, read.Span);
        if (!isHit)
        {
            Interlocked.Add(ref _counters.AskedBytes, read.Span.Length);
        }

        if (read.Entry.TakeAhead(read.Span.Offset) is var ahead and not Ahead.None)
        {
            Interlocked.Increment(ref ahead == Ahead.Whole ? ref _counters.SiblingsAheadUsed : ref _counters.RangesAheadUsed);
        }

        if (read.Entry.TakeFirstRead())
        {
            read.Entry.NoteFirstRead(isHit);
            Interlocked.Increment(ref isHit ? ref _counters.FirstReadHits : ref _counters.FirstReadMisses);
        }
    }

    private async ValueTask<ObjectRead> PassAsync(ObjectId id, ReadRequest request, KeyPolicy policy, IObjectSource source, CancellationToken cancellation)
    {
        ObjectBody? body = null;
        ObjectInfo info;
        if (request.HeadOnly)
        {
            info = await source.HeadObjectAsync(id, new ObjectReadOptions { Preconditions = request.Preconditions, WithChecksums = true }, cancellation);
        }
        else
        {
            body = await source.GetObjectAsync(id, new ObjectReadOptions { Range = request.Range, Preconditions = request.Preconditions }, cancellation);
            info = body.Info;
        }

        _counters.Count(CacheOutcome.Bypass, policy.Kind, request.HeadOnly);
        Interlocked.Increment(ref _counters.OpenReads);
        return new PassThroughRead(id, info, body, request.Range is not null, policy.Kind, _counters);
    }
}
