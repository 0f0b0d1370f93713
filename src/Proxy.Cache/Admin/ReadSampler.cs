using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.Cache.Admin;

/// <summary>Takes every read of a small set of blocks off the hot path, for <see cref="GhostCache"/> (SHARDS: Waldspurger et al., FAST 2015).</summary>
/// <remarks>
/// Blocks are chosen by a hash, so that a chosen block's every read is seen. Readers only compare a hash and, for the chosen, write one slot; they never
/// wait, and when the slots are taken they look no further until the next drain: a busy server pays for <see cref="MostReads"/> a second, however many
/// it serves. Any number of readers, one drainer, which lowers the threshold as more blocks are in use.
/// </remarks>
internal sealed class ReadSampler
{
    /// <summary>Reads taken between two drains.</summary>
    /// <value>16,384: at a drain a second 2 ms of CPU or less (bench/results/console-cost).</value>
    public const int MostReads = 1 << 14;

    private const int LengthUnit = 4096;

    // Blocks of one read that are looked at: a read of a gigabyte must not cost a thousand tests.
    private const int MostBlocks = 64;

    private readonly long[] _slots = new long[MostReads];
    private readonly StripedCounter _reads = new();
    private int _taken;
    private bool _isFull;
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
        for (var looked = 0; at < span.End && looked < MostBlocks && !Volatile.Read(ref _isFull); looked++)
        {
            var place = layout.BlockAt(at);
            Observe(place.Id, place.Length);
            at = place.End;
        }
    }

    public void Observe(in BlockId id, int length)
    {
        if (Volatile.Read(ref _isFull))
        {
            return;
        }

        _reads.Increment();
        var hash = (id.Content.Low ^ id.Content.High ^ ((ulong)(uint)id.Number * 0x9E3779B97F4A7C15)) * 0xD6E8FEB86659FD93;
        if ((uint)(hash >> 32) > Threshold)
        {
            return;
        }

        var slot = Interlocked.Increment(ref _taken) - 1;
        if (slot >= MostReads)
        {
            Volatile.Write(ref _isFull, true);
            return;
        }

        // 44 bits tell the block, 20 its length in 4 KiB. Never 0, which is an empty slot.
        var units = Math.Clamp((length + LengthUnit - 1) / LengthUnit, 1, (1 << 20) - 1);
        Volatile.Write(ref _slots[slot], (long)((hash >> 20 << 20) | (uint)units));
    }

    /// <summary>Hands over what was taken since the last call, oldest first.</summary>
    /// <param name="reads">Block reads there were since then, chosen or not, up to the one that found no slot.</param>
    /// <returns>Whether there was room for all that were chosen.</returns>
    /// <remarks>What is read while this runs may be lost to the estimate: milliseconds of a second.</remarks>
    public bool Drain(Action<ulong, long> visit, out long reads)
    {
        var all = _reads.Value;
        var taken = Volatile.Read(ref _taken);
        for (var at = 0; at < Math.Min(taken, MostReads); at++)
        {
            var value = (ulong)Interlocked.Exchange(ref _slots[at], 0);
            if (value != 0)
            {
                visit(value >> 20, (long)(value & ((1 << 20) - 1)) * LengthUnit);
            }
        }

        reads = all - _readsDrained;
        _readsDrained = all;
        Volatile.Write(ref _taken, 0);
        Volatile.Write(ref _isFull, false);
        return taken <= MostReads;
    }

    /// <summary>The part of a block's 44 bits that is compared with <see cref="Threshold"/>.</summary>
    public static uint Print(ulong block) => (uint)(block >> 12);
}
