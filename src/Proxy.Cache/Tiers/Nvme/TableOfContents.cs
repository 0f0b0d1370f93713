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
/// entries by checksum, so a torn write loses at most what came since the header before. Written only for what is flushed, and in whole pages: of a page written in
/// part the system reads the rest first, and a sector that cannot be read would then never be written again either.
/// <see cref="Add"/> from any thread under the caller's append lock; everything else on the upkeep thread.
/// </remarks>
internal sealed class TableOfContents : IDisposable
{
    private const ulong Magic = 0x31434F5454335300;
    private const int HeaderSpacing = 512;
    private const int PageBytes = 4096;
    private const int EntriesOffset = PageBytes;
    private const uint EntriesSeed = 0xC0C0;
    private static readonly int EntriesPerPage = PageBytes / Marshal.SizeOf<ContentsEntry>();
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

    /// <summary>Tests make the disk fail here, as <see cref="DataFile.Faults"/>.</summary>
    internal Action<DiskOperation, long>? Faults { get; set; }

    /// <summary>Told of what could not be read, written for lack of space, or crossed out.</summary>
    public Action? Failed { get; set; }

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

            if (table.Entries.Count < _maxEntries && !table.IsFull)
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

            if (entries.Length > 0 && !TryAppend(table, entries))
            {
                lock (_lock)
                {
                    table.IsFull = true;
                    table.Entries.RemoveRange(table.Written, table.Entries.Count - table.Written);
                }
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

    /// <summary>Takes the space that a slot's table needs for blocks of 64 KiB on average; more is taken when it is needed, while there is any.</summary>
    /// <exception cref="IOException">No space, or the device failed.</exception>
    public void Reserve(int slot)
    {
        Faults?.Invoke(DiskOperation.AllocateContents, PlaceOf(slot));
        var bytes = Math.Min(_placeBytes, EntriesOffset + (_geometry.SegmentBytes / (64 << 10) * Marshal.SizeOf<ContentsEntry>()) + PageBytes - 1 & -PageBytes);
        if (Native.Allocate(_file, PlaceOf(slot), bytes) is var error and not (0 or Native.NotSupported))
        {
            throw new IOException($"Reserving {bytes} bytes for a table of contents failed (errno {error}).", error);
        }
    }

    /// <summary>The segment that a slot's newest valid header speaks of, or -1. Cheap: one small read.</summary>
    public long SegmentIn(int slot, out int entries)
    {
        var header = NewestHeader(slot);
        entries = header.Count;
        return header.Magic == Magic ? header.Segment : -1;
    }

    /// <summary>Empty when the segment is not in its slot, or anything of it does not check or cannot be read.</summary>
    public ContentsEntry[] Load(long segment)
    {
        return Array.FindAll(
            Read(segment, out _), entry => entry.Length > 0 && entry.Offset >= 0 && new RecordPlace(_geometry, entry.Offset, entry.Length).End <= _geometry.SegmentBytes);
    }

    /// <summary>The blocks at these places of a segment are not found after a restart any more. Of no effect where the disk does not allow it.</summary>
    public void CrossOut(long segment, HashSet<int> offsets)
    {
        lock (_lock)
        {
            if (_open.Find(table => table.Segment == segment) is { } open)
            {
                // From its beginning: the checksum covers them all.
                open.Written = CrossOut(CollectionsMarshal.AsSpan(open.Entries), offsets) < open.Written ? 0 : open.Written;
                return;
            }
        }

        var entries = Read(segment, out var header);
        if (CrossOut(entries, offsets) == entries.Length)
        {
            return;
        }

        var table = new OpenTable(segment) { Header = header };
        table.Entries.AddRange(entries);
        try
        {
            Append(table, entries);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Failed?.Invoke();
        }
    }

    /// <summary>The slot is about to be overwritten: what it held is no more. A table that stays behind finds blocks that do not check, or gives way to the next.</summary>
    public void Forget(long segment)
    {
        Span<byte> nothing = stackalloc byte[PageBytes];
        nothing.Clear();
        try
        {
            Write(nothing, PlaceOf((int)(segment % _geometry.Slots)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Failed?.Invoke();
        }
    }

    public void Dispose() => _file.Dispose();

    /// <returns>False when the disk is full.</returns>
    private bool TryAppend(OpenTable table, ContentsEntry[] entries)
    {
        try
        {
            Append(table, entries);
            return true;
        }
        catch (IOException e) when (Native.IsFull(e.HResult))
        {
            // Others filled it. The ring itself has its space.
            Failed?.Invoke();
            return false;
        }
    }

    private void Append(OpenTable table, ContentsEntry[] entries)
    {
        var place = PlaceOf((int)(table.Segment % _geometry.Slots));
        var bytes = MemoryMarshal.AsBytes(entries.AsSpan());
        WriteEntries(table, entries, place + EntriesOffset);
        var header = new Header
        {
            Magic = Magic,
            Segment = table.Segment,
            Generation = table.Header.Generation + 1,
            Count = table.Written + entries.Length,
            EntriesChecksum = Checksum.Of(table.Written == 0 ? EntriesSeed : table.Header.EntriesChecksum, bytes),
        };
        header.HeaderChecksum = ChecksumOf(header);
        Span<byte> page = stackalloc byte[PageBytes];
        page.Clear();
        Put(page, table.Header);
        Put(page, header);
        Write(page, place);
        table.Header = header;
        table.Written = header.Count;

        static void Put(Span<byte> page, in Header header)
        {
            if (header.Magic == Magic)
            {
                MemoryMarshal.Write(page[((int)(header.Generation & 1) * HeaderSpacing)..], header);
            }
        }
    }

    /// <summary>Begins with the page in which the entries before these end.</summary>
    private void WriteEntries(OpenTable table, ContentsEntry[] entries, long offset)
    {
        var size = Marshal.SizeOf<ContentsEntry>();
        var again = table.Written % EntriesPerPage;
        var pages = new byte[((again + entries.Length) * size) + PageBytes - 1 & -PageBytes];
        lock (_lock)
        {
            MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(table.Entries).Slice(table.Written - again, again)).CopyTo(pages);
        }

        MemoryMarshal.AsBytes(entries.AsSpan()).CopyTo(pages.AsSpan(again * size));
        Write(pages, offset + ((table.Written - again) * (long)size));
    }

    /// <returns>The first that was crossed out.</returns>
    private static int CrossOut(Span<ContentsEntry> entries, HashSet<int> offsets)
    {
        var first = entries.Length;
        for (var i = entries.Length - 1; i >= 0; i--)
        {
            if (entries[i].Length > 0 && offsets.Contains(entries[i].Offset))
            {
                entries[i] = entries[i] with { Length = 0 };
                first = i;
            }
        }

        return first;
    }

    /// <summary>As they stand, also those crossed out; empty as <see cref="Load"/> says.</summary>
    private ContentsEntry[] Read(long segment, out Header header)
    {
        var slot = (int)(segment % _geometry.Slots);
        header = NewestHeader(slot);
        if (header.Magic != Magic || header.Segment != segment || header.Count <= 0 || header.Count > _maxEntries)
        {
            return [];
        }

        var entries = new ContentsEntry[header.Count];
        var bytes = MemoryMarshal.AsBytes(entries.AsSpan());
        return TryRead(bytes, PlaceOf(slot) + EntriesOffset) && Checksum.Of(EntriesSeed, bytes) == header.EntriesChecksum ? entries : [];
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
        try
        {
            Faults?.Invoke(DiskOperation.ReadContents, offset);
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
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // One sector of a table: its blocks are not worth the device.
            Failed?.Invoke();
            return false;
        }
    }

    private void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        Faults?.Invoke(DiskOperation.WriteContents, offset);
        RandomAccess.Write(_file, bytes, offset);
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

        /// <summary>There was no space for more: what comes is served, but not found after a restart.</summary>
        public bool IsFull { get; set; }

        /// <summary>The newest on disk.</summary>
        public Header Header { get; set; }
    }
}
