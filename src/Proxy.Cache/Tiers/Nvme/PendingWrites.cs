using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>A block on its way to disk, held in memory until it is there.</summary>
internal sealed class PendingWrite(BlockId id, BlockLease lease)
{
    public BlockId Id { get; } = id;

    public BlockLease Lease { get; } = lease;

    public int Length { get; } = lease.Length;

    /// <summary>Where it was appended.</summary>
    public long Address { get; set; }
}

/// <summary>The write queue: bounded in bytes, found by id while it waits. Any thread adds and reads; one writer takes and finishes.</summary>
/// <remarks>
/// The writer looks for itself when its wait is over; only when <see cref="TellBytes"/> have come is it told at once. Waking it for each small block, for it to wait
/// actively for the next, cost the PUTs that brought them more than they cost themselves (bench/results/front).
/// </remarks>
internal sealed class PendingWrites(long capacityBytes) : IDisposable
{
    private const long TellBytes = 1 << 20;

    private readonly ConcurrentDictionary<BlockId, PendingWrite> _byId = new();
    private readonly ConcurrentQueue<PendingWrite> _queue = new();
    private readonly AutoResetEvent _available = new(initialState: false);
    private readonly long _tellBytes = Math.Min(TellBytes, capacityBytes / 8);
    private long _bytes;
    private long _untoldBytes;

    /// <summary>Queued or appended but not yet on disk.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    public int Count => _byId.Count;

    /// <summary>Nothing waits to be taken; what was taken may still be on its way.</summary>
    public bool IsIdle => _queue.IsEmpty;

    /// <summary>Room for a latecomer, whose own is known when it has been taken: one that must go back would lose its place.</summary>
    public bool HasRoomFor(int largest) => Bytes is var bytes && (bytes == 0 || bytes + largest <= capacityBytes);

    public bool Contains(in BlockId id) => _byId.ContainsKey(id);

    /// <summary>Takes the lease over only when it answers true. With nothing else there, a block of any size has room, as <see cref="HasRoomFor"/> says.</summary>
    public bool TryAdd(in BlockId id, BlockLease lease)
    {
        var capacity = lease.Block!.Capacity;
        if (Interlocked.Add(ref _bytes, capacity) is var bytes && bytes > capacityBytes && bytes != capacity)
        {
            Interlocked.Add(ref _bytes, -capacity);
            return false;
        }

        var write = new PendingWrite(id, lease);
        if (!_byId.TryAdd(id, write))
        {
            Interlocked.Add(ref _bytes, -capacity);
            return false;
        }

        _queue.Enqueue(write);
        if (Interlocked.Add(ref _untoldBytes, capacity) >= _tellBytes)
        {
            Interlocked.Exchange(ref _untoldBytes, 0);
            _available.Set();
        }

        return true;
    }

    /// <summary>A lease of its own for a reader.</summary>
    public bool TryGet(in BlockId id, out BlockLease lease)
    {
        // Blocks are never reborn: if the write finished meanwhile and the memory went, the acquire fails.
        if (_byId.TryGetValue(id, out var write) && write.Lease.Block!.TryAcquire())
        {
            lease = new BlockLease(write.Lease.Block, 0, write.Length);
            return true;
        }

        lease = default;
        return false;
    }

    public bool TryGetLength(in BlockId id, out int length)
    {
        var found = _byId.TryGetValue(id, out var write);
        length = found ? write!.Length : 0;
        return found;
    }

    /// <summary>The next write; with none there, waits until there are many or time is up.</summary>
    public bool TryTake(TimeSpan wait, [NotNullWhen(true)] out PendingWrite? write)
    {
        if (_queue.TryDequeue(out write))
        {
            return true;
        }

        Interlocked.Exchange(ref _untoldBytes, 0);
        _available.WaitOne(wait);
        return _queue.TryDequeue(out write);
    }

    /// <summary>Ends the wait of <see cref="TryTake"/>: there is something else to do.</summary>
    public void Wake() => _available.Set();

    /// <summary>Whether nobody removed it since it was queued.</summary>
    public bool IsWanted(PendingWrite write) => _byId.TryGetValue(write.Id, out var current) && current == write;

    /// <summary>The block is forgotten; its memory follows when the writer gets to it.</summary>
    public void Forget(in BlockId id) => _byId.TryRemove(id, out _);

    /// <summary>On disk or given up: gives the memory back. Once per write.</summary>
    public void Finish(PendingWrite write)
    {
        _byId.TryRemove(new KeyValuePair<BlockId, PendingWrite>(write.Id, write));
        Interlocked.Add(ref _bytes, -write.Lease.Block!.Capacity);
        write.Lease.Dispose();
    }

    public void Dispose() => _available.Dispose();
}
