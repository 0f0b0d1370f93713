using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>What the NVMe ring would hold under a rule of admission: names of some blocks, no data.</summary>
/// <remarks>First in, first out; what was read meanwhile goes in again, within the share of what goes out that the real one allows. Not thread-safe.</remarks>
/// <param name="reinsertionShare">Of the bytes that leave.</param>
internal sealed class ShadowRing(double reinsertionShare)
{
    private readonly Dictionary<BlockId, Place> _places = [];
    private readonly Queue<BlockId> _order = new();
    private double _credit;

    /// <summary>A larger one has room at once, a smaller one gives up what is too much with the next block.</summary>
    public long CapacityBytes { get; set; }

    public long Bytes { get; private set; }

    public int Count => _places.Count;

    public bool HasRoomFor(int bytes) => Bytes + bytes <= CapacityBytes;

    /// <summary>A block is wanted.</summary>
    /// <returns>Whether it is here.</returns>
    public bool Read(in BlockId id)
    {
        ref var place = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrNullRef(_places, id);
        if (System.Runtime.CompilerServices.Unsafe.IsNullRef(ref place))
        {
            return false;
        }

        place.WasRead = true;
        return true;
    }

    public void Add(in BlockId id, int bytes)
    {
        if (bytes > CapacityBytes || !_places.TryAdd(id, new Place { Bytes = bytes }))
        {
            return;
        }

        _order.Enqueue(id);
        Bytes += bytes;
        while (Bytes > CapacityBytes)
        {
            Evict();
        }
    }

    private void Evict()
    {
        var oldest = _order.Dequeue();
        var place = _places[oldest];
        _credit += place.Bytes * reinsertionShare;
        if (place.WasRead && _credit >= place.Bytes)
        {
            _credit -= place.Bytes;
            _places[oldest] = place with { WasRead = false };
            _order.Enqueue(oldest);
            return;
        }

        // What nobody wanted leaves no credit behind for much later.
        _credit = Math.Min(_credit, CapacityBytes * reinsertionShare / 8);
        _places.Remove(oldest);
        Bytes -= place.Bytes;
    }

    private record struct Place
    {
        public int Bytes { get; init; }

        public bool WasRead { get; set; }
    }
}
