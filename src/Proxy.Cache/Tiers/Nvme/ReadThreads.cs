using System.Diagnostics;
using System.Runtime.InteropServices;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Blocking reads on threads of their own, each with a buffer of its own; checksums run there too.</summary>
/// <remarks>
/// Blocking pread costs about half the CPU of libaio or io_uring at equal throughput here, given enough threads. A long read is shared by two
/// threads when nothing else waits. The reader goes on where its read ended, on the I/O thread: readers must not block.
/// </remarks>
internal sealed unsafe class ReadThreads : IDisposable
{
    /// <summary>A piece of 64 chunks with its checksums, the gap where a page ends within it, out to the sectors around it.</summary>
    public const int BufferBytes = (65 * RecordLayout.Stride) + (3 * DataFile.Alignment) & ~(DataFile.Alignment - 1);

    /// <summary>Ranges at least so long are worth two requests to the device.</summary>
    private const int SharedFromBytes = 512 << 10;
    private const int MaxQueued = 4096;
    private const int MaxPooled = 256;
    private readonly Func<ReadOperation, int, Memory, ReadTrouble> _execute;
    private readonly Func<ReadOperation, BlockLease> _finish;

    // Waited on with Monitor, which does not spin: a semaphore's spinning threads cost an eighth of the CPU of a read.
#pragma warning disable MA0158 // System.Threading.Lock cannot be waited on
    private readonly object _lock = new();
#pragma warning restore MA0158
    private readonly Queue<ReadOperation> _queue = new();
    private readonly Stack<ReadOperation> _pool = new();
    private readonly ReadOperation?[] _running;
    private readonly Thread[] _threads;
    private int _busy;
    private volatile bool _stopped;

    /// <param name="execute">Reads one part on an I/O thread, with its buffer. Must not throw.</param>
    /// <param name="finish">Once, after all parts: takes over the target and answers what the reader gets. Must not throw.</param>
    public ReadThreads(int count, Func<ReadOperation, int, Memory, ReadTrouble> execute, Func<ReadOperation, BlockLease> finish)
    {
        _execute = execute;
        _finish = finish;
        _running = new ReadOperation?[count];
        _threads = new Thread[count];
        for (var i = 0; i < count; i++)
        {
            var number = i;
            _threads[i] = new Thread(() => Run(number)) { IsBackground = true, Name = "nvme-read" };
            _threads[i].UnsafeStart();
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
        bool taken;
        lock (_lock)
        {
            // Too many wait already: that is a miss.
            taken = !_stopped && _queue.Count < MaxQueued;
            if (taken)
            {
                Interlocked.Add(ref _busy, shared ? 2 : 1);
                _queue.Enqueue(operation);
                Monitor.Pulse(_lock);
                if (shared)
                {
                    _queue.Enqueue(operation);
                    Monitor.Pulse(_lock);
                }
            }
        }

        if (taken)
        {
            return answer;
        }

        operation.PartDone(ReadTrouble.NotBegun);
        if (shared)
        {
            operation.PartDone(ReadTrouble.NotBegun);
        }

        operation.Complete(_finish(operation), inline: false);
        return answer;
    }

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

    public void Dispose()
    {
        _stopped = true;
        DropQueued();
        lock (_lock)
        {
            Monitor.PulseAll(_lock);
        }

        foreach (var thread in _threads)
        {
            thread.Join(TimeSpan.FromSeconds(5));
        }
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

    private void Run(int number)
    {
        // A thread that was never needed costs no memory: these pages are touched by the first read.
        var buffer = (byte*)NativeMemory.AlignedAlloc(BufferBytes, DataFile.Alignment);
        try
        {
            while (true)
            {
                ReadOperation? operation;
                lock (_lock)
                {
                    while (!_queue.TryDequeue(out operation))
                    {
                        if (_stopped)
                        {
                            return;
                        }

                        Monitor.Wait(_lock);
                    }
                }

                Volatile.Write(ref operation.StartedTimestamp, Stopwatch.GetTimestamp());
                Volatile.Write(ref _running[number], operation);
                var trouble = _execute(operation, operation.TakePart(), new Memory(buffer));

                // Before completing: afterwards the operation may already serve another read.
                Volatile.Write(ref _running[number], null);
                Interlocked.Decrement(ref _busy);
                if (operation.PartDone(trouble))
                {
                    operation.Complete(_finish(operation), inline: true);
                }
            }
        }
        finally
        {
            NativeMemory.AlignedFree(buffer);
        }
    }
}
