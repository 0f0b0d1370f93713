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
/// maintenance thread: finish flushed writes · save the table of contents · reserve space · evict (SegmentCleaner) · recover
/// </code>
/// Opened and watched by <see cref="NvmeDevice"/>. Thread-safe. No public method throws for what the disk does.
/// </remarks>
internal sealed partial class SegmentStore : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan FlushInterval = TimeSpan.FromSeconds(1);
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
    private readonly ConcurrentQueue<PendingWrite> _appended = new();
    private readonly ReadThreads _readers;
    private readonly SegmentCleaner _cleaner;
    private readonly Lock _appendLock = new();
    private readonly AutoResetEvent _wake = new(false);
    private readonly AutoResetEvent _progress = new(false);
    private readonly Thread _writerThread;
    private readonly Thread _maintenanceThread;
    private readonly Queue<long> _toRecover = new();
    private readonly long _openedTimestamp = Stopwatch.GetTimestamp();
    private readonly int _maxBlockBytes;
    private volatile int _reservedSlots;
    private volatile bool _recovering;
    private volatile bool _closing;
    private volatile bool _stopped;

    /// <summary>Finds out where the log goes on (quick), then serves; what was there before comes back in the background.</summary>
    /// <exception cref="IOException">The directory's files cannot be used.</exception>
    public SegmentStore(StoreFiles files, TierOptions options, BlockPool pool, NvmeCounters counters, DeviceHealth health, ILogger logger)
    {
        _files = files;
        _geometry = files.Geometry;
        _contents = files.Contents;
        _ring = new RingFile(files.Data, _geometry) { WriteFailed = health.WriteFailed };
        _pool = pool;
        _counters = counters;
        _health = health;
        _logger = logger;
        _maxBlockBytes = options.MaxBlockBytes;
        _pending = new PendingWrites(Math.Max(1, Math.Min(options.WriteQueueBytes, options.MemoryCapacityBytes / 4) / Math.Max(1, options.NvmeDirectories.Count)));
        var (begin, tail) = FindLog();
        _index.BeginAddress = _ring.BeginAddress = begin;
        _log = options.NvmeEngine == NvmeEngine.Faster ? new FasterLogWriter(_ring, begin, tail) : new PlainLogWriter(_ring, tail);
        _reservedSlots = (int)Math.Min(_geometry.Slots, files.Data.Length >> _geometry.SegmentBits);
        _cleaner = new SegmentCleaner(this, options.Pins, logger);
        _readers = new ReadThreads(options.ReadThreads, Execute);
        _writerThread = new Thread(WriteLoop) { IsBackground = true, Name = "nvme-append" };
        _maintenanceThread = new Thread(MaintenanceLoop) { IsBackground = true, Name = "nvme-upkeep" };
        _maintenanceThread.UnsafeStart();
        _writerThread.UnsafeStart();
    }

    public bool IsRecovering => _recovering;

    public long CapacityBytes => _geometry.CapacityBytes;

    /// <summary>An eighth is left: the ring is not in its steady state of evicting for what comes.</summary>
    public bool HasRoom => UsedBytes < CapacityBytes - (CapacityBytes / 8);

    public long UsedBytes => Math.Max(0, _log.TailAddress - _index.BeginAddress);

    public long Blocks => _index.Count;

    public long IndexBytes => _index.MemoryBytes;

    public long QueueBytes => _pending.Bytes;

    internal RingFile Ring => _ring;

    internal BlockIndex Index => _index;

    internal TableOfContents Contents => _contents;

    internal ILogWriter Log => _log;

    internal NvmeCounters Counters => _counters;

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

        if (!_pending.TryAdd(id, lease))
        {
            lease.Dispose();
            Interlocked.Increment(ref _counters.WritesDropped);
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

            _counters.Hits.Increment();
            return ValueTask.FromResult(waiting.Slice(offset, Math.Min(length, waiting.Length - offset)));
        }

        if (!_index.TryGet(id, touch: true, out var location) || offset >= location.Length)
        {
            _counters.Misses.Increment();
            return default;
        }

        if (!_pool.TryRent(Math.Min(length, location.Length - offset), out var target))
        {
            _counters.Misses.Increment();
            return default;
        }

        var operation = _readers.Rent();
        operation.Id = id;
        operation.Location = location;
        operation.Offset = offset;
        operation.Target = target;
        var answer = operation.StartAsync();
        if (!_readers.TryEnqueue(operation))
        {
            target.Release();
            operation.Complete(default);
        }

        return answer;
    }

    public void Remove(in BlockId id)
    {
        _pending.Forget(id);
        _index.Remove(id);
    }

    /// <summary>Whether reads hang in the device; their readers have been sent away.</summary>
    public int AbandonHungReads(TimeSpan limit) => _readers.AbandonHung(limit);

    /// <summary>Writes what is queued, if the device lets it, and closes.</summary>
    public void Dispose()
    {
        _closing = true;
        var started = Stopwatch.GetTimestamp();
        while (_pending.Count > 0 && !_health.IsSuspended && Stopwatch.GetElapsedTime(started) < DrainLimit)
        {
            _log.Flush();
            _wake.Set();
            _progress.WaitOne(Tick);
        }

        _stopped = true;
        _wake.Set();
        _writerThread.Join();
        _maintenanceThread.Join();
        while (_pending.TryTake(TimeSpan.Zero, out var left))
        {
            _pending.Finish(left);
        }

        FinishFlushed(all: true);
        SaveContents();
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
    private BlockLease Execute(ReadOperation operation, ReadThreads.Memory buffer)
    {
        var target = operation.Target!;
        var started = Stopwatch.GetTimestamp();
        bool good;
        try
        {
            good = RecordReader.TryRead(_ring, operation.Id, operation.Location, operation.Offset, target.Span, buffer.Span);
        }
        catch (EndOfStreamException)
        {
            // The file was cut short: the block is gone, the device is well.
            good = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            target.Release();
            Interlocked.Increment(ref _counters.IoErrors);
            _counters.Misses.Increment();
            _health.ReadFailed(e);
            return default;
        }

        var elapsed = Stopwatch.GetTimestamp() - started;
        Interlocked.Add(ref _counters.ReadTicks, elapsed);
        Interlocked.Increment(ref _counters.Reads);
        _health.ReadDone(elapsed);

        // The segment may have been given up while the read ran: then whatever came is not ours to judge.
        if (operation.Location.Address < _index.BeginAddress)
        {
            good = false;
        }
        else if (!good)
        {
            Damaged(operation.Id, operation.Location);
        }

        if (!good)
        {
            target.Release();
            _counters.Misses.Increment();
            return default;
        }

        Interlocked.Add(ref _counters.ReadBytes, target.Length);
        _counters.Hits.Increment();
        return new BlockLease(target);
    }

    private void Damaged(in BlockId id, in BlockLocation location)
    {
        if (_index.Remove(id, location.Address) && !_ring.IsBad(location.Address, RecordLayout.EndOf(location.Address, location.Length)))
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

    private void WriteLoop()
    {
        while (!_stopped)
        {
            if (!_pending.TryTake(Tick * 5, out var write))
            {
                continue;
            }

            if (!TryWriteOut(write))
            {
                Interlocked.Increment(ref _counters.WritesDropped);
                _pending.Finish(write);
            }
        }
    }

    private bool TryWriteOut(PendingWrite write)
    {
        while (!_stopped && !_health.IsSuspended && _pending.IsWanted(write))
        {
            if (TryAppend(write.Id, write.Lease.Span, reserve: 1, out var address))
            {
                write.Address = address;
                _index.Set(write.Id, address, write.Length);
                if (!_pending.IsWanted(write))
                {
                    _index.Remove(write.Id, address);
                }

                _appended.Enqueue(write);
                return true;
            }

            // The disk, the cleaner or the reservation is behind: all three report progress.
            _wake.Set();
            _progress.WaitOne(TimeSpan.FromMilliseconds(2));
        }

        return false;
    }

    [LoggerMessage(3210, LogLevel.Warning, "NVMe {Directory}: the block at {Address} ({Length} bytes) is damaged; dropped, the backend has it")]
    private static partial void LogDamaged(ILogger logger, string directory, long address, int length);
}
