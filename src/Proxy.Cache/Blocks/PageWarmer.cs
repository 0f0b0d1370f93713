namespace Proxy.Cache.Blocks;

/// <summary>Touches memory before it is rented, on a thread of its own, so that a growing pool's users do not wait for the system to find pages.</summary>
/// <remarks>
/// The first touch of a page can cost more than the bytes that are put there: on a virtual machine whose host finds the page only then, 200 to 600 MiB/s were
/// measured, which made a cold GET of 16 MiB 30 ms slower. Made and asked by <see cref="BlockPool"/>; the thread starts with the first thing asked. Thread-safe.
/// </remarks>
/// <param name="warmOne">Makes one slot of a size class warm; false when that class has enough or the pool has no room to spare.</param>
internal sealed class PageWarmer(Func<int, bool> warmOne) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly AutoResetEvent _wake = new(false);
    private Thread? _thread;
    private long _asked;
    private long _brought;
    private volatile bool _busy;
    private volatile bool _stopped;

    /// <summary>Some slots of this size class will be wanted soon.</summary>
    /// <param name="sizeClass">Index, below 64.</param>
    public void Ask(int sizeClass)
    {
        var bit = 1L << sizeClass;
        if ((Interlocked.Or(ref _asked, bit) & bit) != 0)
        {
            return;
        }

        if (Volatile.Read(ref _thread) is null)
        {
            Start();
        }

        _wake.Set();
    }

    /// <summary>How many slots were made warm so far.</summary>
    public long Brought => Interlocked.Read(ref _brought);

    /// <summary>For who finds the pool full: a slot may be between the system and the pool. Waits for that one.</summary>
    /// <param name="seen"><see cref="Brought"/> from before the pool was found full.</param>
    /// <returns>True when there is reason to look again.</returns>
    public bool HasBroughtSince(long seen)
    {
        if (_busy)
        {
            lock (_gate)
            {
            }
        }

        return Brought != seen;
    }

    public void Dispose()
    {
        _stopped = true;
        _wake.Set();
        _thread?.Join();
        _wake.Dispose();
    }

    private void Start()
    {
        lock (_gate)
        {
            if (_thread is null && !_stopped)
            {
                _thread = new Thread(Run) { IsBackground = true, Name = "pool-warm" };
                _thread.UnsafeStart();
            }
        }
    }

    private void Run()
    {
        while (!_stopped)
        {
            _wake.WaitOne();
            for (var asked = Interlocked.Exchange(ref _asked, 0); asked != 0; asked &= asked - 1)
            {
                while (!_stopped && WarmOne(System.Numerics.BitOperations.TrailingZeroCount(asked)))
                {
                }
            }
        }
    }

    private bool WarmOne(int sizeClass)
    {
        lock (_gate)
        {
            _busy = true;
            var more = warmOne(sizeClass);
            _brought += more ? 1 : 0;
            _busy = false;
            return more;
        }
    }
}
