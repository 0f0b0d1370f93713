using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>One block in a segment's table.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct ContentsEntry(ulong High, ulong Low, int Number, int Length, int Offset, int Reserved)
{
    public BlockId Id => new(new ContentId(High, Low), Number);
}

/// <summary>What lies in which segment: from it the index is rebuilt after a restart, and eviction knows what it throws out.</summary>
/// <remarks>
/// File <c>toc</c>: one place per ring slot; two headers written in turn, then entries that are only appended. A header covers its
/// entries by checksum, so a torn write loses at most what came since the header before. Written only for what is flushed.
/// <see cref="Add"/> from any thread under the caller's append lock; everything else on the upkeep thread.
/// </remarks>
internal sealed class TableOfContents : IDisposable
{
    private const ulong Magic = 0x31434F5454335300;
    private const int HeaderSpacing = 512;
    private const int EntriesOffset = 4096;
    private const uint EntriesSeed = 0xC0C0;
    private readonly RingGeometry _geometry;
    private readonly SafeFileHandle _file;
    private readonly long _placeBytes;
    private readonly int _maxEntries;
    private readonly Lock _lock = new();
    private readonly List<OpenTable> _open = [];

    public TableOfContents(string path, RingGeometry geometry)
    {
        _geometry = geometry;

        // Room for an average of 4 KiB a block; what does not fit is served, but not found after a restart.
        _maxEntries = (int)(geometry.SegmentBytes / 4096);
        _placeBytes = EntriesOffset + ((_maxEntries * (long)Marshal.SizeOf<ContentsEntry>()) + 4095 & ~4095L);
        _file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
    }

    public void Add(in BlockId id, long address, int length)
    {
        var segment = _geometry.SegmentOf(address);
        lock (_lock)
        {
            var table = _open.Count > 0 && _open[^1].Segment == segment ? _open[^1] : null;
            if (table is null)
            {
                _open.Add(table = new OpenTable(segment));
            }

            if (table.Entries.Count < _maxEntries)
            {
                table.Entries.Add(new ContentsEntry(id.Content.High, id.Content.Low, id.Number, length, (int)(address & (_geometry.SegmentBytes - 1)), 0));
            }
        }
    }

    /// <summary>Appends the entries of all blocks that are on disk up to <paramref name="flushed"/>.</summary>
    /// <exception cref="IOException">The device failed; the same entries are tried again next time.</exception>
    public void Save(long flushed)
    {
        OpenTable[] tables;
        lock (_lock)
        {
            tables = [.. _open];
        }

        foreach (var table in tables)
        {
            ContentsEntry[] entries;
            lock (_lock)
            {
                var from = _geometry.AddressOf(table.Segment);
                var until = table.Written;
                while (until < table.Entries.Count && new RecordPlace(_geometry, from + table.Entries[until].Offset, table.Entries[until].Length).End <= flushed)
                {
                    until++;
                }

                entries = [.. table.Entries[table.Written..until]];
            }

            if (entries.Length > 0)
            {
                Append(table, entries);
            }

            lock (_lock)
            {
                if (table.Written == table.Entries.Count && flushed >= _geometry.AddressOf(table.Segment + 1) && table != _open[^1])
                {
                    _open.Remove(table);
                }
            }
        }
    }

    /// <summary>The segment that a slot's newest valid header speaks of, or -1. Cheap: one small read.</summary>
    public long SegmentIn(int slot, out int entries)
    {
        var header = NewestHeader(slot);
        entries = header.Count;
        return header.Magic == Magic ? header.Segment : -1;
    }

    /// <summary>Empty when the segment is not in its slot, or anything of it does not check.</summary>
    public ContentsEntry[] Load(long segment)
    {
        var slot = (int)(segment % _geometry.Slots);
        var header = NewestHeader(slot);
        if (header.Magic != Magic || header.Segment != segment || header.Count <= 0 || header.Count > _maxEntries)
        {
            return [];
        }

        var entries = new ContentsEntry[header.Count];
        var bytes = MemoryMarshal.AsBytes(entries.AsSpan());
        return TryRead(bytes, PlaceOf(slot) + EntriesOffset) && Checksum.Of(EntriesSeed, bytes) == header.EntriesChecksum
            ? Array.FindAll(entries, entry => entry.Length > 0 && entry.Offset >= 0 && new RecordPlace(_geometry, entry.Offset, entry.Length).End <= _geometry.SegmentBytes)
            : [];
    }

    /// <summary>The slot is about to be overwritten: what it held is no more.</summary>
    public void Forget(long segment)
    {
        Span<byte> nothing = stackalloc byte[2 * HeaderSpacing];
        nothing.Clear();
        RandomAccess.Write(_file, nothing, PlaceOf((int)(segment % _geometry.Slots)));
    }

    public void Dispose() => _file.Dispose();

    private void Append(OpenTable table, ContentsEntry[] entries)
    {
        var place = PlaceOf((int)(table.Segment % _geometry.Slots));
        var bytes = MemoryMarshal.AsBytes(entries.AsSpan());
        RandomAccess.Write(_file, bytes, place + EntriesOffset + (table.Written * (long)Marshal.SizeOf<ContentsEntry>()));
        var header = new Header
        {
            Magic = Magic,
            Segment = table.Segment,
            Generation = table.Generation + 1,
            Count = table.Written + entries.Length,
            EntriesChecksum = Checksum.Of(table.Checksum, bytes),
        };
        header.HeaderChecksum = ChecksumOf(header);
        RandomAccess.Write(_file, MemoryMarshal.AsBytes(new ReadOnlySpan<Header>(in header)), place + (header.Generation & 1) * HeaderSpacing);
        table.Generation = header.Generation;
        table.Written = header.Count;
        table.Checksum = header.EntriesChecksum;
    }

    private Header NewestHeader(int slot)
    {
        Header newest = default;
        Span<Header> one = stackalloc Header[1];
        for (var i = 0; i < 2; i++)
        {
            if (TryRead(MemoryMarshal.AsBytes(one), PlaceOf(slot) + (i * HeaderSpacing)) && one[0].Magic == Magic && one[0].HeaderChecksum == ChecksumOf(one[0])
                && one[0].Segment >= 0 && one[0].Segment % _geometry.Slots == slot
                && (newest.Magic == 0 || one[0].Segment > newest.Segment || (one[0].Segment == newest.Segment && one[0].Generation > newest.Generation)))
            {
                newest = one[0];
            }
        }

        return newest;
    }

    private bool TryRead(Span<byte> buffer, long offset)
    {
        for (var done = 0; done < buffer.Length;)
        {
            var got = RandomAccess.Read(_file, buffer[done..], offset + done);
            if (got <= 0)
            {
                return false;
            }

            done += got;
        }

        return true;
    }

    private long PlaceOf(int slot) => slot * _placeBytes;

    private static uint ChecksumOf(Header header)
    {
        header.HeaderChecksum = 0;
        return Checksum.Of(7, MemoryMarshal.AsBytes(new ReadOnlySpan<Header>(in header)));
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Header
    {
        public ulong Magic;
        public long Segment;
        public long Generation;
        public int Count;
        public uint EntriesChecksum;
        public uint HeaderChecksum;
        public uint Reserved;
    }

    /// <summary>A segment not yet written out.</summary>
    private sealed class OpenTable(long segment)
    {
        public long Segment { get; } = segment;

        public List<ContentsEntry> Entries { get; } = [];

        public int Written { get; set; }

        public long Generation { get; set; }

        public uint Checksum { get; set; } = EntriesSeed;
    }
}
