using System.Diagnostics;

namespace Proxy.Cache.Tiers.Nvme;

// The writer thread: what is queued goes to the log, what has reached the disk gives its memory back. It never waits for the disk's metadata: reserving space and
// saving tables take a hundred milliseconds and more on a busy one, and a burst of writes lives on the memory that is given back meanwhile.
internal sealed partial class SegmentStore
{
    /// <summary>Whether something waits for the disk and nothing has got there for longer than <paramref name="limit"/>: until it does, the writer gives back the memory of what waits.</summary>
    /// <remarks>Asked now and then, by the one who watches the device: between two questions nothing is noticed.</remarks>
    public bool WritesHang(TimeSpan limit)
    {
        var (flushed, now) = (_log.FlushedUntilAddress, Stopwatch.GetTimestamp());
        if (flushed != _flushedSeen || (flushed >= _log.TailAddress && _pending.Count == 0))
        {
            (_flushedSeen, _flushedSeenTimestamp) = (flushed, now);
        }

        return _writesHang = Stopwatch.GetElapsedTime(_flushedSeenTimestamp, now) > limit;
    }

    private void WriteLoop()
    {
        SchedulerSlice.Shorten();
        while (!_stopped)
        {
            FinishFlushed(all: _writesHang);
            TakeLate();
            if (_pending.IsIdle)
            {
                FlushIdle();
            }

            if (!_pending.TryTake(Tick, out var write))
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
                if (_index.Set(write.Id, address, write.Length) is var before and >= 0)
                {
                    // In one step with the look: recovery and the cleaner put copies there too, and one that nobody crosses out comes back once this one was removed.
                    _removed.Add(before);
                }

                if (!_pending.IsWanted(write))
                {
                    _index.Remove(write.Id, address);
                    _removed.Add(address);
                }

                _appended.Enqueue(write);
                if (_geometry.SegmentOf(address) != _segment)
                {
                    // Upkeep reserves and evicts for the next ones, before there is no room.
                    _segment = _geometry.SegmentOf(address);
                    _wake.Set();
                }

                return true;
            }

            // The disk, the cleaner or the reservation is behind: all three report progress.
            _wake.Set();
            _progress.WaitOne(TimeSpan.FromMilliseconds(2));
            FinishFlushed(all: false);
        }

        return false;
    }

    /// <summary>Lets go of the memory of blocks that are on disk now.</summary>
    /// <param name="all">Also of those that are not, and are given up.</param>
    private void FinishFlushed(bool all)
    {
        var flushed = _log.FlushedUntilAddress;
        while (_appended.TryPeek(out var write))
        {
            var end = new RecordPlace(_geometry, write.Address, write.Length).End;
            if (end > flushed && !all)
            {
                break;
            }

            _appended.Dequeue();
            if (end > flushed || _ring.IsBad(write.Address, end))
            {
                Remove(write.Id, write.Address);
                Interlocked.Increment(ref _counters.WritesDropped);
            }
            else
            {
                Interlocked.Increment(ref _counters.BlocksWritten);
            }

            _pending.Finish(write);
        }
    }

    /// <summary>With nothing left to append, what is in the log's buffer need not wait for its page to fill. One such write at a time and one a <see cref="Tick"/>: the next takes all that came meanwhile.</summary>
    /// <remarks>A write for each small block kept the disk from flushing what the local store had been told to keep: 4 KiB PUTs took 0.55 ms with it, 0.25 ms without (bench/results/front).</remarks>
    private void FlushIdle()
    {
        var now = Stopwatch.GetTimestamp();
        if (Stopwatch.GetElapsedTime(_idleFlushTimestamp, now) < Tick)
        {
            return;
        }

        var tail = _log.TailAddress;
        if (tail > _flushAsked && _log.FlushedUntilAddress >= _flushAsked)
        {
            (_flushAsked, _idleFlushTimestamp) = (tail, now);
            _log.Flush();
        }
    }

    /// <summary>Queues what had found the queue full, as far as it is still in memory and there is room again.</summary>
    private void TakeLate()
    {
        while ((_pending.HasRoomFor(_maxBlockBytes) || _health.IsSuspended) && _late.TryTake(out var id))
        {
            if (!Contains(id))
            {
                var lease = _health.IsSuspended ? default : _late.Find(id);
                if (!lease.HasValue)
                {
                    Interlocked.Increment(ref _counters.WritesDropped);
                }
                else if (!_pending.TryAdd(id, lease))
                {
                    _late.PutBack(id);
                    lease.Dispose();
                    return;
                }
            }

            _late.Forget(id);
        }
    }
}
