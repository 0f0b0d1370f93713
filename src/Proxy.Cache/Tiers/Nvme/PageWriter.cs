using System.Diagnostics;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Writes log pages on four threads of its own, in 512 KiB pieces.</summary>
/// <remarks>
/// Own threads: a starved thread pool would stop the log. Pieces, 2 MiB of them in flight: reads beside 1.2 GB/s of writes keep a p99 of 7 ms,
/// against 7–36 ms with whole 16 MiB pages. Four of them: the device is busy also while a thread waits for the processor.
/// </remarks>
internal sealed class PageWriter : IDisposable
{
    private const int PieceBytes = 512 << 10;
    private const int Threads = 4;
    private static readonly TimeSpan JoinLimit = TimeSpan.FromSeconds(5);
    private readonly RingFile _ring;
    private readonly Queue<PageWrite> _queue = new();

    // Waited on with Monitor, which does not spin: see ReadThreads.
#pragma warning disable MA0158 // System.Threading.Lock cannot be waited on
    private readonly object _lock = new();
#pragma warning restore MA0158
    private readonly Thread[] _threads = new Thread[Threads];
    private volatile bool _closing;
    private bool _stopped;

    public PageWriter(RingFile ring)
    {
        _ring = ring;
        for (var i = 0; i < Threads; i++)
        {
            _threads[i] = new Thread(Run) { IsBackground = true, Name = "nvme-write" };
            _threads[i].UnsafeStart();
        }
    }

    /// <summary>Calls <paramref name="done"/> once when all of it was written or has failed; the memory must stay until then.</summary>
    public void Write(nint source, long address, int length, Action done)
    {
        var pieces = (length + PieceBytes - 1) / PieceBytes;
        lock (_lock)
        {
            _queue.Enqueue(new PageWrite(source, address, length, pieces, done));
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Whoever is told of a write is about to go: from now on it does not matter when that fails.</summary>
    public void Close() => _closing = true;

    /// <summary>Writes what is queued, then ends; a write that hangs is left to itself after five seconds.</summary>
    public void Dispose()
    {
        _closing = true;
        lock (_lock)
        {
            _stopped = true;
            Monitor.PulseAll(_lock);
        }

        var started = Stopwatch.GetTimestamp();
        foreach (var thread in _threads)
        {
            var left = JoinLimit - Stopwatch.GetElapsedTime(started);
            thread.Join(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }
    }

    private unsafe void Run()
    {
        SchedulerSlice.Shorten();
        while (true)
        {
            PageWrite? page;
            int offset;
            lock (_lock)
            {
                while (!_queue.TryPeek(out page))
                {
                    if (_stopped)
                    {
                        return;
                    }

                    Monitor.Wait(_lock);
                }

                offset = page.Next;
                page.Next += PieceBytes;
                if (page.Next >= page.Length)
                {
                    _queue.Dequeue();
                }
            }

            _ring.Write(new ReadOnlySpan<byte>((byte*)page.Source + offset, Math.Min(PieceBytes, page.Length - offset)), page.Address + offset);
            if (Interlocked.Decrement(ref page.Open) == 0)
            {
                Finish(page);
            }
        }
    }

    private void Finish(PageWrite page)
    {
        try
        {
            page.Done();
        }
        catch (Exception) when (_closing)
        {
            // It hung until the log was gone: nobody is left to be told, and this thread must not take the process with it.
        }
    }

    private sealed class PageWrite(nint source, long address, int length, int pieces, Action done)
    {
        public int Next;
        public int Open = pieces;

        public nint Source { get; } = source;

        public long Address { get; } = address;

        public int Length { get; } = length;

        public Action Done { get; } = done;
    }
}
