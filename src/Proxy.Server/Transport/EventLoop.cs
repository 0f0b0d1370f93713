using Proxy.Cache;

namespace Proxy.Server.Transport;

/// <summary>One thread that waits for what happens to its connections' sockets, and lets those who wait for it go on, right there.</summary>
/// <remarks>
/// A request is parsed, authenticated and, when it is a hit, answered on the very thread that saw its bytes arrive; what may take longer leaves it first
/// (<see cref="IoThread.LeaveAsync"/>). Nobody has more than a turn: who has read or sent as much as one allows goes on in the next round (<see cref="Later"/>), after
/// everybody else with something to do.
/// </remarks>
internal sealed partial class EventLoop : IDisposable
{
    private const int EventsAtOnce = 256;

    [ThreadStatic]
    private static EventLoop? _current;

    private readonly Epoll _epoll = new(EventsAtOnce);
    private readonly ILogger _logger;
    private readonly long _stallMilliseconds;
    private readonly long _keepAliveMilliseconds;
    private readonly Thread _thread;
    private readonly LoopPipes? _pipes;
    private long _lentBytes;
    private readonly Lock _lock = new();
    private readonly Stack<int> _free = new();
    private readonly LookClock _looks = new();
    private SocketConnection?[] _connections = new SocketConnection?[64];
    private int _places;
    private uint _serial;
    private int _count;
    private List<IHasTurns> _later = [];
    private List<IHasTurns> _due = [];
    private int _toldOf;
    private volatile bool _isStopping;
    private bool _closesItself;

    /// <param name="stallTimeout">A client that takes nothing of its answer for so long is left.</param>
    /// <param name="keepAlive">A client that asks nothing for so long is left.</param>
    /// <param name="zeroCopy">Whether what may be lent is sent without copying it, where the system can.</param>
    public EventLoop(int number, TimeSpan stallTimeout, TimeSpan keepAlive, bool zeroCopy, ILogger logger)
    {
        (_logger, _stallMilliseconds, _keepAliveMilliseconds) = (logger, (long)stallTimeout.TotalMilliseconds, (long)keepAlive.TotalMilliseconds);
        _pipes = zeroCopy ? new LoopPipes(loops: Environment.ProcessorCount) : null;
        _thread = new Thread(Run) { IsBackground = true, Name = $"s3 loop {number}" };
        _thread.Start();
    }

    /// <summary>Connections it serves.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <inheritdoc cref="LoopPipes.IsUsable"/>
    public bool ZeroCopy => _pipes is { IsUsable: true };

    /// <inheritdoc cref="SocketTransport.LentBytes"/>
    public long LentBytes => Interlocked.Read(ref _lentBytes);

    /// <summary>Whether the caller runs on its thread.</summary>
    public bool IsCurrent => _current == this;

    /// <summary>Whether the caller runs on a loop's thread, and nobody else is known to wait for it in this round.</summary>
    public static bool IsQuiet => _current is { } loop && loop._toldOf + loop._later.Count + loop._due.Count <= 1;

    /// <summary>The number of the round; changes on its thread alone.</summary>
    public long Round { get; private set; }

    /// <inheritdoc cref="LoopPipes.Borrow"/>
    public ZeroCopyPipe? BorrowPipe() => _pipes?.Borrow(own: IsCurrent);

    /// <param name="lentBytes">What went through it.</param>
    public void ReturnPipe(ZeroCopyPipe pipe, int lentBytes)
    {
        Interlocked.Add(ref _lentBytes, lentBytes);
        _pipes!.Return(pipe, own: IsCurrent);
    }

