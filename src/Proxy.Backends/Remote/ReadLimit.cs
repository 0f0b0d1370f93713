using Proxy.S3.Errors;

namespace Proxy.Backends.Remote;

/// <summary>How many reads of our own the backend gets at once: halved when it says 503, raised by one for each full round of successes.</summary>
/// <remarks>First come, first served. Listings pass here too. Forwarded writes and the reads of the write-ahead log do not: holding them back
/// would be felt at once. Thread-safe.</remarks>
internal sealed class ReadLimit(BackendHealthOptions options, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private double _limit = options.MaxConcurrency;
    private long _loweredAt;
    private int _inUse;

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
                return _limit < options.MaxConcurrency / 2.0;
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

    /// <returns>A turn; dispose it when the body was read.</returns>
    /// <exception cref="S3Exception">SlowDown 503 when no turn came in time.</exception>
    public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellation)
    {
        LinkedListNode<TaskCompletionSource> node;
        lock (_lock)
        {
            if (_inUse < (int)_limit && _waiting.Count == 0)
            {
                _inUse++;
                return new Turn(this);
            }

            node = _waiting.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        try
        {
            await node.Value.Task.WaitAsync(options.MaxWait, time, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is TimeoutException or OperationCanceledException)
        {
            lock (_lock)
            {
                if (node.List is not null)
                {
                    _waiting.Remove(node);
                }
                else
                {
                    // The turn came at the same moment: it goes to the next one.
                    _inUse--;
                    Admit_NeedsLock();
                }
            }

            if (failure is TimeoutException)
            {
                throw SdkErrors.SlowDown(null, $"Too many reads are waiting for the backend ({Current} at once).", failure);
            }

            throw;
        }

        return new Turn(this);
    }

    public void Succeeded()
    {
        lock (_lock)
        {
            _limit = Math.Min(options.MaxConcurrency, _limit + (1 / _limit));
            Admit_NeedsLock();
        }
    }

    public void Throttled()
    {
        lock (_lock)
        {
            // All that were in flight together are refused together: they are one sign, not many.
            var now = time.GetTimestamp();
            if (_loweredAt != 0 && time.GetElapsedTime(_loweredAt, now) < TimeSpan.FromMilliseconds(250))
            {
                return;
            }

            _loweredAt = now;
            _limit = Math.Max(Math.Min(options.MinConcurrency, options.MaxConcurrency), _limit / 2);
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            _inUse--;
            Admit_NeedsLock();
        }
    }

    private void Admit_NeedsLock()
    {
        while (_inUse < (int)_limit && _waiting.First is { } first)
        {
            _waiting.RemoveFirst();
            _inUse++;
            first.Value.SetResult();
        }
    }

    private sealed class Turn(ReadLimit limit) : IDisposable
    {
        private ReadLimit? _limit = limit;

        public void Dispose() => Interlocked.Exchange(ref _limit, null)?.Leave();
    }
}
