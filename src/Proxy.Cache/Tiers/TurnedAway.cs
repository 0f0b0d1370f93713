using System.Numerics;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>Blocks that reads brought and NVMe did not take, remembered for half as long as it would have kept them: who comes again in that time is let in.</summary>
/// <remarks>
/// What memory remembers of its own reaches as far as memory does, and NVMe is ten or a hundred times as large: of a full ring, all that is wanted again only after more than
/// twice what memory holds would be turned away for ever, and the ring would keep what it was first filled with. Half as long: remembered for all of it, a working set that never
/// changes loses a point of hits and wears the disk by half as much again (bench/results/hit-ratio).
/// Six bytes for each block that the tier could hold: part of a hash, and the bytes turned away until then. Sets of eight, the oldest gives way: lossy by design.
/// Any thread, no lock: what a race loses is one block that is let in a time later.
/// </remarks>
/// <param name="capacityBytes">Of the tier, now.</param>
/// <param name="blockBytes">Of a usual block.</param>
internal sealed class TurnedAway(Func<long> capacityBytes, int blockBytes)
{
    private const int WaysPerSet = 8;
    private const int MinBlocks = 1 << 10;

    /// <summary>32 MiB of memory, for 5 TiB in blocks of 1 MiB. A larger tier is remembered in part.</summary>
    private const int MaxBlocks = 1 << 22;

    /// <summary>Of the tier's length, how long is remembered.</summary>
    private const int Part = 2;

    /// <summary>In which bytes are counted, so that 32 bits suffice for 256 TiB before a count comes round.</summary>
    private const int UnitBytes = 64 << 10;

    // Made by the first block that a full ring turns away.
    private ulong[]? _sets;
    private long _units = 1;

    /// <summary>Remembers a block that is turned away now.</summary>
    /// <returns>True, and remembers it no longer, when it was turned away before, less than half the tier's length ago.</returns>
    public bool ComesAgain(in BlockId id, int bytes)
    {
        var capacity = capacityBytes();
        var sets = _sets ?? Make(capacity);
        var hash = ((id.Content.High ^ BitOperations.RotateLeft(id.Content.Low, 32)) + ((ulong)(uint)id.Number * 0x9E3779B97F4A7C15)) * 0xD6E8FEB86659FD93;
        var set = sets.AsSpan((int)((hash >> 32) % (ulong)(sets.Length / WaysPerSet)) * WaysPerSet, WaysPerSet);
        var now = (uint)Interlocked.Add(ref _units, Math.Max(1, (bytes + (UnitBytes / 2)) / UnitBytes));
        var limit = (uint)Math.Min(int.MaxValue, capacity / Part / UnitBytes);
        var (tag, oldest, oldestAge) = ((uint)hash, 0, -1L);
        for (var way = 0; way < WaysPerSet; way++)
        {
            var seen = Volatile.Read(ref set[way]);
            var age = seen == 0 ? long.MaxValue : now - (uint)seen;
            if (seen != 0 && (uint)(seen >> 32) == tag)
            {
                // Also when that is too long ago: one entry a block.
                Volatile.Write(ref set[way], age <= limit ? 0 : ((ulong)tag << 32) | now);
                return age <= limit;
            }

            if (age > oldestAge)
            {
                (oldest, oldestAge) = (way, age);
            }
        }

        Volatile.Write(ref set[oldest], ((ulong)tag << 32) | now);
        return false;
    }

    private ulong[] Make(long capacity)
    {
        // Half as much again: what falls into a full set is lost.
        var blocks = Math.Clamp(capacity / Part / blockBytes * 3 / 2, MinBlocks, MaxBlocks);
        var made = new ulong[blocks / WaysPerSet * WaysPerSet];
        return Interlocked.CompareExchange(ref _sets, made, null) ?? made;
    }
}
