using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Proxy.Cache.Tiers.Nvme;

// The upkeep thread and the restart.
internal sealed partial class SegmentStore
{
    /// <summary>Segments between the newest and the oldest that a restart keeps: the oldest may have been about to be overwritten.</summary>
    private const int RestartReserve = 3;

    /// <summary>Reserving took 20 to 140 ms a segment of 32 MiB where it clears the space: a burst of writes goes on meanwhile.</summary>
    private const long ReservedAheadBytes = 128L << 20;

    /// <summary>A purge may name blocks of every segment, and eviction must not wait for it.</summary>
    private const int CrossedOutAtOnce = 16;

    private void UpkeepLoop()
    {
        var lastSave = Stopwatch.GetTimestamp();
        while (!_stopped)
        {
            if (_toRecover.Count == 0)
            {
                _wake.WaitOne(Tick);
            }

            try
            {
                if (Stopwatch.GetElapsedTime(lastSave) >= SaveInterval)
                {
                    // Bounds what kill -9 can lose.
                    lastSave = Stopwatch.GetTimestamp();
                    if (_log.FlushedUntilAddress < _log.TailAddress)
                    {
                        _log.Flush();
                    }

                    _removed.Gather(_ring.BeginAddress);
                    SaveContents();
                    SaveGeometry();
                }

                if (!_health.IsSuspended)
                {
                    _removed.CrossOut(CrossedOutAtOnce);
                }

                ReserveAhead();
                while (!_stopped && _geometry.SegmentOf(_log.TailAddress + _geometry.PageBytes) - _geometry.SegmentOf(_ring.BeginAddress) >= _geometry.Slots - 2)
                {
                    SaveContents();
                    EvictOldest();
                    _progress.Set();
                }

                RecoverOne();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                Interlocked.Increment(ref _counters.IoErrors);
                _health.WriteFailed(e);
            }
        }
    }

    /// <summary>With more pinned than the ring holds, moving it on would write the disk full for ever: after a lap without gain every second segment goes with its pins.</summary>
    private void EvictOldest()
    {
        var keeps = _evictedInVain < _geometry.Slots;
        if (_cleaner.EvictOldest(keeps))
        {
            _evictedInVain = keeps ? 0 : _evictedInVain - 1;
        }
        else
        {
            _evictedInVain++;
        }
    }

    private void SaveContents()
    {
        try
        {
            _contents.Save(_log.FlushedUntilAddress);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Interlocked.Increment(ref _counters.IoErrors);
            _health.WriteFailed(e);
        }
    }

    /// <summary>First lap: reserves the segments that the log comes to next; a disk too small makes a smaller ring.</summary>
    private void ReserveAhead()
    {
        while (!_stopped && !_health.IsSuspended && _reservedSlots < _geometry.Slots
            && _reservedSlots <= _geometry.SegmentOf(_log.TailAddress + (2 * _geometry.PageBytes)) + Math.Max(1, ReservedAheadBytes >> _geometry.SegmentBits))
        {
            var free = _files.FreeBytes();
            try
            {
                RequireSpace(free);

                // With its table's: space for one without the other would be found missing when others have filled the disk.
                _contents.Reserve(_reservedSlots);
                _ring.File.Allocate(_reservedSlots * _geometry.SegmentBytes, _geometry.SegmentBytes);
                _reservedSlots++;
                _progress.Set();
            }
            catch (IOException e) when (Native.IsFull(e.HResult) && _reservedSlots >= RingGeometry.MinSlots && _log.TailAddress <= _geometry.AddressOf(_reservedSlots))
            {
                lock (_appendLock)
                {
                    _geometry.Shrink(_reservedSlots);
                }

                _unsavedGeometry = true;
                _ring.File.GiveBackFrom(_geometry.CapacityBytes);
                SaveGeometry();
                LogSmallerRing(_logger, _files.Directory, _geometry.ConfiguredSlots * _geometry.SegmentBytes >> 20, free >> 20, _files.FreeSpaceReserveBytes >> 20, _geometry.CapacityBytes >> 20, e.Message);
                return;
            }
        }
    }

    /// <summary>A full disk may not even take the new shape, without which a restart finds nothing: until it does, it is tried again.</summary>
    private void SaveGeometry()
    {
        if (!_unsavedGeometry)
        {
            return;
        }

        try
        {
            _files.SaveGeometry();
            _unsavedGeometry = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Interlocked.Increment(ref _counters.IoErrors);
        }
    }

    /// <summary>A device that stepped aside for lack of space comes back only when there is some.</summary>
    /// <exception cref="IOException">There is not.</exception>
    internal void RequireSpaceToStart()
    {
        if (_reservedSlots < Math.Min(RingGeometry.MinSlots, _geometry.Slots))
        {
            RequireSpace(_files.FreeBytes());
        }
    }

    private void RequireSpace(long free)
    {
        if (free < _files.FreeSpaceReserveBytes + _geometry.SegmentBytes)
        {
            throw new IOException(
                $"{free >> 20} MiB are free and {_files.FreeSpaceReserveBytes >> 20} MiB of them are to stay free: free space, or lower Cache:Nvme:CapacityBytes.", Native.NoSpace);
        }
    }

