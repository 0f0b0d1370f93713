using System.Runtime.InteropServices;

namespace Proxy.Cache.Invalidation;

/// <summary>A number per key that every mutation raises: what was asked of the backend under an older number is not published.</summary>
/// <remarks>
/// Keys share a million counters by hash, so memory is bounded (4 MiB, resident as far as keys were changed), and two keys on one counter cost each other what was
/// just written, never a stale byte: of 32 uploads at once that is one burst in two thousand. Thread-safe: a number is raised, and compared-then-published, under
/// the counter's gate.
/// </remarks>
internal sealed class Generations
{
    private const int Stripes = 1 << 20;
    private const int Gates = 1 << 8;
    private const int Suspects = 1 << 16;
    private const int SuspectBuckets = 1 << 10;
    private const int KnownPlace = 1 << 30;
    private const long Never = -1;

    private readonly uint[] _numbers = new uint[Stripes];
    private readonly long[] _suspectUntil = new long[Suspects];
    private readonly long[] _bucketSuspectUntil = new long[SuspectBuckets];
    private readonly Lock[] _gates = new Lock[Gates];

    // Of each gate: how many writes are on their way under a counter.
    private readonly Dictionary<int, int>[] _writing = new Dictionary<int, int>[Gates];
    private long _anySuspectUntil;

    public Generations()
    {
        for (var i = 0; i < Gates; i++)
        {
            (_gates[i], _writing[i]) = (new Lock(), []);
        }
    }

    /// <summary>The counter of a key.</summary>
    public static int StripeOf(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
        => (int)((uint)HashCode.Combine(string.GetHashCode(bucket, StringComparison.Ordinal), string.GetHashCode(key, StringComparison.Ordinal)) % Stripes);

    /// <summary>To be taken before the request leaves: a write landing while the backend answers must count as newer.</summary>
    public GenerationToken Take(int stripe) => new(stripe, Volatile.Read(ref _numbers[stripe]));

    public bool Holds(in GenerationToken token) => Volatile.Read(ref _numbers[token.Stripe]) == token.Number;

    /// <summary>What must not interleave with a raise of this key happens under this; short, and never across an await.</summary>
    public Lock Gate(int stripe) => _gates[stripe % Gates];

    /// <summary>The caller holds <see cref="Gate"/>.</summary>
    public GenerationToken Raise_NeedsLock(int stripe) => new(stripe, ++_numbers[stripe]);

    /// <summary>Raises for a write that is about to leave. The caller holds <see cref="Gate"/>, and ends it by <see cref="EndWrite"/>.</summary>
    /// <returns>
    /// What holds as long as nobody else touches the key; or never, when another write is on its way already: which of them the backend applies last cannot be told from
    /// the order of its answers.
    /// </returns>
    public GenerationToken BeginWrite_NeedsLock(int stripe)
    {
        ref var writing = ref CollectionsMarshal.GetValueRefOrAddDefault(_writing[stripe % Gates], stripe, out _);
        var token = Raise_NeedsLock(stripe);
        return ++writing == 1 ? token : token with { Number = Never };
    }

    /// <summary>The write's outcome is known, or given up on.</summary>
    public void EndWrite(int stripe)
    {
        lock (Gate(stripe))
        {
            var writing = _writing[stripe % Gates];
            if (--CollectionsMarshal.GetValueRefOrNullRef(writing, stripe) == 0)
            {
                writing.Remove(stripe);
            }
        }
    }

    /// <summary>Raises every number: nothing that was asked before this is published. Some milliseconds: for changes of keys that nobody names.</summary>
    public void RaiseAll()
    {
        for (var gate = 0; gate < Gates; gate++)
        {
            lock (Gate(gate))
            {
                for (var stripe = gate; stripe < Stripes; stripe += Gates)
                {
                    Raise_NeedsLock(stripe);
                }
            }
        }
    }

    /// <summary>The outcome of a change is unknown, and it may land late: until then nothing under this counter is taken on trust.</summary>
    /// <param name="until">In ticks of the clock that entries are validated by.</param>
    public void Suspect(int stripe, long until) => Suspect(ref _suspectUntil[stripe % Suspects], until);

    /// <summary>Same for every key of a bucket.</summary>
    public void SuspectBucket(ReadOnlySpan<char> bucket, long until) => Suspect(ref _bucketSuspectUntil[StripeOf(bucket, "") % SuspectBuckets], until);

    /// <summary>Where suspicions about a key and its bucket are noted: to be found once and kept. Never 0.</summary>
    public static int SuspectPlaceOf(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key)
        => KnownPlace | (StripeOf(bucket, "") % SuspectBuckets * Suspects) | (StripeOf(bucket, key) % Suspects);

    private void Suspect(ref long suspectUntil, long until)
    {
        Volatile.Write(ref suspectUntil, until);
        if (until > Volatile.Read(ref _anySuspectUntil))
        {
            Volatile.Write(ref _anySuspectUntil, until);
        }
    }

    /// <summary>Whether a change may have landed since the backend last confirmed the key; also when the time for that is over: it may have landed at its end.</summary>
    /// <param name="place">By <see cref="SuspectPlaceOf"/>.</param>
    public bool IsSuspect(int place, long validatedAt)
        => validatedAt < Volatile.Read(ref _bucketSuspectUntil[place / Suspects % SuspectBuckets]) || validatedAt < Volatile.Read(ref _suspectUntil[place % Suspects]);

    /// <summary>Whether that is so of any key at all: to be asked first. After the first unknown outcome it is so of all that was confirmed before, for good.</summary>
    public bool IsAnySuspect(long validatedAt) => validatedAt < Volatile.Read(ref _anySuspectUntil);
}

/// <summary>A generation as it was at one moment.</summary>
internal readonly record struct GenerationToken(int Stripe, long Number);
