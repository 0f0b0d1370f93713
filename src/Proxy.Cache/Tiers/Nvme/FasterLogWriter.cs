using System.Diagnostics;
using FASTER.core;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>FASTER's log as the writer: pages, epochs and back-pressure are its, reading and recovery are ours.</summary>
internal sealed class FasterLogWriter : ILogWriter
{
    private const long FirstAddress = 64;
    private static readonly TimeSpan SecondHalfLimit = TimeSpan.FromMilliseconds(50);
    private readonly RingGeometry _geometry;
    private readonly RingDevice _device;
    private readonly AutoResetEvent _room = new(false);
    private readonly FasterLog _log;

    /// <param name="begin">Oldest address still readable.</param>
    /// <param name="tail">Where to go on: the start of a segment, 0 for a new log.</param>
    public FasterLogWriter(RingFile ring, long begin, long tail)
    {
        _geometry = ring.Geometry;
        _device = new RingDevice(ring, () =>
        {
            _room.Set();
            Flushed?.Invoke();
        });
        _log = new FasterLog(new FasterLogSettings
        {
            LogDevice = _device,
            PageSizeBits = ring.Geometry.PageBits,
            MemorySizeBits = ring.Geometry.PageBits + System.Numerics.BitOperations.Log2((uint)ring.Geometry.BufferedPages),
            SegmentSizeBits = ring.Geometry.SegmentBits,
            LogCommitManager = new NoCommits(),
            TryRecoverLatest = false,
        });
        if (tail > 0)
        {
            _log.Initialize(Math.Max(FirstAddress, begin), tail, 1);
        }
    }

    public long TailAddress => _log.TailAddress;

    public long FlushedUntilAddress => _log.FlushedUntilAddress;

    public Action? Flushed { get; set; }

    public unsafe bool TryAppend(in BlockId id, ReadOnlySpan<byte> data, out long address)
    {
        fixed (byte* bytes = data)
        {
            // Ours is the only appender, so where FASTER puts an entry is known before.
            var place = new RecordPlace(_geometry, RecordPlace.AddressFor(_geometry, _log.TailAddress, data.Length), data.Length);
            if (!place.IsSplit)
            {
                return _log.TryEnqueue(new Entry(id, bytes, data.Length, 0, data.Length), out address);
            }

            var first = place.FirstChunks * RecordLayout.ChunkBytes;
            return _log.TryEnqueue(new Entry(id, bytes, first, 0, data.Length), out address)
                && TryAppendRest(new Entry(id, bytes + first, data.Length - first, place.FirstChunks, data.Length), place.RestAddress);
        }
    }

    public void Flush() => _log.Commit(spinWait: false);

    public void ShiftBegin(long address) => _log.UnsafeShiftBeginAddress(address, snapToPageStart: false, truncateLog: false);

    public void Dispose()
    {
        _device.Close();
        _log.Dispose();
        _device.Dispose();
        _room.Dispose();
    }

    /// <summary>Waits a little for the next page. What it gives up leaves a first half that no index knows of.</summary>
    private bool TryAppendRest(in Entry entry, long expected)
    {
        long address;
        for (var started = Stopwatch.GetTimestamp(); !_log.TryEnqueue(entry, out address);)
        {
            if (Stopwatch.GetElapsedTime(started) > SecondHalfLimit)
            {
                return false;
            }

            _room.WaitOne(1);
        }

        return address == expected;
    }

    /// <summary>A record or one half of one, serialised straight into the log's page, inside FASTER's epoch.</summary>
    private readonly unsafe struct Entry(BlockId id, byte* data, int bytes, int firstChunk, int length) : ILogEnqueueEntry
    {
        public int SerializedLength => (firstChunk == 0 ? RecordLayout.HeaderBytes : 0) + bytes + (RecordLayout.ChecksumBytes * RecordLayout.Chunks(bytes));

        public void SerializeTo(Span<byte> dest)
        {
            var source = new ReadOnlySpan<byte>(data, bytes);
            if (firstChunk == 0)
            {
                RecordLayout.Write(dest, id, source, length);
            }
            else
            {
                RecordLayout.WriteChunks(dest, id, firstChunk, source);
            }
        }
    }

    /// <summary>A commit only flushes: what a restart needs is in the table of contents.</summary>
    private sealed class NoCommits : ILogCommitManager
    {
        public void Commit(long beginAddress, long untilAddress, byte[] commitMetadata, long commitNum, bool forceWriteMetadata)
        {
        }

        public byte[] GetCommitMetadata(long commitNum) => [];

        public IEnumerable<long> ListCommits() => [];

        public void RemoveCommit(long commitNum)
        {
        }

        public void RemoveAllCommits()
        {
        }

        public void OnRecovery(long commitNum)
        {
        }

        public void Dispose()
        {
        }
    }
}
