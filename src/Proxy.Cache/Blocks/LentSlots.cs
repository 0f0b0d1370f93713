namespace Proxy.Cache.Blocks;

/// <summary>Free slots of one size whose pages the kernel may still have: what of them goes back to the system, and when.</summary>
/// <remarks>
/// A slot of half a large page waits for the other half, so that the page goes back whole: a page that is given back in halves is broken up, and what is put there
/// next is found in 4 KiB pieces (measured on a virtual machine: 140 µs a MiB whole, 5.6 ms in halves). A few wait at most; they count as idle memory. Not thread-safe.
/// </remarks>
/// <param name="mostWaiting">Bound on slots that wait.</param>
internal sealed class LentSlots(int slotBytes, int mostWaiting)
{
    private readonly List<nint> _waiting = [];
    private readonly bool _isHalfAPage = NativePages.AreHalves(slotBytes);

    public bool AnyWaiting => _waiting.Count > 0;

    /// <summary>A slot became free.</summary>
    /// <param name="wasLent">False: it is there to be used again, unless its other half waits for it.</param>
    /// <returns>What is to be given back now: the slot, its whole page, another page that has waited longest, or nothing (0 bytes).</returns>
    public (nint Address, int Bytes) Add(nint slot, bool wasLent)
    {
        if (!_isHalfAPage)
        {
            return wasLent ? (slot, slotBytes) : default;
        }

        var other = slot ^ slotBytes;
        if (_waiting.Remove(other))
        {
            return (Math.Min(slot, other), 2 * slotBytes);
        }

        if (!wasLent)
        {
            return default;
        }

        _waiting.Add(slot);
        return _waiting.Count > mostWaiting ? TakeWaiting() : default;
    }

    /// <returns>The one that has waited longest; 0 bytes when none waits.</returns>
    public (nint Address, int Bytes) TakeWaiting()
    {
        if (_waiting.Count == 0)
        {
            return default;
        }

        var slot = _waiting[0];
        _waiting.RemoveAt(0);
        return (slot, slotBytes);
    }
}
