using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.S3.Objects;

namespace Proxy.Cache.Fills;

/// <summary>What to ask the backend for when a read misses: whole blocks where at least half of one is wanted, granules of 64 KiB elsewhere.</summary>
/// <remarks>So a fetch is at most twice what was asked for, plus the granules that its two ends lie in. Pure arithmetic.</remarks>
internal static class FillPlan
{
    private const int Granule = ObjectLayout.GranuleBytes;

    /// <summary>The range to fetch for a read of <paramref name="wanted"/> in a known object.</summary>
    /// <param name="wholeBlocks">Asked for each end that would be cut to granules: the block was touched before, so bring all of it.</param>
    public static ByteSpan Around(ObjectLayout layout, ByteSpan wanted, int maxBytes, Func<BlockId, bool> wholeBlocks)
    {
        var first = layout.BlockAt(wanted.Offset);
        var wholeFirst = Math.Min(wanted.End, first.End) - wanted.Offset >= (first.Length + 1) / 2 || wholeBlocks(first.Id);
        var from = wholeFirst ? first.Start : layout.GranuleAt(wanted.Offset).Start;
        // A reader of a gigabyte is served a window at a time; the last block of the window is whole.
        var end = Math.Min(wanted.End, from + maxBytes);
        var last = layout.BlockAt(end - 1);
        var wholeLast = last.Id == first.Id ? wholeFirst : end - last.Start >= (last.Length + 1) / 2 || wholeBlocks(last.Id);
        var to = wholeLast ? last.End : layout.GranuleAt(end - 1).End;
        return new ByteSpan(from, to - from);
    }

    /// <summary>The range to ask for when nothing is known of the object, not even its size. Null: ask by HEAD first.</summary>
    public static ByteRange? Cold(ByteRange? wanted, int blockSize, int maxBytes)
    {
        switch (wanted)
        {
            case null:
                return ByteRange.FromTo(0, maxBytes - 1);
            case { First: { } first }:
                var last = wanted.Value.Last ?? long.MaxValue;
                if (last < first || first > long.MaxValue - maxBytes - blockSize)
                {
                    return null;
                }

                var firstStart = first / blockSize * blockSize;
                var from = Math.Min(last, firstStart + blockSize - 1) - first + 1 >= blockSize / 2 ? firstStart : first / Granule * Granule;
                last = Math.Min(last, from + maxBytes - 1);
                var lastStart = last / blockSize * blockSize;
                var to = last - Math.Max(first, lastStart) + 1 >= blockSize / 2 ? lastStart + blockSize : ((last / Granule) + 1) * Granule;
                return ByteRange.FromTo(from, to - 1);
            case { Last: { } suffix }:
                // One unit more than asked, because where the object ends within its last unit is not known yet.
                return suffix > 0 && suffix <= maxBytes - blockSize ? ByteRange.Suffix(suffix + (suffix < blockSize / 2 ? Granule : blockSize)) : null;
            default:
                return null;
        }
    }

    /// <summary>The blocks and granules that lie wholly inside <paramref name="span"/>, in order and without gaps; what precedes the first is left out.</summary>
    public static List<BlockPlace> Units(ObjectLayout layout, ByteSpan span)
    {
        var units = new List<BlockPlace>();
        var at = span.Offset;
        while (at < span.End)
        {
            var block = layout.BlockAt(at);
            if (block.Start == at && block.End <= span.End)
            {
                units.Add(block);
                at = block.End;
                continue;
            }

            var granule = layout.GranuleAt(at);
            if (granule.End > span.End)
            {
                break;
            }

            if (granule.Start == at)
            {
                units.Add(granule);
            }

            at = granule.End;
        }

        return units;
    }
}
