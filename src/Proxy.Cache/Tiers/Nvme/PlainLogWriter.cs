using System.Buffers.Binary;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>The log without FASTER: a ring of a few pages in memory, written out in order by one thread.</summary>
/// <remarks>The reference that <see cref="FasterLogWriter"/> is tested against, and the fallback by configuration.</remarks>
internal sealed unsafe class PlainLogWriter : ILogWriter
{
    private const int PieceBytes = 1 << 20;
    private readonly RingFile _ring;
    private readonly byte* _buffer;
    private readonly long _bufferBytes;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _work = new(0, 1);
    private readonly Thread _thread;
    private long _tail;
    private long _flushed;
    private bool _flushAsked;
    private volatile bool _stopped;

    /// <inheritdoc cref="FasterLogWriter(RingFile, long, long)"/>
    public PlainLogWriter(RingFile ring, long tail)
    {
        _ring = ring;
        _bufferBytes = ring.Geometry.BufferedPages * ring.Geometry.PageBytes;
        _buffer = NativePages.Map((nuint)_bufferBytes, large: true);
        _tail = _flushed = tail;
        _thread = new Thread(Run) { IsBackground = true, Name = "nvme-write" };
        _thread.UnsafeStart();
    }

    public long TailAddress => Volatile.Read(ref _tail);

    public long FlushedUntilAddress => Volatile.Read(ref _flushed);

    public Action? Flushed { get; set; }

    public bool TryAppend(in BlockId id, ReadOnlySpan<byte> data, out long address)
    {
        // The copy needs no lock: there is one appender, and the writing thread stays below the tail.
        address = RecordPlace.AddressFor(_ring.Geometry, _tail, data.Length);
        var place = new RecordPlace(_ring.Geometry, address, data.Length);
        var end = (place.End + 3) & ~3;
        if (end - (FlushedUntilAddress & -DataFile.Alignment) > _bufferBytes)
        {
            Wake();
            return false;
        }

        var first = place.IsSplit ? place.FirstChunks * RecordLayout.ChunkBytes : data.Length;
        RecordLayout.Write(Begin(address, RecordLayout.RecordBytes(first)), id, data[..first], data.Length);
        if (place.IsSplit)
        {
            var rest = data[first..];
            RecordLayout.WriteChunks(Begin(place.RestAddress, rest.Length + (RecordLayout.ChecksumBytes * RecordLayout.Chunks(rest.Length))), id, place.FirstChunks, rest);
        }

        lock (_lock)
        {
            Volatile.Write(ref _tail, end);
            if (_tail - _flushed >= _ring.Geometry.PageBytes)
            {
                Wake();
            }
        }

        return true;
    }

    public void Flush()
    {
        lock (_lock)
        {
            _flushAsked = true;
        }

        Wake();
    }

    public void ShiftBegin(long address)
    {
        // The ring file's own begin is all there is.
    }

    public void Dispose()
    {
        _stopped = true;
        Wake();
        if (_thread.Join(TimeSpan.FromSeconds(5)))
        {
            NativePages.Unmap(_buffer, (nuint)_bufferBytes);
            _work.Dispose();
        }
    }

    /// <summary>The log's own head of an entry, and where its bytes go.</summary>
    private Span<byte> Begin(long address, int bytes)
    {
        var target = new Span<byte>(_buffer + (address & (_bufferBytes - 1)), RecordLayout.LogHeaderBytes + bytes);
        BinaryPrimitives.WriteInt32LittleEndian(target, bytes);
        return target[RecordLayout.LogHeaderBytes..];
    }

    private void Wake()
    {
        if (_work.CurrentCount == 0)
        {
            try
            {
                _work.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else woke it first.
            }
        }
    }

    private void Run()
    {
        SchedulerSlice.Shorten();
        while (!_stopped)
        {
            _work.Wait();
            while (!_stopped && TryNextPiece(out var from, out var until))
            {
                var start = from & -DataFile.Alignment;
                var end = (until + DataFile.Alignment - 1) & -DataFile.Alignment;
                _ring.Write(new ReadOnlySpan<byte>(_buffer + (start & (_bufferBytes - 1)), (int)(end - start)), start);
                Volatile.Write(ref _flushed, until);
                TellFlushed();
            }
        }
    }

    private void TellFlushed()
    {
        try
        {
            Flushed?.Invoke();
        }
        catch (ObjectDisposedException) when (_stopped)
        {
            // The write hung until the store was gone: nobody is left to be told.
        }
    }

    /// <summary>Up to 1 MiB within one page, or to the tail when a flush was asked for.</summary>
    private bool TryNextPiece(out long from, out long until)
    {
        lock (_lock)
        {
            var page = _ring.Geometry.PageBytes;
            from = _flushed;
            var pageEnd = (from & -page) + page;
            var complete = _tail >= pageEnd;
            until = Math.Min(complete ? pageEnd : _tail, (from & -DataFile.Alignment) + PieceBytes);
            if (from == _tail)
            {
                _flushAsked = false;
            }

            return until > from && (complete || _flushAsked);
        }
    }
}
