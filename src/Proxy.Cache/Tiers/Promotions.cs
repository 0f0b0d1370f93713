using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>When a block on NVMe that is read in parts comes to memory whole: once as much of it was read in parts as has paid off of late.</summary>
/// <remarks>
/// <para>
/// Reading all of a block for a part of it pays when other parts are then found in memory. How much was read of a block is one count per hash, halved as time goes by: lossy
/// by design.
/// </para>
/// <para>
/// Asked for is the block's own length at first, which bounds the cost of being wrong at twice the bytes. Where the working set is far beyond memory it always is wrong: half of what the
/// disk gives went there. So blocks that leave memory without having saved the disk what they cost it double what is asked for, up to <see cref="MaxDemand"/>; those that
/// saved it twice as much halve it again. Blocks that stay do not vote: they are no reason to bring colder ones.
/// </para>
/// Any thread.
/// </remarks>
internal sealed class Promotions
{
    /// <summary>How often a block's length must have been read in parts, at most: no more than an eighth of the bytes can be wasted then, and a new hot set still comes up within minutes.</summary>
    public const int MaxDemand = 8;

    /// <summary>Blocks that leave memory between two decisions.</summary>
    public const int Jury = 16;

    private const int Slots = 1 << 16;

    /// <summary>A block's length in counts: parts are counted in 128ths of it, a smaller one as one.</summary>
    private const int Whole = 128;

    private readonly ushort[] _counts = new ushort[Slots];
    private readonly Lock _lock = new();
    private int _sinceAging;
    private volatile int _demand = 1;
    private int _gone;
    private long _costBytes;
    private long _savedBytes;

    /// <summary>How often a block's length is to be read in parts before the block is read whole; 1 … <see cref="MaxDemand"/>.</summary>
    public int Demand => _demand;

    /// <summary>Counts one read of <paramref name="length"/> bytes.</summary>
    /// <returns>True, and counts anew from there, when the parts add up to enough of the <paramref name="whole"/> block.</returns>
    public bool IsDue(in BlockId id, int length, int whole)
    {
        if (Interlocked.Increment(ref _sinceAging) >= Slots)
        {
            Age();
        }

        ref var count = ref _counts[(uint)id.GetHashCode() % Slots];
        var sum = count + (int)Math.Max(1, (long)length * Whole / whole);
        var isDue = sum >= Whole * _demand;
        count = (ushort)(isDue ? 0 : Math.Min(sum, ushort.MaxValue));
        return isDue;
    }

    /// <summary>A block that had been brought whole for a part of it left memory to make room.</summary>
    /// <param name="whole">Its length.</param>
    /// <param name="part">What was asked for when it was brought.</param>
    /// <param name="hits">How often it was read in memory; each is taken to be as long as that part.</param>
    public void Left(int whole, int part, int hits)
    {
        lock (_lock)
        {
            _costBytes += whole - part;
            _savedBytes += (long)part * hits;
            if (++_gone < Jury)
            {
                return;
            }

            if (_savedBytes < _costBytes)
            {
                _demand = Math.Min(_demand * 2, MaxDemand);
            }
            else if (_savedBytes >= 2 * _costBytes)
            {
                _demand = Math.Max(_demand / 2, 1);
            }

            (_gone, _costBytes, _savedBytes) = (0, 0, 0);
        }
    }

    private void Age()
    {
        Volatile.Write(ref _sinceAging, 0);
        for (var i = 0; i < _counts.Length; i++)
        {
            _counts[i] >>= 1;
        }
    }
}
