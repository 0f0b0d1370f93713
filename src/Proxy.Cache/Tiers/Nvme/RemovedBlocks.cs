using System.Collections.Concurrent;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Blocks that the index has let go while their entries are still in the tables on disk, from where a restart would bring them back.</summary>
/// <remarks>
/// Whatever leaves the index before its segment does is told here, so that no older copy of a block is left to come back once the newest was removed. Entries are crossed out where they
/// stand, which takes no space and no order among segments. <see cref="Add"/> from any thread, everything else on the upkeep thread.
/// </remarks>
internal sealed class RemovedBlocks(RingGeometry geometry, TableOfContents contents)
{
    private readonly ConcurrentQueue<long> _fresh = new();
    private readonly Dictionary<long, HashSet<int>> _bySegment = [];

    public void Add(long address) => _fresh.Enqueue(address);

    /// <summary>Sorts what came by segment, so that each table is written once for all of it.</summary>
    public void Gather(long beginAddress)
    {
        for (var left = _fresh.Count; left > 0 && _fresh.TryDequeue(out var address); left--)
        {
            if (address < beginAddress)
            {
                continue;
            }

            var segment = geometry.SegmentOf(address);
            if (!_bySegment.TryGetValue(segment, out var offsets))
            {
                _bySegment.Add(segment, offsets = []);
            }

            offsets.Add((int)(address & (geometry.SegmentBytes - 1)));
        }
    }

    /// <summary>Crosses out in as many tables as <paramref name="most"/> says.</summary>
    public void CrossOut(int most)
    {
        foreach (var (segment, offsets) in _bySegment.Take(most).ToList())
        {
            _bySegment.Remove(segment);
            contents.CrossOut(segment, offsets);
        }
    }
}
