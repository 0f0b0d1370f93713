using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>One block read under way. Pooled; awaited once.</summary>
internal sealed class ReadOperation : IValueTaskSource<BlockLease>
{
    private const int Pending = 0;
    private const int Finished = 1;
    private const int Abandoned = 2;
    private ManualResetValueTaskSourceCore<BlockLease> _core = new() { RunContinuationsAsynchronously = true };
    private int _state;

    public BlockId Id;
    public BlockLocation Location;
    public int Offset;
    public Block? Target;
    public long StartedTimestamp;

    public ReadOperation? Next { get; set; }

    public ReadThreads? Owner { get; set; }

    public ValueTask<BlockLease> StartAsync()
    {
        _core.Reset();
        Volatile.Write(ref _state, Pending);
        return new ValueTask<BlockLease>(this, _core.Version);
    }

    /// <summary>By the I/O thread. The lease is released when the reader was told "nothing" meanwhile.</summary>
    public void Complete(BlockLease lease)
    {
        if (Interlocked.CompareExchange(ref _state, Finished, Pending) == Pending)
        {
            _core.SetResult(lease);
        }
        else
        {
            lease.Dispose();
        }
    }

    /// <summary>By the watchdog: the device does not answer, so the reader goes elsewhere; the I/O thread keeps the operation and its block.</summary>
    public bool Abandon()
    {
        if (Interlocked.CompareExchange(ref _state, Abandoned, Pending) != Pending)
        {
            return false;
        }

        _core.SetResult(default);
        return true;
    }

    BlockLease IValueTaskSource<BlockLease>.GetResult(short token)
    {
        var lease = _core.GetResult(token);
        if (Volatile.Read(ref _state) == Finished)
        {
            Owner?.Recycle(this);
        }

        return lease;
    }

    ValueTaskSourceStatus IValueTaskSource<BlockLease>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<BlockLease>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}

/// <summary>Blocking reads on threads of their own, each with a buffer of its own; checksums run there too.</summary>
/// <remarks>Blocking pread costs about half the CPU of libaio or io_uring at equal throughput here, given enough threads.</remarks>
internal sealed unsafe class ReadThreads : IDisposable
{
    /// <summary>A piece of 32 chunks with its checksums, out to the sectors around it.</summary>
    public const int BufferBytes = (32 * RecordLayout.Stride) + (3 * DataFile.Alignment) & ~(DataFile.Alignment - 1);

    private const int MaxQueued = 4096;
    private const int MaxPooled = 256;
    private readonly Func<ReadOperation, Memory, BlockLease> _execute;
    private readonly Lock _lock = new();
    private readonly Queue<ReadOperation> _queue = new();
    private readonly Stack<ReadOperation> _pool = new();
    private readonly SemaphoreSlim _available = new(0);
    private readonly ReadOperation?[] _running;
    private readonly Thread[] _threads;
    private volatile bool _stopped;

    /// <param name="execute">Runs on an I/O thread with its buffer; releases the target itself when it fails. Must not throw.</param>
    public ReadThreads(int count, Func<ReadOperation, Memory, BlockLease> execute)
    {
        _execute = execute;
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

    /// <summary>False when too many wait already: treat it as a miss.</summary>
    public bool TryEnqueue(ReadOperation operation)
    {
        lock (_lock)
        {
            if (_stopped || _queue.Count >= MaxQueued)
            {
                return false;
            }

            _queue.Enqueue(operation);
        }

        _available.Release();
        return true;
    }

    /// <summary>Tells readers whose read runs longer than <paramref name="limit"/> that there is nothing, and those queued behind them.</summary>
    /// <returns>How many reads hang.</returns>
    public int AbandonHung(TimeSpan limit)
    {
        var hung = 0;
        for (var i = 0; i < _running.Length; i++)
        {
            if (Volatile.Read(ref _running[i]) is { } operation && Stopwatch.GetElapsedTime(Volatile.Read(ref operation.StartedTimestamp)) > limit && operation.Abandon())
            {
                hung++;
            }
        }

        if (hung > 0)
        {
            DropQueued();
        }

        return hung;
    }

    public void Dispose()
    {
        _stopped = true;
        DropQueued();
        _available.Release(_threads.Length);
        foreach (var thread in _threads)
        {
            thread.Join(TimeSpan.FromSeconds(5));
        }
    }

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

            operation.Target?.Release();
            operation.Complete(default);
        }
    }

    private void Run(int number)
    {
        var buffer = (byte*)NativeMemory.AlignedAlloc(BufferBytes, DataFile.Alignment);
        try
        {
            while (true)
            {
                _available.Wait();
                ReadOperation? operation;
                lock (_lock)
                {
                    if (!_queue.TryDequeue(out operation))
                    {
                        if (_stopped)
                        {
                            return;
                        }

                        continue;
                    }
                }

                Volatile.Write(ref operation.StartedTimestamp, Stopwatch.GetTimestamp());
                Volatile.Write(ref _running[number], operation);
                var lease = _execute(operation, new Memory(buffer));

                // Before completing: afterwards the operation may already serve another read.
                Volatile.Write(ref _running[number], null);
                operation.Complete(lease);
            }
        }
        finally
        {
            NativeMemory.AlignedFree(buffer);
        }
    }
}
