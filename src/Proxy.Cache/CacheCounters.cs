using Proxy.Cache.Policy;

namespace Proxy.Cache;

/// <summary>The cache's counters. Plain numbers, added to without locks; <see cref="ObjectCache.Snapshot"/> reads them.</summary>
internal sealed class CacheCounters
{
    private static readonly int Outcomes = Enum.GetValues<CacheOutcome>().Length;
    private static readonly int Kinds = Enum.GetValues<MilvusKind>().Length;

    private readonly long[] _requests = new long[Outcomes * Kinds];
    private readonly long[] _heads = new long[Outcomes * Kinds];
    private readonly long[] _bytes = new long[Outcomes * Kinds];
    private readonly long[] _served = new long[3 * Kinds];

    public long MissUnknown;
    public long MissExpired;
    public long MissEvicted;
    public long FillsStarted;
    public long FillsJoined;
    public long FillsRetried;
    public long FillsFailed;
    public long FillsCancelled;
    public long FillsSuperseded;
    public long PassedThrough;
    public long PassRefused;
    public long BackendBytes;
    public long AskedBytes;
    public long CapturesKept;
    public long CapturesDropped;
    public long CapturesAbandoned;
    public long CapturesRefused;
    public long CaptureWaitTicks;
    public long CapturedLayouts;
    public long Revalidations;
    public long RevalidationsUnchanged;
    public long Invalidations;
    public long FirstReadHits;
    public long FirstReadMisses;
    public long OpenReads;
    public long SiblingsAhead;
    public long SiblingsAheadUsed;
    public long RangesAhead;
    public long RangesAheadUsed;
    public long AheadRefused;

    /// <summary>The one place where an answered read is counted; the X-Cache header is the same value.</summary>
    public void Count(CacheOutcome outcome, MilvusKind kind, bool head)
    {
        var at = ((int)outcome * Kinds) + (int)kind;
        Interlocked.Increment(ref _requests[at]);
        if (head)
        {
            Interlocked.Increment(ref _heads[at]);
        }
    }

    public void CountBytes(CacheOutcome outcome, MilvusKind kind, long memory, long nvme, long backend)
    {
        var sum = memory + nvme + backend;
        if (sum > 0)
        {
            Interlocked.Add(ref _bytes[((int)outcome * Kinds) + (int)kind], sum);
            Add(ref _served[(int)kind], memory);
            Add(ref _served[Kinds + (int)kind], nvme);
            Add(ref _served[(2 * Kinds) + (int)kind], backend);
        }
    }

    /// <summary>Counts why a read that found no (or not every) byte cached did not.</summary>
    public void CountMiss(MissReason reason)
    {
        switch (reason)
        {
            case MissReason.Unknown:
                Interlocked.Increment(ref MissUnknown);
                break;
            case MissReason.Expired:
                Interlocked.Increment(ref MissExpired);
                break;
            default:
                Interlocked.Increment(ref MissEvicted);
                break;
        }
    }

    /// <summary>Bytes handed out so far of each kind.</summary>
    public IReadOnlyList<KindBytes> Served() =>
        [.. Enum.GetValues<MilvusKind>().Select(kind => new KindBytes(kind, Of(0, kind), Of(1, kind), Of(2, kind))).Where(of => of.Memory + of.Nvme + of.Backend > 0)];

    public IReadOnlyList<ReadCount> Reads()
    {
        var reads = new List<ReadCount>();
        for (var at = 0; at < _requests.Length; at++)
        {
            if (Interlocked.Read(ref _requests[at]) is > 0 and var requests)
            {
                reads.Add(new ReadCount((CacheOutcome)(at / Kinds), (MilvusKind)(at % Kinds), requests, Interlocked.Read(ref _heads[at]), Interlocked.Read(ref _bytes[at])));
            }
        }

        return reads;
    }

    public MissCount Misses() => new(MissUnknown, MissExpired, MissEvicted);

    public FillCount Fills(long bytesInFlight) => new(
        FillsStarted, FillsJoined, FillsRetried, FillsFailed, FillsCancelled, FillsSuperseded, PassedThrough, PassRefused, BackendBytes, AskedBytes, bytesInFlight);

    public CaptureCount Captures(long bytesHeld, int uploads) => new(
        CapturesKept, CapturesDropped, CapturesAbandoned, CapturesRefused, CapturedLayouts, bytesHeld, uploads, TimeSpan.FromTicks(Interlocked.Read(ref CaptureWaitTicks)));

    private long Of(int tier, MilvusKind kind) => Interlocked.Read(ref _served[(tier * Kinds) + (int)kind]);

    private static void Add(ref long counter, long value)
    {
        if (value != 0)
        {
            Interlocked.Add(ref counter, value);
        }
    }
}

/// <summary>Why a read was a miss, in whole or in part.</summary>
internal enum MissReason
{
    /// <summary>The version was known, but (some of) its blocks were not held.</summary>
    Evicted,

    /// <summary>The key was not in the catalog.</summary>
    Unknown,

    /// <summary>The backend had another version than the catalog.</summary>
    Expired,
}
