using Proxy.Cache.Blocks;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;

namespace Proxy.Cache.Fills;

/// <summary>How a fill ended, or that it has not.</summary>
internal enum FillEnd
{
    Running,
    Complete,

    /// <summary>The pool had no memory for the next block: its readers go on without the tiers.</summary>
    NoMemory,

    /// <summary>Nobody waited any more.</summary>
    Cancelled,

    /// <summary>The backend has another version, or none with this ETag.</summary>
    VersionChanged,
    Failed,
}

/// <summary>Lets any number of readers wait for one fetch of neighbouring blocks, and read bytes as they arrive.</summary>
/// <remarks>
/// Made and driven by <see cref="FillCoordinator"/>; its gate is the coordinator's partition lock, held briefly. Bytes before <see cref="_received"/> never
/// change again, so readers need no lock to copy them. The blocks stay until the fill has ended and the last reader has left.
/// </remarks>
internal sealed class Fill(CatalogEntry entry, GenerationToken token, List<BlockPlace> units, Lock gate, bool keepWithoutReaders, Origin origin, TimeProvider time)
{
    /// <summary>For how long a reader waits for a whole step while something is there: clients take silence for a broken connection.</summary>
    private static readonly TimeSpan LongestStep = TimeSpan.FromSeconds(1);

    private readonly Block?[] _blocks = new Block?[units.Count];
    private long _received = units[0].Start;
    private int _published;
    private int _readers;
    private bool _everRead;
    private int _end;
    private TaskCompletionSource? _pulse;
    private long _pulseAt;
    private long _pulseSince;

    public CatalogEntry Entry { get; } = entry;

    public GenerationToken Token { get; } = token;

    /// <summary>What began it; whoever joins it changes nothing.</summary>
    public Origin Origin { get; } = origin;

    public List<BlockPlace> Units { get; } = units;

    public Lock Gate { get; } = gate;

    public long Start => Units[0].Start;

    public long StopsAt => Units[^1].End;

    public long Bytes => StopsAt - Start;

    /// <summary>Offset of the first byte that has not arrived.</summary>
    public long Received => Volatile.Read(ref _received);

    public FillEnd End => (FillEnd)Volatile.Read(ref _end);

    /// <summary>What readers are told once <see cref="End"/> is Failed or VersionChanged.</summary>
    public Exception? Error { get; private set; }

    /// <summary>Ends the backend request when a stalled fill has nobody waiting.</summary>
    public CancellationTokenSource Stop { get; } = new();

    public bool Covers(long position) => position >= Start && position < StopsAt;

    /// <summary>Whether every block that has arrived was published, so that a reader finds it again without this fill.</summary>
    public bool AllPublished => End == FillEnd.Complete && Volatile.Read(ref _published) == Units.Count;

    // For readers.

    public void Join_NeedsLock()
    {
        if (_readers == 0 && _everRead && _end == (int)FillEnd.Running)
        {
            // The last one to leave has set it a term.
            Stop.CancelAfter(Timeout.InfiniteTimeSpan);
        }

        _readers++;
        _everRead = true;
    }

    public void Leave(TimeSpan patience)
    {
        var stalls = false;
        lock (Gate)
        {
            _readers--;
            ReleaseIfOver_NeedsLock();
            stalls = _readers == 0 && _end == (int)FillEnd.Running;
        }

        if (stalls)
        {
            // A backend that answers is stopped at the next block's end; one that hangs, by this.
            try
            {
                Stop.CancelAfter(patience);
            }
            catch (ObjectDisposedException)
            {
                // It ended between the lock and here.
            }
        }
    }

    /// <summary>The bytes from <paramref name="position"/> that have arrived and lie in one block, up to <paramref name="end"/>; empty when none has.</summary>
    /// <remarks>Valid until the reader leaves.</remarks>
    public ReadOnlyMemory<byte> Peek(long position, long end)
    {
        var received = Received;
        if (position >= received)
        {
            return default;
        }

        var index = IndexOf(position);
        var place = Units[index];
        var stop = Math.Min(Math.Min(place.End, received), end);
        return _blocks[index]!.Memory.Slice((int)(position - place.Start), (int)(stop - position));
    }

