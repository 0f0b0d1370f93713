using System.Collections.Concurrent;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Blocks that found the write queue full, or the directory not yet open: remembered by id and queued when there is room, if memory still has them by then.</summary>
/// <remarks>So that a burst may be as large as the memory tier and not only as the queue, while nothing is held for it. Thread-safe.</remarks>
/// <param name="stillInMemory">Gives a lease of a block that memory has; null where there is no memory tier above.</param>
internal sealed class LateWrites(Func<BlockId, BlockLease>? stillInMemory)
{
    private const int MaxRemembered = 1 << 16;
    private readonly ConcurrentQueue<BlockId> _ids = new();
    private readonly ConcurrentDictionary<BlockId, int> _waiting = new();

    private long _bytes;

    public bool IsEmpty => _ids.IsEmpty;

    /// <summary>Bytes of which memory has the only copy, as far as it still has them.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Whether memory has the only copy of a block that is to be written.</summary>
    public bool Contains(in BlockId id) => !_waiting.IsEmpty && _waiting.ContainsKey(id);

    /// <returns>False when it will not be tried again.</returns>
    public bool TryAdd(in BlockId id, int length)
    {
        if (stillInMemory is null || _ids.Count >= MaxRemembered)
        {
            return false;
        }

        if (_waiting.TryAdd(id, length))
        {
            Interlocked.Add(ref _bytes, length);
            _ids.Enqueue(id);
        }

        return true;
    }

    /// <summary>The oldest first: memory throws those out next. Until <see cref="Forget"/> it still counts, so that it does not go between here and the queue.</summary>
    public bool TryTake(out BlockId id) => _ids.TryDequeue(out id);

    /// <summary>Others were quicker and the queue is full again: it goes on counting as late.</summary>
    public void PutBack(in BlockId id) => _ids.Enqueue(id);

    /// <summary>Queued, or given up.</summary>
    public void Forget(in BlockId id)
    {
        if (_waiting.TryRemove(id, out var length))
        {
            Interlocked.Add(ref _bytes, -length);
        }
    }

    /// <summary>Nothing when memory has let go of it.</summary>
    public BlockLease Find(in BlockId id) => stillInMemory is null ? default : stillInMemory(id);
}
