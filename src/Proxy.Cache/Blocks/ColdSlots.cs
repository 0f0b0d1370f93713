namespace Proxy.Cache.Blocks;

/// <summary>Slots of one size that have an address and no memory.</summary>
/// <remarks>
/// Of a size of half a large page, halves whose other half holds memory go out before a page is begun: so few pages are half in use, and those cannot be large ones
/// (<see cref="NativePages.MayBeLarge"/>). Not thread-safe.
/// </remarks>
internal sealed class ColdSlots(int slotBytes)
{
    private readonly bool _isHalfAPage = NativePages.AreHalves(slotBytes);
    private readonly Stack<nint> _whole = new();

    // In no order that matters, each with its place in it.
    private readonly List<nint> _halves = [];
    private readonly Dictionary<nint, int> _places = [];

    /// <summary>Pages of which one half is here and the other is not.</summary>
    public int Halves => _halves.Count;

    /// <param name="bytes">Of one slot, or of both halves of a page.</param>
    /// <returns>True when with it both halves of a page are here: also where each came by itself.</returns>
    public bool Put(nint address, int bytes)
    {
        var isHalf = _isHalfAPage && bytes == slotBytes;
        var hasOther = isHalf && TryTakeOther(address);
        if (isHalf && !hasOther)
        {
            _places.Add(address, _halves.Count);
            _halves.Add(address);
            return false;
        }

        _whole.Push(hasOther ? Math.Min(address, address ^ slotBytes) : address);
        return _isHalfAPage;
    }

    /// <param name="completesPage">The other half of its page holds memory.</param>
    public bool TryTake(out nint slot, out bool completesPage)
    {
        completesPage = _halves.Count > 0;
        if (completesPage)
        {
            slot = _halves[^1];
            return TryRemove(slot);
        }

        if (!_whole.TryPop(out slot))
        {
            return false;
        }

        if (_isHalfAPage)
        {
            _ = Put(slot + slotBytes, slotBytes);
        }

        return true;
    }

    /// <summary>Takes the other half of a slot's page, if that is here.</summary>
    public bool TryTakeOther(nint slot) => _isHalfAPage && TryRemove(slot ^ slotBytes);

    private bool TryRemove(nint half)
    {
        if (!_places.Remove(half, out var place))
        {
            return false;
        }

        var last = _halves[^1];
        _halves.RemoveAt(_halves.Count - 1);
        if (last != half)
        {
            _halves[place] = last;
            _places[last] = place;
        }

        return true;
    }
}
