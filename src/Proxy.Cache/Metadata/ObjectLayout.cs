using System.Collections.Immutable;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Metadata;

/// <summary>A stretch of an object whose blocks carry one content id: the whole object, or a captured part.</summary>
/// <param name="Offset">Of its first byte in the object.</param>
internal readonly record struct Extent(long Offset, long Length, ContentId Content);

/// <summary>One block (or granule) as a place in its object.</summary>
/// <param name="Start">Offset of its first byte in the object.</param>
internal readonly record struct BlockPlace(BlockId Id, long Start, int Length)
{
    public long End => Start + Length;
}

/// <summary>Where an object's bytes lie among blocks: a list of extents, each cut into blocks from its own start.</summary>
/// <remarks>
/// Parts of a multipart upload keep the blocks they were captured in, whatever their sizes, so completing one copies nothing.
/// The last block of an extent is short. Immutable but for what is noted of its fills, which is read and written atomically: a version keeps its layout
/// for as long as the catalog knows it, whatever else is learned of it.
/// </remarks>
internal sealed class ObjectLayout
{
    /// <summary>The unit of small cold reads: 64 KiB, Arrow's footer probe. Divides every block size.</summary>
    public const int GranuleBytes = 64 << 10;

    private readonly int _blockSize;
    private long _filled;

    private ObjectLayout(ImmutableArray<Extent> extents, long size, int blockSize)
    {
        Extents = extents;
        Size = size;
        _blockSize = blockSize;
    }

    public ImmutableArray<Extent> Extents { get; }

    public long Size { get; }

    public static ObjectLayout Single(in ContentId content, long size, int blockSize) => new([new Extent(0, size, content)], size, blockSize);

    public static ObjectLayout OfParts(IReadOnlyList<(ContentId Content, long Length)> parts, int blockSize)
    {
        var extents = ImmutableArray.CreateBuilder<Extent>(parts.Count);
        long offset = 0;
        foreach (var (content, length) in parts)
        {
            // An empty part has no bytes to find; an extent of length 0 would make the search below ambiguous.
            if (length > 0)
            {
                extents.Add(new Extent(offset, length, content));
                offset += length;
            }
        }

        return new ObjectLayout(extents.DrainToImmutable(), offset, blockSize);
    }

    /// <summary>When bytes of it last came into the tiers, and by what; null when none did since it is known.</summary>
    public FillNote? Filled => FillNote.Of(Volatile.Read(ref _filled));

    /// <param name="at">Null when not known.</param>
    public void NoteFill(Origin by, DateTimeOffset? at)
    {
        long before;
        do
        {
            before = Volatile.Read(ref _filled);
        }
        while (Interlocked.CompareExchange(ref _filled, FillNote.Add(before, by, at), before) != before);
    }

    /// <summary>The block that holds the byte at <paramref name="offset"/>, which lies inside the object.</summary>
    public BlockPlace BlockAt(long offset) => PlaceAt(offset, _blockSize, granules: false);

    /// <summary>The granule that holds the byte at <paramref name="offset"/>.</summary>
    public BlockPlace GranuleAt(long offset) => PlaceAt(offset, GranuleBytes, granules: true);

    private BlockPlace PlaceAt(long offset, int unit, bool granules)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)offset, (ulong)Size, nameof(offset));
        ref readonly var extent = ref Extents.ItemRef(Extents.Length == 1 ? 0 : IndexOf(offset));
        var number = (offset - extent.Offset) / unit;
        var start = number * unit;
        var content = granules ? ContentIds.OfGranules(extent.Content) : extent.Content;
        return new BlockPlace(new BlockId(content, (int)number), extent.Offset + start, (int)Math.Min(unit, extent.Length - start));
    }

    private int IndexOf(long offset)
    {
        int low = 0, high = Extents.Length - 1;
        while (low < high)
        {
            var middle = (low + high + 1) >> 1;
            if (Extents.ItemRef(middle).Offset <= offset)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low;
    }
}
