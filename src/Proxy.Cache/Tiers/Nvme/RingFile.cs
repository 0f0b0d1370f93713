namespace Proxy.Cache.Tiers.Nvme;

/// <summary>The data file by log address: a ring of segments whose space is reserved as the log first gets there.</summary>
/// <remarks>
/// A failed write is remembered, not thrown: neither FASTER nor the plain writer can go on from a hole, but the checksums can. Thread-safe.
/// </remarks>
internal sealed class RingFile(DataFile file, RingGeometry geometry) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<(long Start, long End)> _bad = [];
    private long _begin;

    public DataFile File { get; } = file;

    public RingGeometry Geometry { get; } = geometry;

    /// <summary>Told of each failed write, on the writing thread.</summary>
    public Action<IOException>? WriteFailed { get; set; }

    /// <summary>Segments below may be overwritten. Moved by the cleaner before the log's own begin, which follows late.</summary>
    public long BeginAddress
    {
        get => Volatile.Read(ref _begin);
        set
        {
            Volatile.Write(ref _begin, value);
            lock (_lock)
            {
                _bad.RemoveAll(range => range.End <= value);
            }
        }
    }

    /// <exception cref="IOException">The device failed, or the file was cut short.</exception>
    public void Read(Span<byte> buffer, long address) => File.Read(buffer, Geometry.FileOffsetOf(address));

    public void Write(ReadOnlySpan<byte> bytes, long address)
    {
        try
        {
            // Would overwrite what readers may still be served: never happens while writers respect the reserve.
            if (Geometry.SegmentOf(address) >= Geometry.SegmentOf(BeginAddress) + Geometry.Slots)
            {
                throw new IOException("The log ran into its own tail.");
            }

            File.Write(bytes, Geometry.FileOffsetOf(address));
            MakeGood(address, address + bytes.Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            lock (_lock)
            {
                _bad.Add((address, address + bytes.Length));
            }

            WriteFailed?.Invoke(e as IOException ?? new IOException(e.Message, e));
        }
    }

    /// <summary>Whether any of the range failed to be written.</summary>
    public bool IsBad(long start, long end)
    {
        lock (_lock)
        {
            foreach (var range in _bad)
            {
                if (range.Start < end && start < range.End)
                {
                    return true;
                }
            }
        }

        return false;
    }

    public void Dispose()
    {
        // What hung until now and then fails says nothing of the device, which another store may have by then.
        WriteFailed = null;
        File.Dispose();
    }

    /// <summary>The log writes the sector of its tail again and again: what a later write brought to disk is not bad any more.</summary>
    private void MakeGood(long start, long end)
    {
        lock (_lock)
        {
            for (var i = _bad.Count - 1; i >= 0; i--)
            {
                var (badStart, badEnd) = _bad[i];
                if (badEnd <= start || end <= badStart)
                {
                    continue;
                }

                _bad.RemoveAt(i);
                if (badStart < start)
                {
                    _bad.Add((badStart, start));
                }

                if (end < badEnd)
                {
                    _bad.Add((end, badEnd));
                }
            }
        }
    }
}
