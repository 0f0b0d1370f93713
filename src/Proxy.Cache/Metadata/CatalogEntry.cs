using Proxy.Cache.Invalidation;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.Cache.Metadata;

/// <summary>What the cache knows of the current version of one key.</summary>
/// <remarks>Immutable but for its freshness, which is read and written atomically. Shared between threads.</remarks>
internal sealed class CatalogEntry
{
    private const long AnyOffset = -1;

    private long _validatedAt;
    private int _trusted;
    private int _checksumsTold;
    private int _unread;
    private int _firstRead;
    private int _suspectPlace;
    private long _reads;
    private long _lastReadTicks;
    private long _readUpTo;
    private long _ahead;

    public required string Bucket { get; init; }

    public required string Key { get; init; }

    public ObjectId Id => new(Bucket, Key);

    /// <summary>Null for an upload whose ETag and size are known but whose headers the backend has not told yet.</summary>
    public ObjectInfo? Info { get; init; }

    /// <summary>As on the wire.</summary>
    public required string ETag { get; init; }

    public long Size => Layout.Size;

    /// <summary>Where its bytes are counted; found by the first read and kept, so that later ones look nothing up.</summary>
    public CollectionTally? Tally { get; set; }

    public required ObjectLayout Layout { get; init; }

    public required KeyPolicy Policy { get; init; }

    /// <summary>When the backend last confirmed it, on <see cref="TimeProvider.GetTimestamp"/>'s clock.</summary>
    public long ValidatedAt
    {
        get => Volatile.Read(ref _validatedAt);
        set => Volatile.Write(ref _validatedAt, value);
    }

    /// <summary>By <see cref="Generations.SuspectPlaceOf"/>; found when it is first needed and kept, so that later reads hash no names.</summary>
    public int SuspectPlace => _suspectPlace is not 0 and var known ? known : _suspectPlace = Generations.SuspectPlaceOf(Bucket, Key);

    /// <summary>False for an entry brought back after a restart that the backend has not confirmed since.</summary>
    public bool Trusted
    {
        get => Volatile.Read(ref _trusted) != 0;
        set => Volatile.Write(ref _trusted, value ? 1 : 0);
    }

    /// <summary>Whether the backend was asked for checksums, so that those in <see cref="Info"/> are all there are. The answer to a GET of a range has none.</summary>
    public bool ChecksumsTold
    {
        get => Volatile.Read(ref _checksumsTold) != 0;
        set => Volatile.Write(ref _checksumsTold, value ? 1 : 0);
    }

    /// <summary>How the cache came to know this version.</summary>
    public Origin Origin { get; init; }

    /// <summary>When, by the wall clock; default when not known.</summary>
    public DateTimeOffset LearnedAt { get; init; }

    /// <summary>GETs answered, roughly: counted without a lock, because a lost one costs nothing and a locked one would cost every hit.</summary>
    public long Reads => Volatile.Read(ref _reads);

    /// <summary><see cref="Environment.TickCount64"/> of the last GET; 0 when there was none since the start.</summary>
    public long LastReadTicks => Volatile.Read(ref _lastReadTicks);

    /// <summary>Whether the first read of what was written through this proxy was a hit; null when not written so, or not read yet.</summary>
    public bool? FirstReadWasHit => Volatile.Read(ref _firstRead) switch { 1 => true, 2 => false, _ => null };

    public void CountRead(long ticks)
    {
        Volatile.Write(ref _reads, _reads + 1);
        Volatile.Write(ref _lastReadTicks, ticks);
    }

    /// <summary>For <see cref="EntryTable"/>'s hand: how many of its rounds it survives. Raced for without a lock; a lost change costs nothing.</summary>
    public int Worth { get; set; }

    /// <summary>Whether <paramref name="span"/> begins where the last read ended; from now on it is the last one.</summary>
    public bool FollowsLastRead(in ByteSpan span)
    {
        var follows = span.Offset > 0 && Volatile.Read(ref _readUpTo) == span.Offset;
        Volatile.Write(ref _readUpTo, span.End);
        return follows;
    }

    /// <summary>Bytes from <paramref name="offset"/> on were asked for before their reader.</summary>
    public void ExpectRead(long offset) => Volatile.Write(ref _ahead, offset + 1);

    /// <summary>All of it was asked for before its reader.</summary>
    public void ExpectAnyRead() => Volatile.Write(ref _ahead, AnyOffset);

    /// <summary>Whether a read from <paramref name="offset"/> is one that was expected. Says so once, to the reader that takes it.</summary>
    public Ahead TakeAhead(long offset)
    {
        var ahead = Volatile.Read(ref _ahead);
        return ahead != 0 && (ahead == AnyOffset || ahead == offset + 1) && Interlocked.CompareExchange(ref _ahead, 0, ahead) == ahead
            ? ahead == AnyOffset ? Ahead.Whole : Ahead.Range
            : Ahead.None;
    }

    public void NoteFirstRead(bool wasHit) => Volatile.Write(ref _firstRead, wasHit ? 1 : 2);

    /// <summary>Published by a write and not read yet. True once, for the reader that takes it.</summary>
    public bool TakeFirstRead() => Volatile.Read(ref _unread) != 0 && Interlocked.Exchange(ref _unread, 0) != 0;

    public void MarkUnread() => Volatile.Write(ref _unread, 1);

    /// <summary>The same version with facts from the backend.</summary>
    public CatalogEntry With(ObjectInfo info, in KeyPolicy policy, long validatedAt) => new()
    {
        Bucket = Bucket,
        Key = Key,
        Info = info,
        ETag = info.ETag,
        Layout = Layout,
        Policy = policy,
        ValidatedAt = validatedAt,
        Trusted = true,
        Origin = Origin,
        LearnedAt = LearnedAt,
        _unread = Volatile.Read(ref _unread),
        _firstRead = Volatile.Read(ref _firstRead),
        _suspectPlace = _suspectPlace,
        _reads = Reads,
        _lastReadTicks = LastReadTicks,
        _ahead = Volatile.Read(ref _ahead),
        Tally = Tally,
    };

    /// <summary>An estimate of what this takes in memory, its strings and its place in the <see cref="EntryTable"/> included.</summary>
    public long CostBytes
    {
        get
        {
            // Entry, layout and array, four strings' heads, and a slot of a table that is three quarters full.
            var cost = 416L + (2 * (Bucket.Length + Key.Length + ETag.Length)) + (32L * Layout.Extents.Length);
            if (Info is { } info)
            {
                cost += 120 + (2 * (info.ContentType?.Length ?? 0)) + CostOf(info.Headers) + CostOf(info.ChecksumHeaders);
            }

            return cost;
        }
    }

    private static long CostOf(IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        long cost = 0;
        foreach (var (name, value) in headers)
        {
            cost += 80 + (2 * (name.Length + value.Length));
        }

        return cost;
    }
}

/// <summary>What of a read had been asked for before it came.</summary>
internal enum Ahead
{
    None,

    /// <summary>The range that follows a sequential reader's last.</summary>
    Range,

    /// <summary>The object, as the sibling of one that was read.</summary>
    Whole,
}
