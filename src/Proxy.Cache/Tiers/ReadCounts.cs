using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>Roughly how often a block was read in part of late: one byte per hash, halved as time goes by. Lossy by design; any thread.</summary>
internal sealed class ReadCounts
{
    private const int Slots = 1 << 16;
    private const int Repeated = 4;
    private readonly byte[] _counts = new byte[Slots];
    private int _sinceAging;

    /// <summary>Counts one read; true from the fourth on.</summary>
    public bool IsRepeated(in BlockId id)
    {
        if (Interlocked.Increment(ref _sinceAging) >= Slots)
        {
            Age();
        }

        ref var count = ref _counts[(uint)id.GetHashCode() % Slots];
        if (count < byte.MaxValue)
        {
            count++;
        }

        return count >= Repeated;
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
