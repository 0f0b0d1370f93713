namespace Proxy.UnitTests;

/// <summary>What a path allocates on its own thread.</summary>
internal static class Allocations
{
    private const int Batches = 5;

    /// <summary>
    /// The least of several batches, in bytes: the runtime itself allocates on a thread now and then, when it swaps in optimised code or a lock is contended,
    /// but what the path allocates it allocates in every batch.
    /// </summary>
    public static long Least(int runs, Action path)
    {
        path();
        var least = long.MaxValue;
        for (var batch = 0; batch < Batches; batch++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < runs; i++)
            {
                path();
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
