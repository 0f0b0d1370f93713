using Microsoft.Extensions.Logging;
using Proxy.Cache.Fills;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.Cache.Reads;
using Proxy.Cache.Tiers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Admin;

/// <summary>What operators may ask of the cache and do to it: listings, purge, warming, pins, the miss-ratio curve.</summary>
/// <remarks>
/// Made and owned by <see cref="ObjectCache"/>. Thread-safe. Listings walk the whole catalog: for people, not for requests. One task looks after pins and
/// sampled reads once a second; the hot path knows nothing of it but the sampler's one comparison.
/// </remarks>
public sealed class CacheAdmin : IAsyncDisposable
{
    /// <summary>One wish of a warm job: long enough for a backend to be efficient, short enough for a bytes-per-second bound to be even.</summary>
    private const int WarmWindowBytes = 8 << 20;

    /// <summary>Two minutes of <see cref="BudgetWait"/>.</summary>
    private const int MostWaits = 2400;

    private static readonly TimeSpan BudgetWait = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    // New blocks wait in memory or in the log's newest segment for longer than this before anything may throw them out.
    private static readonly TimeSpan LeastPinRest = TimeSpan.FromSeconds(3);

    // A walk over millions of keys takes most of a second: at most a tenth of one processor goes into it.
    private const int PinRestFactor = 10;

    private static readonly double[] Factors = [0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8];

    private readonly TierStack _tiers;
    private readonly ObjectCatalog _catalog;
    private readonly ClassRules _rules;
    private readonly Learning _learning;
    private readonly FillCoordinator _fills;
    private readonly ReadSampler _sampler;
    private readonly Purging _purging;
    private readonly TimeProvider _time;
    private readonly Task _recovered;
    private readonly PinTable _pins;
    private readonly GhostCache _ghost = new();
    private readonly Lock _ghostLock = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _upkeep;

    internal CacheAdmin(
        CacheOptions options, TierStack tiers, ObjectCatalog catalog, ClassRules rules, Learning learning, FillCoordinator fills, ReadSampler sampler,
        Purging purging, Task recovered, TimeProvider time, ILogger logger)
    {
        (_tiers, _catalog, _rules, _learning, _fills, _sampler, _purging, _recovered, _time) = (tiers, catalog, rules, learning, fills, sampler, purging, recovered, time);
        BlockSizeBytes = options.BlockSizeBytes;
        _pins = new PinTable(new PinFile(JournalFolder.TryPrepare(options, logger), logger), tiers.Pins, () => PinLimit(tiers, options), time);
        _upkeep = UpkeepAsync();
    }

    public int BlockSizeBytes { get; }

    /// <summary>The pins, oldest first.</summary>
    public IReadOnlyList<Pin> Pins => _pins.All;

    /// <summary>What the pins hold; up to a few seconds old.</summary>
    public PinState PinState => _pins.State;

    public bool TryParseMilvus(string key, out MilvusKey milvus) => _rules.TryParseMilvus(key, out milvus);

    /// <summary>Every known key that begins with <paramref name="prefix"/> (as <c>bucket/key…</c>), in no order, with what of it is cached.</summary>
    public IEnumerable<CachedObject> Enumerate(string prefix)
    {
        foreach (var entry in _catalog.Enumerate(prefix))
        {
            yield return Describe(entry);
        }
    }

    /// <summary>Null when the catalog does not know the key.</summary>
    public CachedObject? Find(ObjectId id) => _catalog.TryGet(id.Bucket, id.Key, out var entry) ? Describe(entry) : null;

    /// <summary>Partitions of a collection as far as known keys tell.</summary>
    public IReadOnlySet<long> PartitionsOf(string bucket, long collection) => PartitionsOf(_catalog, _rules, bucket, collection);

    /// <summary>Forgets every known key of the selection, and its blocks in every tier. Waits for what the last run knew: its journal would bring that back at the next start.</summary>
    /// <param name="partitions">Further partitions of its collection, as the backend lists them.</param>
    /// <returns>How many keys and bytes of objects were forgotten.</returns>
    public async Task<(int Objects, long Bytes)> PurgeAsync(KeySelection selection, IReadOnlySet<long> partitions, CancellationToken cancellation)
    {
        await _recovered.WaitAsync(cancellation);
        var (objects, bytes) = (0, 0L);
        _purging.KeepBackWhatIsOnItsWay();
        foreach (var entry in Select(_catalog, _rules, selection, partitions).ToList())
        {
            _purging.Purge(entry);
            objects++;
            bytes += entry.Size;
        }

        return (objects, bytes);
    }

    /// <summary>Keeps what the selection means from being thrown out; known at once, and after restarts.</summary>
    public Pin AddPin(KeySelection selection)
    {
        var pin = _pins.Add(selection);
        _pins.Update(_catalog.Enumerate(""), _rules);
        return pin;
    }

