using FASTER.core;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>FASTER's log as the writer: pages, epochs and back-pressure are its, reading and recovery are ours.</summary>
internal sealed class FasterLogWriter : ILogWriter
{
    private const int BufferedPages = 4;
    private const long FirstAddress = 64;
    private readonly RingDevice _device;
    private readonly FasterLog _log;

    /// <param name="begin">Oldest address still readable.</param>
    /// <param name="tail">Where to go on: the start of a segment, 0 for a new log.</param>
    public FasterLogWriter(RingFile ring, long begin, long tail)
    {
        _device = new RingDevice(ring);
        _log = new FasterLog(new FasterLogSettings
        {
            LogDevice = _device,
            PageSizeBits = ring.Geometry.PageBits,
            MemorySizeBits = ring.Geometry.PageBits + System.Numerics.BitOperations.Log2(BufferedPages),
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

    public unsafe bool TryAppend(in BlockId id, ReadOnlySpan<byte> data, out long address)
    {
        fixed (byte* bytes = data)
        {
            return _log.TryEnqueue(new Entry(id, bytes, data.Length), out address);
        }
    }

    public void Flush() => _log.Commit(spinWait: false);

    public void ShiftBegin(long address) => _log.UnsafeShiftBeginAddress(address, snapToPageStart: false, truncateLog: false);

    public void Dispose()
    {
        _log.Dispose();
        _device.Dispose();
    }

    /// <summary>Serialised straight into the log's page, inside FASTER's epoch.</summary>
    private readonly unsafe struct Entry(BlockId id, byte* data, int length) : ILogEnqueueEntry
    {
        public int SerializedLength => RecordLayout.RecordBytes(length);

        public void SerializeTo(Span<byte> dest) => RecordLayout.Write(dest, id, new ReadOnlySpan<byte>(data, length));
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