    /// <summary>Completes when a byte at <paramref name="position"/> has arrived or the fill ended.</summary>
    /// <param name="step">Bytes worth being woken for: one who has to wait waits for so many, or the end, or the first that come after a second. What is there already is not held back.</param>
    public ValueTask WaitAsync(long position, long step, CancellationToken cancellation)
        => NextPulse(position, step) is { } pulse ? WaitAsync(pulse, position, step, cancellation) : default;

    private async ValueTask WaitAsync(TaskCompletionSource? pulse, long position, long step, CancellationToken cancellation)
    {
        // All are woken for the one who wants the least: whoever waits for bytes further on waits again.
        for (; pulse is not null; pulse = NextPulse(position, step))
        {
            await pulse.Task.WaitAsync(cancellation);
        }
    }

    /// <returns>Null when there is nothing to wait for.</returns>
    private TaskCompletionSource? NextPulse(long position, long step)
    {
        lock (Gate)
        {
            if (_received > position || _end != (int)FillEnd.Running)
            {
                return null;
            }

            if (_pulse is null)
            {
                (_pulseAt, _pulseSince) = (StopsAt, time.GetTimestamp());
            }

            _pulseAt = Math.Min(_pulseAt, position + step);
            return _pulse ??= new TaskCompletionSource(_readers > 1 ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None);
        }
    }

    // For the coordinator's pump.

    /// <summary>Whether the pump should stop here: nobody reads, and what is left is not worth having.</summary>
    public bool IsAbandoned
    {
        get
        {
            lock (Gate)
            {
                return _everRead && _readers == 0 && !keepWithoutReaders;
            }
        }
    }

    public int IndexOf(long position)
    {
        int low = 0, high = Units.Count - 1;
        while (low < high)
        {
            var middle = (low + high + 1) >> 1;
            if (Units[middle].Start <= position)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low;
    }

    public Block? BlockOf(int index) => _blocks[index];

    public void Place(int index, Block block) => _blocks[index] = block;

    public void MarkPublished() => Interlocked.Increment(ref _published);

    public void Advance(int bytes)
    {
        TaskCompletionSource? pulse;
        lock (Gate)
        {
            Volatile.Write(ref _received, _received + bytes);

            // With the last byte comes the end, a few microseconds later, which wakes them too.
            if (_pulse is null || _received == StopsAt || (_received < _pulseAt && time.GetElapsedTime(_pulseSince) < LongestStep))
            {
                return;
            }

            (pulse, _pulse) = (_pulse, null);
        }

        // Elsewhere, all of them: who brings the bytes goes on bringing them.
        if (pulse.Task.CreationOptions.HasFlag(TaskCreationOptions.RunContinuationsAsynchronously))
        {
            pulse.TrySetResult();
            return;
        }

        _ = Task.Factory.StartNew(static waiting => ((TaskCompletionSource)waiting!).TrySetResult(), pulse, CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current);
    }

    /// <returns>What readers wait for, if any do: completed by the caller when it has nothing else to do, since a lone reader goes on right there.</returns>
    public TaskCompletionSource? Finish(FillEnd end, Exception? error)
    {
        TaskCompletionSource? pulse;
        lock (Gate)
        {
            Error = error;
            Volatile.Write(ref _end, (int)end);
            (pulse, _pulse) = (_pulse, null);
            ReleaseIfOver_NeedsLock();
        }

        Stop.Dispose();
        return pulse;
    }

    private void ReleaseIfOver_NeedsLock()
    {
        if (_end == (int)FillEnd.Running || _readers > 0)
        {
            return;
        }

        foreach (ref var block in _blocks.AsSpan())
        {
            // Null first: this may run again when a reader that joined late leaves.
            var held = block;
            block = null;
            held?.Release();
        }
    }
}
