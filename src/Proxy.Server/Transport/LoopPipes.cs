namespace Proxy.Server.Transport;

/// <summary>The pipes of one loop: one for its own thread, and a few that all other threads take in turns.</summary>
/// <remarks>
/// A thread that sends a large answer is often held up with the pipe in its hands, by what the kernel does for the receiver and by threads that go before it. Who finds none
/// copies: with one for all others, a twelfth of the CPU time of 16 MiB answers at 32 connections went there (bench/results/serving-path). Any thread.
/// </remarks>
internal sealed class LoopPipes : IDisposable
{
    /// <summary>Of all loops, as many as may have <see cref="ZeroCopyPipe"/>'s full size.</summary>
    private const int MostPipes = 32;

    private const int MostForOthers = 4;
    private readonly ZeroCopyPipe?[] _others;
    private ZeroCopyPipe? _own;
    private volatile bool _isClosed;

    /// <param name="loops">How many loops the process has.</param>
    public LoopPipes(int loops)
    {
        _others = new ZeroCopyPipe?[Math.Clamp((MostPipes / loops) - 1, 1, MostForOthers)];
        var pipes = loops * (1 + _others.Length);
        _own = ZeroCopyPipe.TryOpen(pipes);
        IsUsable = _own is not null;
        for (var i = 0; IsUsable && i < _others.Length; i++)
        {
            _others[i] = ZeroCopyPipe.TryOpen(pipes);
        }
    }

    /// <summary>Whether it makes sense to lend memory at all.</summary>
    public bool IsUsable { get; private set; }

    /// <summary>A pipe for the caller alone, until <see cref="Return"/>.</summary>
    /// <param name="own">By the loop's thread.</param>
    /// <returns>Null while other threads have them, and where there is none: copy.</returns>
    public ZeroCopyPipe? Borrow(bool own)
    {
        if (own)
        {
            return Interlocked.Exchange(ref _own, null);
        }

        foreach (ref var place in _others.AsSpan())
        {
            if (Interlocked.Exchange(ref place, null) is { } pipe)
            {
                return pipe;
            }
        }

        return null;
    }

    public void Return(ZeroCopyPipe pipe, bool own)
    {
        if (pipe.IsBroken)
        {
            IsUsable = false;
            pipe.Dispose();
        }
        else if (own)
        {
            Volatile.Write(ref _own, pipe);
        }
        else
        {
            PutBack(pipe);
        }
    }

    /// <summary>Those that are lent are disposed of when they come back; the loop's thread disposes of its own, <see cref="DisposeOwn"/>.</summary>
    public void Dispose()
    {
        _isClosed = true;
        DisposeOthers();
    }

    /// <summary>By the loop's thread, at its end.</summary>
    public void DisposeOwn() => Interlocked.Exchange(ref _own, null)?.Dispose();

    private void PutBack(ZeroCopyPipe pipe)
    {
        foreach (ref var place in _others.AsSpan())
        {
            // There is one: of as many as there are places, this was lent.
            if (Interlocked.CompareExchange(ref place, pipe, null) is null)
            {
                break;
            }
        }

        if (_isClosed)
        {
            DisposeOthers();
        }
    }

    private void DisposeOthers()
    {
        foreach (ref var place in _others.AsSpan())
        {
            Interlocked.Exchange(ref place, null)?.Dispose();
        }
    }
}
