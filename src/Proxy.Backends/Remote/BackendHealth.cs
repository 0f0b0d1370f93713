namespace Proxy.Backends.Remote;

/// <summary>Knows which endpoints can be reached: a breaker for each, and turns among those that work.</summary>
/// <remarks>
/// An endpoint that could not be connected to several times in a row is left alone for a while, so that requests fail at once instead of
/// each waiting for its own timeout; then one request at a time may try it. Any answer, also an error, closes the breaker. Thread-safe.
/// </remarks>
internal sealed class BackendHealth(int endpoints, BackendHealthOptions options, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly State[] _states = [.. Enumerable.Range(0, endpoints).Select(_ => new State())];
    private int _turn;

    /// <summary>Whether a request made now would be tried.</summary>
    public bool IsReachable
    {
        get
        {
            lock (_lock)
            {
                var now = time.GetTimestamp();
                return Array.Exists(_states, state => MayTry_NeedsLock(state, now));
            }
        }
    }

    /// <summary>Endpoints being left alone: until one answers again, also while it may be tried.</summary>
    public int OpenCount
    {
        get
        {
            lock (_lock)
            {
                return _states.Count(state => state.IsOpen);
            }
        }
    }

    /// <returns>False when every endpoint is being left alone.</returns>
    public bool TryPick(out int endpoint)
    {
        lock (_lock)
        {
            var now = time.GetTimestamp();
            for (var i = 0; i < _states.Length; i++)
            {
                endpoint = (_turn + i) % _states.Length;
                var state = _states[endpoint];
                if (!MayTry_NeedsLock(state, now))
                {
                    continue;
                }

                if (state.IsOpen)
                {
                    // The probe. Should it never report back, the next one may go after the same pause.
                    state.OpenedAt = now;
                }

                _turn = (endpoint + 1) % _states.Length;
                return true;
            }

            endpoint = -1;
            return false;
        }
    }

    /// <summary>While somebody looks after an endpoint that is being left alone, no request is spent on trying it.</summary>
    public void Watch(int endpoint, bool isWatched)
    {
        lock (_lock)
        {
            _states[endpoint].IsWatched = isWatched;
        }
    }

    /// <summary>Whether it is not being left alone.</summary>
    public bool IsUsable(int endpoint)
    {
        lock (_lock)
        {
            return !_states[endpoint].IsOpen;
        }
    }

    /// <summary>The endpoint answered something.</summary>
    /// <returns>True when it was being left alone until now.</returns>
    public bool Reached(int endpoint)
    {
        lock (_lock)
        {
            var wasOpen = _states[endpoint].IsOpen;
            _states[endpoint].Failures = 0;
            _states[endpoint].IsOpen = false;
            return wasOpen;
        }
    }

    /// <summary>No connection, or no answer in time.</summary>
    /// <returns>True when this made it be left alone.</returns>
    public bool Unreachable(int endpoint)
    {
        lock (_lock)
        {
            var state = _states[endpoint];
            state.Failures++;
            if (state.Failures < options.FailuresToOpen)
            {
                return false;
            }

            var wasOpen = state.IsOpen;
            state.IsOpen = true;
            state.OpenedAt = time.GetTimestamp();
            return !wasOpen;
        }
    }

    private bool MayTry_NeedsLock(State state, long now) => !state.IsOpen || (!state.IsWatched && time.GetElapsedTime(state.OpenedAt, now) >= options.OpenFor);

    private sealed class State
    {
        public int Failures { get; set; }

        public bool IsOpen { get; set; }

        public bool IsWatched { get; set; }

        public long OpenedAt { get; set; }
    }
}