    /// <summary>Reads the headers of all tables: which segments are there, and where the log goes on.</summary>
    private (long Begin, long Tail) FindLog()
    {
        var segments = new List<long>();
        for (var slot = 0; slot < _geometry.Slots; slot++)
        {
            var segment = _contents.SegmentIn(slot, out _);
            if (segment >= 0)
            {
                segments.Add(segment);
            }
        }

        if (segments.Count == 0)
        {
            return (0, 0);
        }

        // Newest first: they matter most, and an older copy of a block must not hide a newer one.
        segments.Sort((a, b) => b.CompareTo(a));
        var last = segments[0];
        var first = Math.Max(0, last + 1 - (_geometry.Slots - RestartReserve));
        var fileSlots = _files.Data.Length >> _geometry.SegmentBits;
        foreach (var segment in segments)
        {
            if (segment >= first && segment % _geometry.Slots < fileSlots)
            {
                _toRecover.Enqueue(segment);
            }
        }

        // A fresh segment: what the last one holds beyond its table is unknown.
        _recovering = _toRecover.Count > 0;
        return (_geometry.AddressOf(first), _geometry.AddressOf(last + 1));
    }

    private void RecoverOne()
    {
        if (!_toRecover.TryDequeue(out var segment))
        {
            return;
        }

        try
        {
            Recover(segment);
        }
        finally
        {
            EndRecovery();
        }
    }

    private void Recover(long segment)
    {
        // Evicted before it could be recovered.
        if (_geometry.AddressOf(segment) < _ring.BeginAddress)
        {
            return;
        }

        foreach (var entry in _contents.Load(segment))
        {
            var address = _geometry.AddressOf(segment) + entry.Offset;
            if (!_removedInRecovery.ContainsKey(entry.Id) && _index.TryAdd(entry.Id, address, entry.Length))
            {
                Interlocked.Increment(ref _counters.BlocksRecovered);
                if (_removedInRecovery.ContainsKey(entry.Id))
                {
                    Remove(entry.Id, address);
                }
            }
            else
            {
                // Removed meanwhile, or an older copy, which must not come back when the newer is.
                _removed.Add(address);
            }
        }
    }

    private void EndRecovery()
    {
        if (_toRecover.Count == 0)
        {
            _recovering = false;
            _removedInRecovery.Clear();
            var elapsed = Stopwatch.GetElapsedTime(_openedTimestamp);
            Interlocked.Exchange(ref _counters.RecoveryTicks, elapsed.Ticks);
            LogRecovered(_logger, _files.Directory, _counters.BlocksRecovered, (long)elapsed.TotalMilliseconds);
        }
    }

    /// <summary>A ring of another size than configured, for which nothing else says why.</summary>
    private void LogShape(long configuredBytes)
    {
        var whole = _geometry.ConfiguredSlots * _geometry.SegmentBytes;
        if (_geometry.CapacityBytes < whole)
        {
            LogStillSmaller(_logger, _files.Directory, _geometry.CapacityBytes >> 20, whole >> 20);
        }
        else if (whole > configuredBytes)
        {
            LogLarger(_logger, _files.Directory, _geometry.CapacityBytes >> 20, _maxBlockBytes >> 10, configuredBytes >> 20);
        }
    }

    [LoggerMessage(3211, LogLevel.Information, "NVMe {Directory}: {Blocks} blocks are back after {ElapsedMs} ms")]
    private static partial void LogRecovered(ILogger logger, string directory, long blocks, long elapsedMs);

    [LoggerMessage(3212, LogLevel.Warning, "NVMe tier needs {NeededMiB} MiB at {Directory}, {FreeMiB} MiB are free and {ReserveMiB} MiB of them stay so: going on with {CapacityMiB} MiB; lower NvmeCapacityBytes or free space ({Reason})")]
    private static partial void LogSmallerRing(ILogger logger, string directory, long neededMiB, long freeMiB, long reserveMiB, long capacityMiB, string reason);

    [LoggerMessage(3214, LogLevel.Warning, "NVMe {Directory} holds {CapacityMiB} MiB, not the {ConfiguredMiB} MiB configured: the disk had no more free when it was first filled, and stays so; to have all of it, stop the proxy, free space and delete the file 'format' there (it starts cold)")]
    private static partial void LogStillSmaller(ILogger logger, string directory, long capacityMiB, long configuredMiB);

    [LoggerMessage(3215, LogLevel.Warning, "NVMe {Directory} takes up to {CapacityMiB} MiB, more than the {ConfiguredMiB} MiB configured for it: blocks of {BlockKiB} KiB need as many; lower Cache:BlockSizeBytes, raise Cache:Nvme:CapacityBytes or use fewer directories")]
    private static partial void LogLarger(ILogger logger, string directory, long capacityMiB, long blockKiB, long configuredMiB);
}