    /// <returns>False when there is no such pin.</returns>
    public bool RemovePin(string id)
    {
        var removed = _pins.Remove(id);
        _pins.Update(_catalog.Enumerate(""), _rules);
        return removed;
    }

    /// <summary>Brings all of an object into the cache, onto NVMe where there is such a tier, and looks whether it stayed.</summary>
    /// <exception cref="S3Exception">What the backend says; NoSuchKey is <see cref="WarmEnd.Missing"/> instead.</exception>
    public async Task<WarmResult> WarmAsync(ObjectId id, IObjectSource source, WarmPace pace, CancellationToken cancellation)
    {
        var policy = _rules.Find(id.Bucket, id.Key);
        if (policy.Class == ObjectClass.Bypass)
        {
            return new WarmResult(WarmEnd.Bypassed, 0, 0);
        }

        CatalogEntry entry;
        try
        {
            entry = await CurrentAsync(id, source, policy, cancellation);
        }
        catch (S3Exception e) when (e.Code == S3ErrorCode.NoSuchKey)
        {
            return new WarmResult(WarmEnd.Missing, 0, 0);
        }

        long fetched = 0;
        for (long at = 0; at < entry.Size;)
        {
            var end = entry.Layout.BlockAt(at).End;
            while (end < entry.Size && end - at < WarmWindowBytes)
            {
                end = entry.Layout.BlockAt(end).End;
            }

            fetched += await FillAsync(entry, at, end, source, pace, cancellation);
            await KeepAsync(entry, at, end, cancellation);
            at = end;
        }

        return new WarmResult(IsKept(entry) ? WarmEnd.Warm : WarmEnd.Partly, entry.Size, fetched);
    }

