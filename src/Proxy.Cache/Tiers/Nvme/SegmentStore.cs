using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>The blocks of one directory: a log written in order, an index in memory, reads of exactly the chunks a range touches.</summary>
/// <remarks>
/// <code>
/// TryWrite ─► PendingWrites ─► writer thread ─► ILogWriter ─► RingFile
///                    │ served from memory until flushed            ▲
/// ReadAsync ─► pending? ─► BlockIndex ─► ReadThreads ──────────────┘ verify, copy out
/// writer thread: append · give back what has reached the disk · queue what was late
/// upkeep thread: save the table of contents · reserve space · evict (SegmentCleaner) · recover
/// </code>
/// Opened and watched by <see cref="NvmeDevice"/>. Thread-safe. No public method throws for what the disk does.
/// </remarks>
internal sealed partial class SegmentStore : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(15);

    private readonly StoreFiles _files;
    private readonly RingFile _ring;
    private readonly RingGeometry _geometry;
    private readonly TableOfContents _contents;
    private readonly ILogWriter _log;
    private readonly BlockPool _pool;
    private readonly NvmeCounters _counters;
    private readonly DeviceHealth _health;
    private readonly ILogger _logger;
    private readonly BlockIndex _index = new();
    private readonly PendingWrites _pending;
    private readonly LateWrites _late;
    private readonly RemovedBlocks _removed;
    private readonly ConcurrentDictionary<BlockId, bool> _removedInRecovery = new();
    private readonly ReadThreads _readers;
    private readonly SegmentCleaner _cleaner;
    private readonly Lock _appendLock = new();
    private readonly AutoResetEvent _wake = new(false);
    private readonly AutoResetEvent _progress = new(false);
    private readonly Thread _writerThread;
    private readonly Thread _upkeepThread;
    private readonly Queue<long> _toRecover = new();
    private readonly long _openedTimestamp = Stopwatch.GetTimestamp();
    private readonly int _maxBlockBytes;

    // The writer's own.
    private readonly Queue<PendingWrite> _appended = new();
    private long _flushAsked;
    private long _idleFlushTimestamp;
    private long _segment;

    // Upkeep's own.
    private bool _unsavedGeometry;
    private int _evictedInVain;

    // The watcher's own.
    private long _flushedSeen = -1;
    private long _flushedSeenTimestamp;

    private volatile int _reservedSlots;
    private volatile bool _writesHang;
    private volatile bool _recovering;
    private volatile bool _closing;
    private volatile bool _stopped;

    /// <summary>Finds out where the log goes on (quick), then serves; what was there before comes back in the background.</summary>
    /// <exception cref="IOException">The directory's files cannot be used.</exception>
    public SegmentStore(StoreFiles files, TierOptions options, BlockPool pool, NvmeCounters counters, DeviceHealth health, LateWrites late, ILogger logger)
    {
        _files = files;
        _geometry = files.Geometry;
        _contents = files.Contents;
        _contents.Failed = () => Interlocked.Increment(ref counters.IoErrors);
        _ring = new RingFile(files.Data, _geometry) { WriteFailed = health.WriteFailed };
        _pool = pool;
        _counters = counters;
        _health = health;
        _late = late;
        _removed = new RemovedBlocks(_geometry, _contents);
        _logger = logger;
        _maxBlockBytes = options.MaxBlockBytes;
        _pending = new PendingWrites(Math.Max(options.MaxBlockBytes, Math.Min(options.WriteQueueBytes, options.MemoryCapacityBytes / 4) / Math.Max(1, options.NvmeDirectories.Count)));
        LogShape(options.NvmeCapacityBytes / Math.Max(1, options.NvmeDirectories.Count));
        var (begin, tail) = FindLog();
        _index.BeginAddress = _ring.BeginAddress = begin;
        _log = options.NvmeEngine == NvmeEngine.Faster ? new FasterLogWriter(_ring, begin, tail) : new PlainLogWriter(_ring, tail);
        _flushAsked = _log.TailAddress;
        _log.Flushed = () =>
        {
            _pending.Wake();
            _progress.Set();
        };
        _reservedSlots = (int)Math.Min(_geometry.Slots, files.Data.Length >> _geometry.SegmentBits);
        _cleaner = new SegmentCleaner(this, options.Pins, logger);
        _readers = new ReadThreads(options.ReadThreads, ReadPart, Finish);
        _writerThread = new Thread(WriteLoop) { IsBackground = true, Name = "nvme-append" };
        _upkeepThread = new Thread(UpkeepLoop) { IsBackground = true, Name = "nvme-upkeep" };
        _upkeepThread.UnsafeStart();
        _writerThread.UnsafeStart();
    }

    public bool IsRecovering => _recovering;

    public long CapacityBytes => _geometry.CapacityBytes;

    /// <summary>An eighth is left, and more than upkeep leaves free: the ring is not in its steady state of evicting for what comes.</summary>
    public bool HasRoom => UsedBytes < CapacityBytes - Math.Max(CapacityBytes / 8, (3 * _geometry.SegmentBytes) + _geometry.PageBytes);

    public long UsedBytes => Math.Max(0, _log.TailAddress - _index.BeginAddress);

    public long Blocks => _index.Count;

    public long IndexBytes => _index.MemoryBytes;

    public long QueueBytes => _pending.Bytes;

    internal RingFile Ring => _ring;

    internal BlockIndex Index => _index;

    internal TableOfContents Contents => _contents;

    internal ILogWriter Log => _log;

    internal NvmeCounters Counters => _counters;

    internal RemovedBlocks Removed => _removed;

    internal void WaitForProgress() => _progress.WaitOne(TimeSpan.FromMilliseconds(1));

    public bool Contains(in BlockId id) => _pending.Contains(id) || _index.TryGet(id, touch: false, out _);

    public bool TryGetLength(in BlockId id, out int length)
    {
        if (_pending.TryGetLength(id, out length))
        {
            return true;
        }

        var found = _index.TryGet(id, touch: false, out var location);
        length = location.Length;
        return found;
    }

    /// <inheritdoc cref="INvmeStore.TryWrite"/>
    public bool TryWrite(in BlockId id, BlockLease lease)
    {
        if (_closing || lease.Length > _maxBlockBytes)
        {
            lease.Dispose();
            Interlocked.Increment(ref _counters.WritesDropped);
            return false;
        }

        if (_index.TryGet(id, touch: false, out _) || _pending.Contains(id))
        {
            lease.Dispose();
            return false;
        }

        // Behind those that wait already: theirs are the blocks that memory throws out next.
        if (!_late.IsEmpty || !_pending.TryAdd(id, lease))
        {
            if (!_late.TryAdd(id, lease.Length))
            {
                Interlocked.Increment(ref _counters.WritesDropped);
            }

            // Only now: without a lease, and not yet late, memory could throw it out.
            lease.Dispose();
            return false;
        }

        return true;
    }

    /// <inheritdoc cref="INvmeStore.ReadAsync"/>
    public ValueTask<BlockLease> ReadAsync(in BlockId id, int offset, int length)
    {
        if (_pending.TryGet(id, out var waiting))
        {
            if (offset >= waiting.Length)
            {
                waiting.Dispose();
                return default;
            }

            return ValueTask.FromResult(waiting.Slice(offset, Math.Min(length, waiting.Length - offset)));
        }

        if (!_index.TryGet(id, touch: true, out var location)
            || offset >= location.Length
            || !_pool.TryRent(Math.Min(length, location.Length - offset), out var target))
        {
            return default;
        }

        var operation = _readers.Rent();
        operation.Id = id;
        operation.Location = location;
        operation.Offset = offset;
        operation.Target = target;
        return _readers.ReadAsync(operation);
    }

    /// <inheritdoc cref="INvmeStore.Remove"/>
    public void Remove(in BlockId id)
    {
        _pending.Forget(id);
        if (_recovering)
        {
            // Before the index: whoever brings it back there now looks here afterwards.
            _removedInRecovery.TryAdd(id, true);
        }

        if (_index.Remove(id, out var address))
        {
            _removed.Add(address);
        }
    }

    /// <summary>What is no longer where it was, though nobody asked for it to go.</summary>
    private bool Remove(in BlockId id, long address)
    {
        var removed = _index.Remove(id, address);
        if (removed)
        {
            _removed.Add(address);
        }

        return removed;
    }

    /// <inheritdoc cref="ReadThreads.AllHang"/>
    public bool AllReadsHang(TimeSpan limit) => _readers.AllHang(limit);

    /// <inheritdoc cref="ReadThreads.CountHung(TimeSpan)"/>
    public int CountHungReads(TimeSpan limit) => _readers.CountHung(limit);

    /// <inheritdoc cref="ReadThreads.AbandonHung"/>
    public void AbandonHungReads(TimeSpan limit) => _readers.AbandonHung(limit);

    /// <summary>Writes what is queued, if the device lets it, and closes.</summary>
    public void Dispose()
    {
        _closing = true;
        var started = Stopwatch.GetTimestamp();
        while ((_pending.Count > 0 || !_late.IsEmpty) && !_health.IsSuspended && Stopwatch.GetElapsedTime(started) < DrainLimit)
        {
            _log.Flush();
            _progress.WaitOne(Tick);
        }

        _stopped = true;
        _pending.Wake();
        _wake.Set();
        _writerThread.Join();
        _upkeepThread.Join();
        _cleaner.Dispose();
        while (_pending.TryTake(TimeSpan.Zero, out var left))
        {
            _pending.Finish(left);
        }

        FinishFlushed(all: true);
        _removed.Gather(_ring.BeginAddress);
        _removed.CrossOut(int.MaxValue);
        SaveContents();
        SaveGeometry();
        _readers.Dispose();
        _log.Dispose();
        _ring.Dispose();
        _files.Dispose();
        _index.Dispose();
        _pending.Dispose();
        _wake.Dispose();
        _progress.Dispose();
    }

    /// <summary>Reads, checks and copies out on an I/O thread.</summary>
    private ReadTrouble ReadPart(ReadOperation operation, int part, ReadThreads.Memory buffer)
    {
        var target = operation.Target!.Span;
        var offset = operation.Offset;
        if (operation.Parts > 1)
        {
            // Cut at a chunk's end, so that none is read twice.
            var cut = (offset + (target.Length / 2) + RecordLayout.ChunkBytes - 1 & -RecordLayout.ChunkBytes) - offset;
            target = part == 0 ? target[..cut] : target[cut..];
            offset += part == 0 ? 0 : cut;
        }

        var started = Stopwatch.GetTimestamp();
        try
        {
            var good = RecordReader.TryRead(_ring, operation.Id, operation.Location, offset, target, buffer.Span);
            var elapsed = Stopwatch.GetTimestamp() - started;
            _counters.ReadLatency.Record(elapsed);
            _health.ReadDone(elapsed);
            return good ? ReadTrouble.None : ReadTrouble.Damaged;
        }
        catch (EndOfStreamException)
        {
            // The file was cut short: the block is gone, the device is well.
            return ReadTrouble.Damaged;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            Interlocked.Increment(ref _counters.IoErrors);
            _health.ReadFailed(e);
            return ReadTrouble.Failed;
        }
    }

    private BlockLease Finish(ReadOperation operation)
    {
        var target = operation.Target!;
        operation.Target = null;

        // The segment may have been given up while the read ran: then whatever came is not ours to judge.
        var current = operation.Location.Address >= _index.BeginAddress;
        if (operation.Trouble == ReadTrouble.None && current)
        {
            Interlocked.Add(ref _counters.ReadBytes, target.Length);
            return new BlockLease(target);
        }

        if (current && operation.Trouble.HasFlag(ReadTrouble.Failed))
        {
            // Nobody can have it from here, and while it is listed nobody brings it from elsewhere.
            Remove(operation.Id, operation.Location.Address);
        }
        else if (current && operation.Trouble == ReadTrouble.Damaged)
        {
            Damaged(operation.Id, operation.Location);
        }

        target.Release();
        return default;
    }

    private void Damaged(in BlockId id, in BlockLocation location)
    {
        if (Remove(id, location.Address) && !_ring.IsBad(location.Address, new RecordPlace(_geometry, location.Address, location.Length).End))
        {
            Interlocked.Increment(ref _counters.Corrupt);
            LogDamaged(_logger, _files.Directory, location.Address, location.Length);
        }
    }

    /// <summary>Appends for the writer and for the cleaner; the table of contents keeps the log's order.</summary>
    /// <param name="reserve">Segments to leave free: 1 for requests, so that the cleaner can always move what it keeps.</param>
    internal bool TryAppend(in BlockId id, ReadOnlySpan<byte> data, int reserve, out long address)
    {
        lock (_appendLock)
        {
            var highest = _geometry.SegmentOf(_log.TailAddress + (2 * _geometry.PageBytes));
            if (highest - _geometry.SegmentOf(_ring.BeginAddress) >= _geometry.Slots - reserve
                || (_reservedSlots < _geometry.Slots && highest >= _reservedSlots)
                || !_log.TryAppend(id, data, out address))
            {
                address = 0;
                return false;
            }

            _contents.Add(id, address, data.Length);
            return true;
        }
    }

    [LoggerMessage(3210, LogLevel.Warning, "NVMe {Directory}: the block at {Address} ({Length} bytes) is damaged; dropped, the backend has it")]
    private static partial void LogDamaged(ILogger logger, string directory, long address, int length);
}
