using Proxy.S3.Errors;

namespace Proxy.Backends.Remote;

/// <summary>How many reads of our own the backend gets at once, and which of those that wait is next.</summary>
/// <remarks>
/// The number is halved when the backend says 503 and raised by one for each full round of successes. Oldest first: a read that was told 503 goes back to where its age
/// belongs. A backend that refuses is left alone by all of them for a pause of random length, and then asked by the oldest alone; once that one is answered the others
/// follow. So a limiter that counts by the second is met again in its next second by whoever has waited longest, rather than by each reader on a clock of its own that may
/// miss it every time. Reads that a client's own pace holds up have at most half of the turns, or some slow clients would have them all while the backend idles. Listings
/// pass here too. Forwarded writes and the reads of the write-ahead log do not: holding them back would be felt at once. Thread-safe.
/// </remarks>
internal sealed class ReadLimit : IDisposable
{
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(1);

    /// <summary>What limiters count by. A scout is sent once in that time at the least, on average twice.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    /// <summary>After so long without a refusal the last one's pause says nothing of the next.</summary>
    private static readonly TimeSpan PauseIsForgotten = TimeSpan.FromSeconds(10);

    private readonly BackendHealthOptions _options;
    private readonly TimeProvider _time;
    private readonly TimeSpan _firstPause;
    private readonly TimeSpan _readTimeout;
    private readonly ITimer _pauseOver;
    private readonly Lock _lock = new();
    private readonly LinkedList<Waiter> _waiting = [];
    private readonly LinkedList<Waiter> _waitingAtReadersPace = [];
    private double _limit;
    private long _loweredAt;
    private int _inUse;
    private int _atReadersPace;
    private bool _refuses;
    private bool _scoutIsDue;
    private int _sight;
    private TimeSpan _pause;
    private long _refusedAt;

