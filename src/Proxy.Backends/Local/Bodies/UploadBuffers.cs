namespace Proxy.Backends.Local.Bodies;

/// <summary>How large the two buffers of an upload may be: large for the first few, small for all that come on top, so that memory stays bounded under any number.</summary>
/// <remarks>One for a store. Thread-safe.</remarks>
internal sealed class UploadBuffers
{
    public const int LargeBytes = 1 << 20;

    /// <summary>For an upload beyond the budget: more and smaller writes, none of which needs a megabyte to wait in.</summary>
    public const int SmallBytes = 32 << 10;

    /// <summary>Eight uploads at full speed, 16 MiB in all. With sixteen, and 64 KiB for the others, 500 that stall took 344 to 399 MiB where 384 are the bound.</summary>
    private const int MostLarge = 8;

    private int _large;

    /// <returns>The length of each of the upload's buffers, to be given back with <see cref="End"/>.</returns>
    public int Begin()
    {
        if (Interlocked.Increment(ref _large) <= MostLarge)
        {
            return LargeBytes;
        }

        Interlocked.Decrement(ref _large);
        return SmallBytes;
    }

    public void End(int length)
    {
        if (length == LargeBytes)
        {
            Interlocked.Decrement(ref _large);
        }
    }
}
