using System.Numerics;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>How log addresses, which only grow, lie in one file used as a ring of segments: slot = segment mod slots.</summary>
internal sealed class RingGeometry
{
    /// <summary>Fewer segments leave no room for writers, cleaner and readers at once.</summary>
    public const int MinSlots = 8;

    private const int MaxPageBits = 22;
    private const long BufferBytes = 32L << 20;
    private const int MinBufferedPages = 4;
    private const int MaxBufferedPages = 8;
    private const int MaxSegmentBits = 28;
    private volatile int _slots;

    public RingGeometry(int pageBits, int segmentBits, int configuredSlots, int slots)
    {
        PageBits = pageBits;
        SegmentBits = segmentBits;
        ConfiguredSlots = configuredSlots;
        _slots = slots;
    }

    /// <summary>Pages are what the log writes at once; a record lies in one or in two.</summary>
    public int PageBits { get; }

    /// <summary>Segments are what is evicted at once.</summary>
    public int SegmentBits { get; }

    public int ConfiguredSlots { get; }

    /// <summary>Less than configured when the disk turned out too small.</summary>
    public int Slots => _slots;

    public long PageBytes => 1L << PageBits;

    public long SegmentBytes => 1L << SegmentBits;

    public long CapacityBytes => (long)_slots << SegmentBits;

    /// <summary>Pages of the log's own memory, outside the block pool: 32 MiB, or four pages when blocks larger than the default make them larger.</summary>
    public int BufferedPages => (int)Math.Clamp(BufferBytes >> PageBits, MinBufferedPages, MaxBufferedPages);

    /// <summary>About 500 pages and 64 segments, within 4 MiB pages (records are cut at their ends, so small ones cost no space) and 256 MiB segments.</summary>
    public static RingGeometry For(long capacityBytes, int maxBlockBytes)
    {
        var minPageBits = Log2Up((ulong)RecordLayout.RecordBytes(maxBlockBytes) + RecordLayout.LogHeaderBytes + 64);
        var pageBits = Math.Max(minPageBits, Math.Min(MaxPageBits, BitOperations.Log2((ulong)capacityBytes / 512)));
        var segmentBits = Math.Max(pageBits, Math.Min(MaxSegmentBits, BitOperations.Log2((ulong)capacityBytes / 64)));
        var slots = (int)Math.Max(MinSlots, capacityBytes >> segmentBits);
        return new RingGeometry(pageBits, segmentBits, slots, slots);
    }

    public long SegmentOf(long address) => address >> SegmentBits;

    public long AddressOf(long segment) => segment << SegmentBits;

    public long FileOffsetOf(long address) => (SegmentOf(address) % _slots * SegmentBytes) + (address & (SegmentBytes - 1));

    /// <summary>Only while no address beyond <paramref name="slots"/> segments was ever used: until then both rings put everything at the same place.</summary>
    public void Shrink(int slots) => _slots = slots;

    private static int Log2Up(ulong value) => BitOperations.Log2(BitOperations.RoundUpToPowerOf2(value));
}