    /// <summary>What a cache of another size would give, from the reads of late; empty of points when nothing was read.</summary>
    public MissRatioCurve Curve()
    {
        var tiers = _tiers.Snapshot();
        var capacity = tiers.Memory.CapacityBytes + tiers.Nvme.Sum(nvme => nvme.CapacityBytes);
        lock (_ghostLock)
        {
            return new MissRatioCurve(
                _ghost.Samples == 0 ? [] : [.. Factors.Select(factor => new CurvePoint(factor, (long)(factor * capacity), _ghost.HitRatio(factor * capacity)))],
                _ghost.Samples,
                _ghost.ColdRatio);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _upkeep.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    internal static IEnumerable<CatalogEntry> Select(ObjectCatalog catalog, ClassRules rules, KeySelection selection, IReadOnlySet<long>? partitions = null)
    {
        var known = selection.Collection == 0 ? [] : PartitionsOf(catalog, rules, selection.Bucket, selection.Collection);
        known.UnionWith(partitions ?? new HashSet<long>());
        return catalog.Enumerate($"{selection.Bucket}/{selection.Key ?? selection.Prefix}")
            .Where(entry => selection.Matches(entry.Bucket, entry.Key, rules.TryParseMilvus(entry.Key, out var milvus) ? milvus : null, known));
    }

    /// <summary>Of the disk that there is, where it is less than configured: a ring full of pins could take nothing in. One not open yet will be as configured.</summary>
    private static long PinLimit(TierStack tiers, CacheOptions options)
    {
        if (tiers.Nvme is null)
        {
            return options.Memory.CapacityBytes / 4;
        }

        var directories = tiers.Nvme.Snapshot();
        var configured = options.Nvme.EffectiveCapacityBytes / directories.Count;
        return directories.Sum(directory => directory.CapacityBytes == 0 ? configured : Math.Min(configured, directory.CapacityBytes)) / 2;
    }

    private static HashSet<long> PartitionsOf(ObjectCatalog catalog, ClassRules rules, string bucket, long collection)
    {
        var partitions = new HashSet<long>();
        foreach (var entry in catalog.Enumerate(bucket + "/"))
        {
            if (rules.TryParseMilvus(entry.Key, out var milvus) && milvus.Collection == collection && milvus.Partition != 0)
            {
                partitions.Add(milvus.Partition);
            }
        }

        return partitions;
    }

    private CachedObject Describe(CatalogEntry entry)
    {
        var (memory, nvme) = Whereabouts.BytesOf(_tiers, entry);
        return new CachedObject
        {
            Bucket = entry.Bucket,
            Key = entry.Key,
            ETag = entry.ETag,
            Size = entry.Size,
            Class = entry.Policy.Class,
            Milvus = _rules.TryParseMilvus(entry.Key, out var milvus) ? milvus : null,
            Origin = entry.Origin,
            LearnedAt = entry.LearnedAt == default ? null : entry.LearnedAt,
            Reads = entry.Reads,
            LastRead = entry.LastReadTicks == 0 ? null : _time.GetUtcNow() - TimeSpan.FromMilliseconds(Environment.TickCount64 - entry.LastReadTicks),
            FirstReadWasHit = entry.FirstReadWasHit,
            MemoryBytes = memory,
            NvmeBytes = nvme,
            Pinned = entry.Size > 0 && _tiers.Pins.Contains(entry.Layout.Extents[0].Content),
        };
    }

    private async ValueTask<CatalogEntry> CurrentAsync(ObjectId id, IObjectSource source, KeyPolicy policy, CancellationToken cancellation)
    {
        var known = _catalog.TryGet(id.Bucket, id.Key, out var entry) ? entry : null;
        if (known is { Info: not null, Trusted: true } && policy.Class == ObjectClass.Immutable)
        {
            return known;
        }

        return (await _learning.LearnAsync(id, source, isHead: true, range: null, known, cancellation, Origin.Warm)).Entry;
    }

    /// <summary>Fetches what the span's blocks lack, and waits until it is there.</summary>
    private async ValueTask<long> FillAsync(CatalogEntry entry, long from, long to, IObjectSource source, WarmPace pace, CancellationToken cancellation)
    {
        long fetched = 0;

        // Bounded: a block that leaves as fast as it comes is reported, not fought for; nor is a budget waited for that is never free.
        var isPaced = false;
        for (var (attempts, waits) = (0, 0); from < to && attempts < 64 && waits < MostWaits;)
        {
            var place = entry.Layout.BlockAt(from);
            if (_tiers.Contains(place.Id, out _))
            {
                from = place.End;
                continue;
            }

            if (!isPaced)
            {
                await pace(Math.Min(to - from, WarmWindowBytes), cancellation);
                isPaced = true;
            }

            var answer = _fills.JoinOrStart(entry, new ByteSpan(from, to - from), source, join: true, out var fill, Origin.Warm);
            if (answer == FillAnswer.OverBudget)
            {
                // Readers go first; a job has time.
                waits++;
                await Task.Delay(BudgetWait, _time, cancellation);
                continue;
            }

            attempts++;
            (waits, isPaced) = (0, false);
            if (answer == FillAnswer.Cached)
            {
                continue;
            }

            // One that we began may have come a long way before we got to look.
            var before = answer == FillAnswer.Started ? fill!.Start : fill!.Received;
            try
            {
                await fill.WaitAsync(fill.StopsAt - 1, step: 1, cancellation);
                fetched += fill.Received - before;
                if (fill.End is FillEnd.Failed)
                {
                    throw fill.Error ?? new S3Exception(S3ErrorCode.SlowDown, "/" + entry.Id);
                }

                if (fill.End is FillEnd.VersionChanged)
                {
                    return fetched;
                }
            }
            finally
            {
                FillCoordinator.Leave(fill);
            }
        }

        return fetched;
    }

    /// <summary>Blocks that memory has and the disk has not, also because its queue was full a moment ago.</summary>
    private async ValueTask KeepAsync(CatalogEntry entry, long from, long to, CancellationToken cancellation)
    {
        while (from < to)
        {
            var place = entry.Layout.BlockAt(from);
            for (var attempts = 0; attempts < 40 && !_tiers.TryKeepOnNvme(place.Id) && _tiers.Contains(place.Id, out _) && _tiers.ServesNvme(place.Id); attempts++)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(25), _time, cancellation);
            }

            from = place.End;
        }
    }

    private bool IsKept(CatalogEntry entry)
    {
        for (long at = 0; at < entry.Size;)
        {
            var place = entry.Layout.BlockAt(at);
            if (!_tiers.Contains(place.Id, out _))
            {
                return false;
            }

            at = place.End;
        }

        return true;
    }

    private async Task UpkeepAsync()
    {
        // Off the constructor's thread: the catalog is not there yet.
        await Task.Yield();
        using var timer = new PeriodicTimer(Tick, _time);
        var (walked, rest) = (_time.GetTimestamp(), TimeSpan.Zero);
        while (await NextAsync(timer))
        {
            lock (_ghostLock)
            {
                _ghost.Follow(_sampler);
            }

            if (_time.GetElapsedTime(walked) >= rest)
            {
                var started = _time.GetTimestamp();
                _pins.Update(_catalog.Enumerate(""), _rules);
                walked = _time.GetTimestamp();
                rest = TimeSpan.FromTicks(Math.Max(LeastPinRest.Ticks, PinRestFactor * _time.GetElapsedTime(started, walked).Ticks));
            }
        }
    }

    private async ValueTask<bool> NextAsync(PeriodicTimer timer)
    {
        try
        {
            return await timer.WaitForNextTickAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