    /// <param name="firstPause">Longest pause after the first refusal, 1 s at the most; null is 100 ms. It doubles with each scout that is refused and halves with each that is answered.</param>
    /// <param name="readTimeout">Longest a read waits for the head of its answer; null is without end.</param>
    public ReadLimit(BackendHealthOptions options, TimeProvider time, TimeSpan? firstPause = null, TimeSpan? readTimeout = null)
    {
        (_options, _time) = (options, time);
        _firstPause = WithinBounds(firstPause ?? TimeSpan.FromMilliseconds(100));
        _readTimeout = readTimeout ?? Timeout.InfiniteTimeSpan;
        _limit = options.MaxConcurrency;
        _pause = _firstPause;
        _pauseOver = time.CreateTimer(static state => ((ReadLimit)state!).SendScout(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Where the limit stands now.</summary>
    public int Current
    {
        get
        {
            lock (_lock)
            {
                return (int)_limit;
            }
        }
    }

    /// <summary>The backend has lately said that it gets too much.</summary>
    public bool IsLowered
    {
        get
        {
            lock (_lock)
            {
                return _limit < _options.MaxConcurrency / 2.0;
            }
        }
    }

    public int InUse
    {
        get
        {
            lock (_lock)
            {
                return _inUse;
            }
        }
    }

    /// <summary>Nobody reads and nobody waits to.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_lock)
            {
                return _inUse == 0 && _waiting.Count == 0 && _waitingAtReadersPace.Count == 0;
            }
        }
    }

    /// <param name="atReadersPace">Whoever reads the body may take its time.</param>
    /// <returns>A turn; dispose it when the body was read.</returns>
    /// <exception cref="S3Exception">SlowDown 503 when no turn came in time, or <see cref="RefuseAll"/> ended the wait.</exception>
    public async ValueTask<ReadTurn> EnterAsync(CancellationToken cancellation, bool atReadersPace = false)
    {
        var since = _time.GetTimestamp();
        LinkedListNode<Waiter> node;
        lock (_lock)
        {
            var queue = QueueOf(atReadersPace);
            if (queue.Count == 0 && TryAdmit_NeedsLock(atReadersPace))
            {
                return new ReadTurn(this, since, _readTimeout, _sight) { AtReadersPace = atReadersPace };
            }

            node = queue.AddLast(new Waiter(since, atReadersPace));
        }

        return await WaitAsync(node, cancellation).ConfigureAwait(false) is { } sight
            ? new ReadTurn(this, since, _readTimeout, sight) { AtReadersPace = atReadersPace }
            : throw SdkErrors.SlowDown(null, $"Too many reads are waiting for the backend ({Current} at once).", null);
    }

    /// <summary>The backend said 503 or 429 to a read: the others are held back, and it waits for its next turn.</summary>
    /// <returns>False when none came in time.</returns>
    public async ValueTask<bool> RefusedAsync(ReadTurn turn, CancellationToken cancellation)
    {
        LinkedListNode<Waiter> node;
        lock (_lock)
        {
            GiveBack_NeedsLock(turn.AtReadersPace);
            if (turn.Sight == _sight)
            {
                Refused_NeedsLock();
            }

            var queue = QueueOf(turn.AtReadersPace);
            var younger = queue.First;
            while (younger is not null && younger.Value.Since <= turn.Since)
            {
                younger = younger.Next;
            }

            var waiter = new Waiter(turn.Since, turn.AtReadersPace);
            node = younger is null ? queue.AddLast(waiter) : queue.AddBefore(younger, waiter);
            Admit_NeedsLock();
        }

        if (await WaitAsync(node, cancellation).ConfigureAwait(false) is not { } sight)
        {
            return false;
        }

        turn.Sight = sight;
        return true;
    }

    /// <summary>A read was answered, and not with 503: whoever waits may go on.</summary>
    public void Answered(ReadTurn turn)
    {
        lock (_lock)
        {
            if (!_refuses || turn.Sight != _sight)
            {
                return;
            }

            _refuses = false;
            _sight++;
            _pause = WithinBounds(_pause / 2);
            _pauseOver.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            Admit_NeedsLock();
        }
    }

    public void Succeeded()
    {
        lock (_lock)
        {
            _limit = Math.Min(_options.MaxConcurrency, _limit + (1 / _limit));
            Admit_NeedsLock();
        }
    }

    public void Throttled()
    {
        lock (_lock)
        {
            Lower_NeedsLock(_time.GetTimestamp());
        }
    }

    /// <summary>Nobody need wait any longer: the backend cannot be reached.</summary>
    public void RefuseAll(string why)
    {
        lock (_lock)
        {
            foreach (var waiter in _waiting.Concat(_waitingAtReadersPace))
            {
                waiter.Turn.TrySetException(SdkErrors.SlowDown(null, why, null));
            }

            _waiting.Clear();
            _waitingAtReadersPace.Clear();
        }
    }

    public void Leave(ReadTurn turn)
    {
        lock (_lock)
        {
            GiveBack_NeedsLock(turn.AtReadersPace);
            Admit_NeedsLock();
        }
    }

    public TimeSpan TimeLeft(long since, TimeSpan patience)
        => patience == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue
         : patience - _time.GetElapsedTime(since) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

    public void Dispose() => _pauseOver.Dispose();

    /// <returns>What is known of the backend as the turn is given; null when none came in time.</returns>
    private async ValueTask<int?> WaitAsync(LinkedListNode<Waiter> node, CancellationToken cancellation)
    {
        try
        {
            return await node.Value.Turn.Task.WaitAsync(TimeLeft(node.Value.Since, _options.MaxWait), _time, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is TimeoutException or OperationCanceledException)
        {
            lock (_lock)
            {
                if (node.List is { } queue)
                {
                    queue.Remove(node);
                }
                else if (node.Value.Turn.Task.IsCompletedSuccessfully)
                {
                    // The turn came at the same moment: it goes to the next one.
                    GiveBack_NeedsLock(node.Value.AtReadersPace);
                    Admit_NeedsLock();
                }
            }

            if (failure is TimeoutException)
            {
                return null;
            }

            throw;
        }
    }

    /// <summary>News from one that was sent after the last news: the first refusal holds everybody back, a scout's makes the pause longer.</summary>
    private void Refused_NeedsLock()
    {
        var now = _time.GetTimestamp();
        if (_refuses)
        {
            _pause = WithinBounds(_pause * 2);
        }
        else
        {
            _refuses = true;
            _sight++;
            _pause = _time.GetElapsedTime(_refusedAt, now) > PauseIsForgotten ? _firstPause : _pause;
            Lower_NeedsLock(now);
        }

        _refusedAt = now;
        _scoutIsDue = false;
        Pause_NeedsLock();
    }

    /// <summary>Full jitter: several proxies that one backend refused together do not come back together.</summary>
    private void Pause_NeedsLock() => _pauseOver.Change(_pause * Random.Shared.NextDouble(), Timeout.InfiniteTimeSpan);

    private static TimeSpan WithinBounds(TimeSpan pause) => pause < ShortestPause ? ShortestPause : pause > LongestPause ? LongestPause : pause;

    private void SendScout()
    {
        lock (_lock)
        {
            if (!_refuses)
            {
                return;
            }

            _scoutIsDue = true;
            Admit_NeedsLock();
        }
    }

    private void Lower_NeedsLock(long now)
    {
        // All that were in flight together are refused together: they are one sign, not many.
        if (_loweredAt != 0 && _time.GetElapsedTime(_loweredAt, now) < TimeSpan.FromMilliseconds(250))
        {
            return;
        }

        _loweredAt = now;
        _limit = Math.Max(Math.Min(_options.MinConcurrency, _options.MaxConcurrency), _limit / 2);
    }

    private void Admit_NeedsLock()
    {
        while (Oldest_NeedsLock() is { } oldest && TryAdmit_NeedsLock(oldest.Value.AtReadersPace))
        {
            oldest.List!.Remove(oldest);
            oldest.Value.Turn.SetResult(_sight);
        }
    }

    /// <summary>Of those that are not held back by their own kind.</summary>
    private LinkedListNode<Waiter>? Oldest_NeedsLock()
    {
        var (quick, slow) = (_waiting.First, _atReadersPace < MostAtReadersPace ? _waitingAtReadersPace.First : null);
        return quick is null || slow?.Value.Since < quick.Value.Since ? slow : quick;
    }

    private LinkedList<Waiter> QueueOf(bool atReadersPace) => atReadersPace ? _waitingAtReadersPace : _waiting;

    private int MostAtReadersPace => Math.Max(1, (int)_limit / 2);

    private void GiveBack_NeedsLock(bool atReadersPace)
    {
        _inUse--;
        _atReadersPace -= atReadersPace ? 1 : 0;
    }

    private bool TryAdmit_NeedsLock(bool atReadersPace)
    {
        // What clients hold up since before the limit fell takes no more than its half of it.
        var counted = _inUse - Math.Max(0, _atReadersPace - MostAtReadersPace);
        if (counted >= (int)_limit || (atReadersPace && _atReadersPace >= MostAtReadersPace) || (_refuses && !_scoutIsDue))
        {
            return false;
        }

        if (_refuses)
        {
            // One at a time, but for one that is never answered: the next follows after another pause.
            _scoutIsDue = false;
            Pause_NeedsLock();
        }

        _inUse++;
        _atReadersPace += atReadersPace ? 1 : 0;
        return true;
    }

    private sealed class Waiter(long since, bool atReadersPace)
    {
        public long Since { get; } = since;

        public bool AtReadersPace { get; } = atReadersPace;

        public TaskCompletionSource<int> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
