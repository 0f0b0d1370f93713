using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>In which tiers the bytes of a version lie now, without touching them. A look, no promise.</summary>
internal static class Whereabouts
{
    private const int MostBlocks = 4096;

    /// <summary>Whether any of a span is in memory, on NVMe, in neither; no further than it takes to know that it is in part.</summary>
    public static (bool Memory, bool Nvme, bool Missing) Of(TierStack tiers, ObjectLayout layout, ByteSpan span)
    {
        bool memory = false, nvme = false, missing = false;
        var looked = 0;
        for (var at = span.Offset; at < span.End && looked < MostBlocks && !(missing && (memory || nvme)); looked++)
        {
            var place = layout.BlockAt(at);
            if (tiers.Contains(place.Id, out var tier))
            {
                memory |= tier == Tier.Memory;
                nvme |= tier == Tier.Nvme;
                at = place.End;
                continue;
            }

            var granule = layout.GranuleAt(at);
            var here = tiers.Contains(granule.Id, out _);
            memory |= here;
            missing |= !here;
            at = here ? granule.End : place.End;
        }

        return (memory, nvme, missing);
    }

    /// <summary>Bytes of a whole version in each tier, by whole blocks. Asks about every one of them: for operators.</summary>
    public static (long Memory, long Nvme) BytesOf(TierStack tiers, CatalogEntry entry)
    {
        long memory = 0, nvme = 0;
        for (long at = 0; at < entry.Size;)
        {
            var place = entry.Layout.BlockAt(at);
            tiers.Contains(place.Id, out var tier);
            memory += tier == Tier.Memory ? place.Length : 0;
            nvme += tier == Tier.Nvme ? place.Length : 0;
            at = place.End;
        }

        return (memory, nvme);
    }
}
