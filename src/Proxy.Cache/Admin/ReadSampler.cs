using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.Cache.Admin;

/// <summary>Takes every read of a small set of blocks off the hot path, for <see cref="GhostCache"/> (SHARDS: Waldspurger et al., FAST 2015).</summary>
/// <remarks>
/// Blocks are chosen by a hash, so that a chosen block's every read is seen. Readers only compare a hash and, for the chosen, write one slot of a ring;
/// they never wait. Who drains too late loses the oldest. Any number of readers, one drainer, which lowers the threshold as more blocks are in use.
/// </remarks>
internal sealed class ReadSampler
{
    private const int Slots = 1 << 16;
    private const int LengthUnit = 4096;

    // Blocks of one read that are looked at: a read of a gigabyte must not cost a thousand tests.
    private const int MostBlocks = 64;

    private readonly long[] _ring = new long[Slots];
    private long _written;
    private readonly StripedCounter _reads = new();
    private long _drained;
    private long _readsDrained;
    private uint _threshold = uint.MaxValue;

    /// <summary>Blocks whose <see cref="Print"/> is above are not looked at.</summary>
    public uint Threshold
    {
        get => Volatile.Read(ref _threshold);
        set => Volatile.Write(ref _threshold, value);
    }

    public void Observe(ObjectLayout layout, ByteSpan span)
    {
        var at = span.Offset;
        for (var looked = 0; at < span.End && looked < MostBlocks; looked++)
        {
            var place = layout.BlockAt(at);
            Observe(place.Id, place.Length);
            at = place.End;
        }
    }

    public void Observe(in BlockId id, int length)
    {
        _reads.Increment();
        var hash = (id.Content.Low ^ id.Content.High ^ ((ulong)(uint)id.Number * 0x9E3779B97F4A7C15)) * 0xD6E8FEB86659FD93;
        if ((uint)(hash >> 32) > Threshold)
        {
            return;
        }

        // 44 bits tell the block, 20 its length in 4 KiB. Never 0, which is an empty slot.
        var units = Math.Clamp((length + LengthUnit - 1) / LengthUnit, 1, (1 << 20) - 1);
        var value = (long)((hash >> 20 << 20) | (uint)units);
        var slot = Interlocked.Increment(ref _written) - 1;
        Volatile.Write(ref _ring[slot & (Slots - 1)], value);
    }

    /// <summary>Hands over what was taken since the last call, oldest first.</summary>
    /// <returns>Block reads there were since then, chosen or not; less the share that was lost.</returns>
    public long Drain(Action<ulong, long> visit)
    {
        var reads = _reads.Value;
        var end = Volatile.Read(ref _written);
        var (taken, lost) = (end - _drained, Math.Max(0, end - Slots - _drained));
        for (var at = Math.Max(_drained, end - Slots); at < end; at++)
        {
            var value = (ulong)Interlocked.Exchange(ref _ring[at & (Slots - 1)], 0);
            if (value != 0)
            {
                visit(value >> 20, (long)(value & ((1 << 20) - 1)) * LengthUnit);
            }
        }

        _drained = end;
        var all = reads - _readsDrained;
        _readsDrained = reads;
        return taken == 0 ? all : (long)((double)all * (taken - lost) / taken);
    }

    /// <summary>The part of a block's 44 bits that is compared with <see cref="Threshold"/>.</summary>
    public static uint Print(ulong block) => (uint)(block >> 12);
}
