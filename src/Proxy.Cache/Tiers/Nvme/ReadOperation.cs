using System.Threading.Tasks.Sources;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>What came of a read, or of a part of one.</summary>
[Flags]
internal enum ReadTrouble
{
    None = 0,

    /// <summary>What is on disk is not what was written.</summary>
    Damaged = 1,

    /// <summary>The device would not give it.</summary>
    Failed = 2,

    /// <summary>Nobody asked the device: too many reads wait, or it hangs.</summary>
    NotBegun = 4,
}

/// <summary>One block read under way, in one part or several. Pooled; awaited once.</summary>
internal sealed class ReadOperation : IValueTaskSource<BlockLease>
{
    private const int Pending = 0;
    private const int Finished = 1;
    private const int Abandoned = 2;
    private ManualResetValueTaskSourceCore<BlockLease> _core;
    private int _state;
    private int _nextPart;
    private int _openParts;
    private int _trouble;

    public BlockId Id;
    public BlockLocation Location;
    public int Offset;
    public Block? Target;
    public long StartedTimestamp;

    public ReadThreads? Owner { get; set; }

    /// <summary>How many threads share the range.</summary>
    public int Parts { get; private set; }

    /// <summary>Whether its reader was sent away.</summary>
    public bool IsAbandoned => Volatile.Read(ref _state) == Abandoned;

    public ReadTrouble Trouble => (ReadTrouble)Volatile.Read(ref _trouble);

    public ValueTask<BlockLease> StartAsync(int parts)
    {
        _core.Reset();
        Parts = _openParts = parts;
        _nextPart = 0;
        _trouble = 0;
        Volatile.Write(ref _state, Pending);
        return new ValueTask<BlockLease>(this, _core.Version);
    }

    /// <summary>Each part is taken once.</summary>
    public int TakePart() => Interlocked.Increment(ref _nextPart) - 1;

    /// <returns>True for the last part: who gets it completes the operation.</returns>
    public bool PartDone(ReadTrouble trouble)
    {
        if (trouble != ReadTrouble.None)
        {
            Interlocked.Or(ref _trouble, (int)trouble);
        }

        return Interlocked.Decrement(ref _openParts) == 0;
    }

    /// <summary>The lease is released when the reader was told "nothing" meanwhile.</summary>
    /// <param name="inline">Whether the reader goes on here: saves it a change of threads where the caller can be had.</param>
    public void Complete(BlockLease lease, bool inline)
    {
        if (Interlocked.CompareExchange(ref _state, Finished, Pending) == Pending)
        {
            _core.RunContinuationsAsynchronously = !inline;
            _core.SetResult(lease);
        }
        else
        {
            lease.Dispose();
        }
    }

    /// <summary>By the watchdog: the device does not answer, so the reader goes elsewhere; the I/O threads keep the operation and its block.</summary>
    public bool Abandon()
    {
        if (Interlocked.CompareExchange(ref _state, Abandoned, Pending) != Pending)
        {
            return false;
        }

        _core.RunContinuationsAsynchronously = true;
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
