namespace Proxy.Cache.Fills;

/// <summary>Bytes being fetched at once, bounded. Never waits: who finds it spent goes past the tiers. Thread-safe.</summary>
internal sealed class FillBudget(long capacityBytes)
{
    private long _used;

    public long UsedBytes => Interlocked.Read(ref _used);

    public bool TryReserve(long bytes)
    {
        if (Interlocked.Add(ref _used, bytes) <= capacityBytes)
        {
            return true;
        }

        Interlocked.Add(ref _used, -bytes);
        return false;
    }

    /// <summary>For who holds nothing else and would lose everything: a second budget of the same size, on top.</summary>
    public bool TryReserveOne(long bytes)
    {
        if (Interlocked.Add(ref _used, bytes) <= 2 * capacityBytes)
        {
            return true;
        }

        Interlocked.Add(ref _used, -bytes);
        return false;
    }

    public void Release(long bytes) => Interlocked.Add(ref _used, -bytes);
}
