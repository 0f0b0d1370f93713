namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Where a record's pieces lie, which follows from its address and length alone.</summary>
/// <remarks>
/// A record that does not fit in the rest of its page is cut after the last chunk that does; the other chunks open the next page, unless a
/// new segment starts there. So a page of 4 MiB loses 16 KiB on average and not half a block.
/// </remarks>
internal readonly struct RecordPlace
{
    private const int Heads = RecordLayout.LogHeaderBytes + RecordLayout.HeaderBytes;
    private readonly long _address;
    private readonly long _rest;
    private readonly int _length;

    public RecordPlace(RingGeometry geometry, long address, int length)
    {
        _address = address;
        _length = length;
        _rest = (address + geometry.PageBytes) & -geometry.PageBytes;
        var chunks = RecordLayout.Chunks(length);
        FirstChunks = address + Heads + RecordBytesOf(length) <= _rest ? chunks : (int)Math.Max(0, (_rest - address - Heads) / RecordLayout.Stride);
    }

    /// <summary>Chunks in the page where the record begins; the others are in the next one.</summary>
    public int FirstChunks { get; }

    public bool IsSplit => FirstChunks < RecordLayout.Chunks(_length);

    /// <summary>Start of the page that holds the other chunks.</summary>
    public long RestAddress => _rest;

    /// <summary>First address behind the record.</summary>
    public long End => IsSplit
        ? _rest + RecordLayout.LogHeaderBytes + RecordBytesOf(_length - (FirstChunks * RecordLayout.ChunkBytes))
        : _address + Heads + RecordBytesOf(_length);

    /// <summary>Address of a chunk's first byte.</summary>
    public long ChunkAddress(int chunk) => chunk < FirstChunks
        ? _address + Heads + ((long)chunk * RecordLayout.Stride)
        : _rest + RecordLayout.LogHeaderBytes + ((long)(chunk - FirstChunks) * RecordLayout.Stride);

    /// <summary>First address behind a chunk and its checksum.</summary>
    public long ChunkEnd(int chunk) => ChunkAddress(chunk) + Math.Min(RecordLayout.ChunkBytes, _length - (chunk * RecordLayout.ChunkBytes)) + RecordLayout.ChecksumBytes;

    /// <summary>The place that a record gets when the log's tail is at <paramref name="tail"/>: there in one piece or two, or whole in the next page.</summary>
    public static long AddressFor(RingGeometry geometry, long tail, int length)
    {
        var place = new RecordPlace(geometry, tail, length);
        return place.IsSplit && (place.FirstChunks == 0 || (place.RestAddress & (geometry.SegmentBytes - 1)) == 0) ? place.RestAddress : tail;
    }

    private static int RecordBytesOf(int length) => length + (RecordLayout.ChecksumBytes * RecordLayout.Chunks(length));
}