    /// <summary>Begins to tell a connection of its socket's events; some may come before this returns.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">The system watches no more sockets for this user.</exception>
    public void Add(SocketConnection connection)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out var place))
            {
                place = _places++;
                if (place == _connections.Length)
                {
                    var larger = new SocketConnection?[place * 2];
                    _connections.CopyTo(larger, 0);
                    Volatile.Write(ref _connections, larger);
                }
            }

            // The serial number keeps an event that was on its way to a closed connection from the next one in its place.
            connection.Token = ((ulong)(++_serial & int.MaxValue) << 32) | (uint)place;
            Volatile.Write(ref _connections[place], connection);
            _count++;
        }

        try
        {
            _epoll.Add(connection.Socket, connection.Token);
        }
        catch
        {
            Remove(connection);
            throw;
        }
    }

    /// <summary>Forgets a connection, before its socket is closed.</summary>
    public void Remove(SocketConnection connection)
    {
        var place = (int)(uint)connection.Token;
        lock (_lock)
        {
            if (_connections[place] == connection)
            {
                _connections[place] = null;
                _free.Push(place);
                _count--;
            }
        }
    }

    /// <summary>Goes on with it in the next round, once however often it is asked for. For the loop's own thread.</summary>
    public void Later(IHasTurns waiting)
    {
        if (!waiting.IsQueued)
        {
            waiting.IsQueued = true;
            _later.Add(waiting);
        }
    }

    /// <summary>Ends the thread; connections should be closed by now.</summary>
    public void Dispose()
    {
        // What was waited for may end in somebody who closes the house, right there: a thread cannot wait for its own end.
        _closesItself = IsCurrent;
        _isStopping = true;
        _pipes?.Dispose();
        if (!_closesItself)
        {
            _epoll.Wake();
            _thread.Join();
            _epoll.Dispose();
        }
    }

    private void Run()
    {
        _current = this;
        SchedulerSlice.Shorten();
        while (!_isStopping)
        {
            var count = _epoll.Wait(_later.Count > 0 ? 0 : LookClock.EveryMilliseconds);
            Round++;
            _toldOf = count;

            // Before the events: whoever ends a turn from here on has the next in the next round.
            (_later, _due) = (_due, _later);
            EndStalledAndIdle();
            for (var i = 0; i < count; i++)
            {
                var (changes, token) = _epoll[i];
                if (token != Epoll.WokenToken && Find(token) is { } connection)
                {
                    GoOn(connection, changes);
                }
            }

            foreach (var waiting in _due)
            {
                waiting.IsQueued = false;
                GoOn(waiting);
            }

            _due.Clear();
        }

        _pipes?.DisposeOwn();
        if (_closesItself)
        {
            _epoll.Dispose();
        }
    }

    /// <summary>Kestrel's own minimum rate will not do: it credits a client with what it took quickly before, so one that stalls late is waited for for hours.</summary>
    private void EndStalledAndIdle()
    {
        if (!_looks.IsDue(Environment.TickCount64))
        {
            return;
        }

        foreach (var connection in Volatile.Read(ref _connections))
        {
            if (connection is not null && (_looks.IsOver(connection.Output.WaitsSince, _stallMilliseconds) || _looks.IsOver(connection.IdleSince, _keepAliveMilliseconds)))
            {
                connection.Abort();
            }
        }
    }

    private SocketConnection? Find(ulong token)
    {
        var connection = Volatile.Read(ref Volatile.Read(ref _connections)[(int)(uint)token]);
        return connection?.Token == token ? connection : null;
    }

    private void GoOn(SocketConnection connection, uint changes)
    {
        try
        {
            connection.OnChange(changes);
        }
        catch (Exception e)
        {
            LogBug(e);
            connection.Abort();
        }
    }

    private void GoOn(IHasTurns waiting)
    {
        try
        {
            waiting.OnTurn();
        }
        catch (Exception e)
        {
            LogBug(e);
        }
    }

    [LoggerMessage(4103, LogLevel.Critical, "What should have been caught by whoever it happened to came to the thread that serves connections")]
    private partial void LogBug(Exception exception);
}

/// <summary>What takes turns on an <see cref="EventLoop"/>.</summary>
internal interface IHasTurns
{
    /// <summary>Whether <see cref="EventLoop.Later"/> was asked for its next turn; the loop's.</summary>
    bool IsQueued { get; set; }

    void OnTurn();
}
