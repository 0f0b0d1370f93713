using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Memory;

/// <summary>Remembers the newest blocks that were thrown out untouched, about as many as are cached. Not thread-safe.</summary>
internal sealed class GhostList
{
    private const int MinRemembered = 1024;
    private readonly Dictionary<BlockId, long> _known = [];
    private readonly Queue<(BlockId Id, long Number)> _order = new();
    private long _next;

    public void Add(in BlockId id, int cachedBlocks)
    {
        _known[id] = _next;
        _order.Enqueue((id, _next++));
        while (_order.Count > Math.Max(MinRemembered, cachedBlocks) && _order.TryDequeue(out var oldest))
        {
            // Only if it was not added again since.
            if (_known.TryGetValue(oldest.Id, out var number) && number == oldest.Number)
            {
                _known.Remove(oldest.Id);
            }
        }
    }

    public bool Remove(in BlockId id) => _known.Remove(id);
}
