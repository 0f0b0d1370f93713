using System.Diagnostics;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Blocking reads on threads of their own, each with a buffer of its own; checksums run there too.</summary>
/// <remarks>
/// Blocking calls: what libaio and io_uring save (up to half of a read's 17 µs on one host, nothing on another) is little beside checksum and copy, and a thread that a disk
/// holds up is easily left alone. A long read is shared by two threads when nothing else waits. The reader goes on where its read ended, on the I/O thread: readers must not block.
/// </remarks>
internal sealed unsafe class ReadThreads : IDisposable
{
    /// <summary>A piece of 32 chunks with its checksums, the gap where a page ends within it, out to the sectors around it.</summary>
    public const int BufferBytes = (33 * RecordLayout.Stride) + (3 * DataFile.Alignment) & ~(DataFile.Alignment - 1);

    /// <summary>Ranges at least so long are worth two requests to the device.</summary>
    private const int SharedFromBytes = 512 << 10;
    private const int MaxQueued = 4096;
    private const int MaxPooled = 256;
    private static readonly TimeSpan JoinLimit = TimeSpan.FromSeconds(5);
    private readonly Func<ReadOperation, int, Memory, ReadTrouble> _execute;
    private readonly Func<ReadOperation, BlockLease> _finish;

    private readonly Lock _lock = new();
    private readonly Queue<ReadOperation> _queue = new();
    private readonly Stack<ReadOperation> _pool = new();

    // The last to fall idle first: what its buffer touched is in the caches still.
    private readonly Stack<Worker> _idle = new();
    private readonly ReadOperation?[] _running;
    private readonly Worker[] _workers;
    private readonly byte* _buffers;
    private int _alive;
    private int _busy;
    private volatile bool _stopped;

    /// <param name="execute">Reads one part on an I/O thread, with its buffer. Must not throw.</param>
    /// <param name="finish">Once, after all parts: takes over the target and answers what the reader gets. Must not throw.</param>
    public ReadThreads(int count, Func<ReadOperation, int, Memory, ReadTrouble> execute, Func<ReadOperation, BlockLease> finish)
    {
        _execute = execute;
        _finish = finish;
        _running = new ReadOperation?[count];
        _workers = new Worker[count];
        _alive = count;

        // In large pages: the device then gets a read in one piece and not one for each 4 KiB (fio, 16 threads: 64 KiB 17,500 → 23,000 reads/s, 1 MiB 980 → 1,540).
        // What no read has touched costs no memory.
        _buffers = NativePages.Map(BytesOfBuffers, large: true);
        for (var i = 0; i < count; i++)
        {
            var number = i;
            _workers[i] = new Worker(new Thread(() => Run(number)) { IsBackground = true, Name = "nvme-read" });
        }

        foreach (var worker in _workers)
        {
            worker.Thread.UnsafeStart();
        }
    }

    /// <summary>A thread's own aligned buffer.</summary>
    public readonly struct Memory(byte* address)
    {
        public Span<byte> Span => new(address, BufferBytes);
    }

    public ReadOperation Rent()
    {
        lock (_lock)
        {
            return _pool.TryPop(out var operation) ? operation : new ReadOperation { Owner = this };
        }
    }

    public void Recycle(ReadOperation operation)
    {
        operation.Target = null;
        lock (_lock)
        {
            if (_pool.Count < MaxPooled)
            {
                _pool.Push(operation);
            }
        }
    }

    /// <summary>Begins a read. The operation has its target.</summary>
    public ValueTask<BlockLease> ReadAsync(ReadOperation operation)
    {
        var shared = operation.Target!.Length >= SharedFromBytes && Volatile.Read(ref _busy) == 0;
        var answer = operation.StartAsync(shared ? 2 : 1);
        for (var part = 0; part < (shared ? 2 : 1); part++)
        {
            if (!TryHandOut(operation) && operation.PartDone(ReadTrouble.NotBegun))
            {
                operation.Complete(_finish(operation), inline: false);
            }
        }

        return answer;
    }

    private nuint BytesOfBuffers => ((nuint)_workers.Length * BufferBytes + NativePages.LargePageBytes - 1) & ~(nuint)(NativePages.LargePageBytes - 1);

    /// <summary>Whether no thread is left for the next read.</summary>
    public bool AllHang(TimeSpan limit) => CountHung(limit, isNew: false) == _running.Length;

