namespace Proxy.Cache.Admin;

/// <summary>A selection an operator wants kept in the cache.</summary>
/// <param name="Id">Short and opaque; stable across restarts.</param>
public sealed record Pin(string Id, KeySelection Selection, DateTimeOffset CreatedAt);

/// <summary>What the pins hold now.</summary>
/// <param name="Objects">Known objects that are pinned.</param>
/// <param name="Bytes">Their sizes.</param>
/// <param name="LimitBytes">How much can be pinned: half of NVMe, or a quarter of memory when there is no NVMe tier.</param>
/// <param name="OverLimit">Objects that match a pin but did not fit the limit: they are treated like any other.</param>
public sealed record PinState(int Objects, long Bytes, long LimitBytes, int OverLimit);
