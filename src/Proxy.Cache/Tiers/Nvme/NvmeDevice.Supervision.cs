using System.Diagnostics;

namespace Proxy.Cache.Tiers.Nvme;

// Opening, watching, probing and closing: one task.
internal sealed partial class NvmeDevice
{
    private async Task SuperviseAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                if (_store is not null && _files is { } files && await HasVanishedAsync(files).ConfigureAwait(false))
                {
                    _health.Suspend("the directory's files have vanished");
                    await CloseAsync().ConfigureAwait(false);
                }

                if (_store is null)
                {
                    await OpenAsync().ConfigureAwait(false);
                }
                else if (_health.IsSuspended)
                {
                    await ProbeAsync(_store, _files!).ConfigureAwait(false);
                    if (_store.AllReadsHang(HungRead))
                    {
                        throw new IOException("Where the probe lies the device answers again; every read still hangs.");
                    }

                    if (_store.WritesHang(HungWrite))
                    {
                        throw new IOException("Where the probe lies the device answers again; what the log has written still hangs.");
                    }
                }

                if (_health.IsSuspended)
                {
                    _health.Resume();
                    LogResumed(_logger, _directory);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
            {
                _health.Suspend(e.Message);
            }

            _opened.TrySetResult();
            await WaitAsync().ConfigureAwait(false);
            if (_store is { } store)
            {
                // The door is shut first: who is sent away must not come back in and wait again.
                if (store.CountHungReads(HungRead) is var hung and > 0)
                {
                    _health.Suspend($"{hung} reads hang for more than {HungRead.TotalSeconds} s");
                }

                if (store.WritesHang(HungWrite))
                {
                    _health.Suspend($"writes hang for more than {HungWrite.TotalSeconds} s");
                }

                store.AbandonHungReads(HungRead);
            }
        }
    }

    /// <summary>On a thread of its own, as the probe: over a network a look hangs as reads do, and until it is over they are watched without it.</summary>
    private async Task<bool> HasVanishedAsync(StoreFiles files)
    {
        if (!_look.IsCompleted)
        {
            return false; // of a round before: it hangs, and nobody waits for it twice
        }

        var look = _look = Task.Factory.StartNew(() => Look(files), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return await Task.WhenAny(look, Task.Delay(ProbeInterval, _time, _stopping.Token)).ConfigureAwait(false) == look && !await look.ConfigureAwait(false);
    }

    private bool Look(StoreFiles files)
    {
        Looks?.Invoke();
        return files.StillThere();
    }

    /// <summary>On a thread of its own, as the probe: while a device that hangs keeps that, nobody waits for the directory to open.</summary>
    private async Task OpenAsync()
    {
        var started = Stopwatch.GetTimestamp();
        var open = Task.Factory.StartNew(Open, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        while (await Task.WhenAny(open, Task.Delay(ProbeInterval, _time)).ConfigureAwait(false) != open)
        {
            if (Stopwatch.GetElapsedTime(started) > HungWrite)
            {
                _health.Suspend($"opening the directory hangs for more than {HungWrite.TotalSeconds} s");
                _opened.TrySetResult();
            }

            if (_stopping.IsCancellationRequested)
            {
                throw new IOException("Opening the directory hangs.");
            }
        }

        await open.ConfigureAwait(false);
    }

    private void Open()
    {
        bool cold;
        lock (_removed)
        {
            cold = _removed.Count > MaxRemoved;
        }

        var files = StoreFiles.Open(_directory, _options, cold, (operation, offset) => Faults?.Invoke(operation, offset));
        try
        {
            var store = new SegmentStore(files, _options, _pool, _counters, _health, _late, _logger);
            if (!TryTakeOver(files, store, cold))
            {
                store.Dispose();
                throw new IOException("Nobody waits for the directory any more, or too much was removed while it opened.");
            }
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    private bool TryTakeOver(StoreFiles files, SegmentStore store, bool cold)
    {
        lock (_removed)
        {
            if (_stopping.IsCancellationRequested || (!cold && _removed.Count > MaxRemoved))
            {
                return false;
            }

            foreach (var id in _removed)
            {
                store.Remove(id);
            }

            _removed.Clear();
            (_files, _store) = (files, store);
            return true;
        }
    }

    private async Task CloseAsync()
    {
        // A full fence, as Enter's: whoever counts himself in after the look at the count below finds no store.
        if (Interlocked.Exchange(ref _store, null) is not { } store)
        {
            return;
        }

        _files = null;

        // Nobody enters any more; who is inside leaves in microseconds, since no call waits.
        while (Volatile.Read(ref _users) != 0)
        {
            await Task.Yield();
        }

        await Task.Run(store.Dispose).ConfigureAwait(false);
        Interlocked.Add(ref _writtenBefore, store.Ring.File.BytesWritten);
    }

    /// <summary>On a thread of its own: a device that hangs keeps that, while readers that were let in just before it stepped aside are still sent away.</summary>
    private async Task ProbeAsync(SegmentStore store, StoreFiles files)
    {
        var probe = Task.Factory.StartNew(() => Probe(store, files), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        while (await Task.WhenAny(probe, Task.Delay(ProbeInterval, _time)).ConfigureAwait(false) != probe)
        {
            store.AbandonHungReads(HungRead);
            if (_stopping.IsCancellationRequested)
            {
                throw new IOException("The device hangs.");
            }
        }

        await probe.ConfigureAwait(false);
    }

    /// <summary>Writes and reads back one sector beside the data; slow counts as failed.</summary>
    private unsafe void Probe(SegmentStore store, StoreFiles files)
    {
        store.RequireSpaceToStart();
        var started = Stopwatch.GetTimestamp();
        var path = Path.Combine(_directory, "probe");
        using var file = DataFile.Open(path, _options.DirectIo);
        file.Faults = files.Data.Faults;
        var memory = stackalloc byte[3 * DataFile.Alignment];
        var sector = new Span<byte>((byte*)(((nint)memory + DataFile.Alignment - 1) & -DataFile.Alignment), DataFile.Alignment);
        sector.Fill((byte)started);
        file.Write(sector, 0);
        sector.Clear();
        file.Read(sector, 0);
        if (sector.IndexOfAnyExcept((byte)started) >= 0)
        {
            throw new IOException($"{path} gives back other bytes than were written.");
        }

        if (Stopwatch.GetElapsedTime(started) > TimeSpan.FromSeconds(1))
        {
            throw new IOException("The device is still slow.");
        }
    }

    private async Task WaitAsync()
    {
        using var timer = new CancellationTokenSource(ProbeInterval, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, _stopping.Token);
        try
        {
            await _wake.WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Time for the next look, or for the end.
        }
    }
}
