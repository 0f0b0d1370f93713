namespace Proxy.Server.Transport;

/// <summary>One direction of a socket: whether it is worth a try, and whether somebody waits until it is.</summary>
/// <remarks>
/// Events come once for each change (EPOLLET), on the loop's thread; tries are made on any thread, one at a time. <see cref="Clear"/> before a try, <see cref="TryWait"/>
/// after one that got nothing: an event in between is never lost. Thread-safe.
/// </remarks>
internal struct SocketReadiness
{
    private const int Blocked = 0;
    private const int Ready = 1;
    private const int Awaited = 2;

    private int _state;

    public readonly bool IsReady => Volatile.Read(in _state) == Ready;

    /// <summary>Before a try: what arrives from now on is an event of its own.</summary>
    public void Clear() => Interlocked.Exchange(ref _state, Blocked);

    /// <summary>A try got all it asked for: there may be more.</summary>
    public void Set() => Volatile.Write(ref _state, Ready);

    /// <returns>False: an event came since <see cref="Clear"/>; try again. True: whoever gets true from <see cref="TryWake"/> or <see cref="TryCancelWait"/> goes on.</returns>
    public bool TryWait() => Interlocked.CompareExchange(ref _state, Awaited, Blocked) == Blocked;

    /// <summary>An event.</summary>
    /// <returns>True: somebody waited, and the caller must go on for them.</returns>
    public bool TryWake() => Volatile.Read(ref _state) != Ready && Interlocked.Exchange(ref _state, Ready) == Awaited;

    /// <returns>True: somebody waited, who has to be told by the caller why the wait is over.</returns>
    public bool TryCancelWait() => Interlocked.CompareExchange(ref _state, Blocked, Awaited) == Awaited;
}
