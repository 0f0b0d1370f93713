using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>Roughly how much of a block was read in parts of late: one byte per hash, halved as time goes by. Lossy by design; any thread.</summary>
/// <remarks>
/// Reading the whole block into memory pays when its parts are wanted again and again. Doing so only once as much has been read in parts as
/// the block is long bounds the cost of being wrong at twice the bytes, however far the working set is beyond memory.
/// </remarks>
internal sealed class ReadCounts
{
    private const int Slots = 1 << 16;

    /// <summary>A block's length in counts: parts are counted in 128ths of it, a smaller one as one.</summary>
    private const int Whole = 128;

    private readonly byte[] _counts = new byte[Slots];
    private int _sinceAging;

    /// <summary>Counts one read of <paramref name="length"/> bytes.</summary>
    /// <returns>True, and counts anew from there, when the parts add up to the <paramref name="whole"/> block.</returns>
    public bool IsWorthWhole(in BlockId id, int length, int whole)
    {
        if (Interlocked.Increment(ref _sinceAging) >= Slots)
        {
            Age();
        }

        ref var count = ref _counts[(uint)id.GetHashCode() % Slots];
        var sum = count + (int)Math.Max(1, (long)length * Whole / whole);
        count = sum >= Whole ? (byte)0 : (byte)sum;
        return sum >= Whole;
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