    /// <summary>How many reads run longer than <paramref name="limit"/> with a reader who still waits.</summary>
    public int CountHung(TimeSpan limit) => CountHung(limit, isNew: true);

    /// <summary>Tells readers whose read runs longer than <paramref name="limit"/> that there is nothing, and those queued behind them.</summary>
    public void AbandonHung(TimeSpan limit)
    {
        var any = false;
        for (var i = 0; i < _running.Length; i++)
        {
            any |= Hangs(i, limit) is { } operation && operation.Abandon();
        }

        if (any || AllHang(limit))
        {
            DropQueued();
        }
    }

    /// <summary>Reads that hang are left to themselves after five seconds in all.</summary>
    public void Dispose()
    {
        _stopped = true;
        DropQueued();
        lock (_lock)
        {
            while (_idle.TryPop(out var worker))
            {
                worker.Parker.Unpark(); // with nothing to do
            }
        }

        var started = Stopwatch.GetTimestamp();
        foreach (var worker in _workers)
        {
            var left = JoinLimit - Stopwatch.GetElapsedTime(started);
            if (worker.Thread.Join(left > TimeSpan.Zero ? left : TimeSpan.Zero))
            {
                worker.Parker.Dispose();
            }
        }
    }

    /// <returns>False when too many wait already, which is a miss, and when there is nobody left.</returns>
    private bool TryHandOut(ReadOperation operation)
    {
        Worker? worker;
        lock (_lock)
        {
            if (_stopped || _queue.Count >= MaxQueued)
            {
                return false;
            }

            Interlocked.Increment(ref _busy);
            if (_idle.TryPop(out worker))
            {
                worker.Next = operation;
            }
            else
            {
                _queue.Enqueue(operation);
            }
        }

        worker?.Parker.Unpark();
        return true;
    }

    private int CountHung(TimeSpan limit, bool isNew)
    {
        var count = 0;
        for (var i = 0; i < _running.Length; i++)
        {
            count += Hangs(i, limit) is { } operation && !(isNew && operation.IsAbandoned) ? 1 : 0;
        }

        return count;
    }

    private ReadOperation? Hangs(int thread, TimeSpan limit)
        => Volatile.Read(ref _running[thread]) is { } operation && Stopwatch.GetElapsedTime(Volatile.Read(ref operation.StartedTimestamp)) > limit ? operation : null;

    private void DropQueued()
    {
        while (true)
        {
            ReadOperation? operation;
            lock (_lock)
            {
                if (!_queue.TryDequeue(out operation))
                {
                    return;
                }
            }

            Interlocked.Decrement(ref _busy);
            if (operation.PartDone(ReadTrouble.NotBegun))
            {
                operation.Complete(_finish(operation), inline: false);
            }
        }
    }

    /// <summary>Waits for work.</summary>
    /// <returns>Null at the end.</returns>
    private ReadOperation? Next(Worker worker)
    {
        lock (_lock)
        {
            if (_queue.TryDequeue(out var operation))
            {
                return operation;
            }

            if (_stopped)
            {
                return null;
            }

            worker.Next = null;
            _idle.Push(worker);
        }

        worker.Parker.Park();
        return worker.Next;
    }

    private void Run(int number)
    {
        var buffer = new Memory(_buffers + ((long)number * BufferBytes));
        while (Next(_workers[number]) is { } operation)
        {
            Volatile.Write(ref operation.StartedTimestamp, Stopwatch.GetTimestamp());
            Volatile.Write(ref _running[number], operation);
            var trouble = _execute(operation, operation.TakePart(), buffer);

            // Before completing: afterwards the operation may already serve another read.
            Volatile.Write(ref _running[number], null);
            Interlocked.Decrement(ref _busy);
            if (operation.PartDone(trouble))
            {
                operation.Complete(_finish(operation), inline: true);
            }
        }

        // By the last to end, which may be one that a disk held up until long after the others.
        if (Interlocked.Decrement(ref _alive) == 0)
        {
            NativePages.Unmap(_buffers, BytesOfBuffers);
        }
    }

    private sealed record Worker(Thread Thread)
    {
        public Parker Parker { get; } = new();

        /// <summary>What it is woken for; written under the lock while it is idle.</summary>
        public ReadOperation? Next { get; set; }
    }
}
