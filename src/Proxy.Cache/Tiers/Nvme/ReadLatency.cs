using System.Diagnostics;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>How long the reads of one device took, as counts in the buckets of <see cref="NvmeSnapshot.ReadLatencyBounds"/>.</summary>
/// <remarks>Recording is two additions, no lock and no allocation. Thread-safe.</remarks>
internal sealed class ReadLatency
{
    private static readonly long[] Bounds = [.. NvmeSnapshot.ReadLatencyBounds.Select(seconds => (long)(seconds * Stopwatch.Frequency))];

    private readonly long[] _counts = new long[Bounds.Length + 1];
    private long _ticks;

    /// <summary>Of all reads, summed.</summary>
    public double Seconds => (double)Interlocked.Read(ref _ticks) / Stopwatch.Frequency;

    /// <param name="ticks">Of <see cref="Stopwatch"/>.</param>
    public void Record(long ticks)
    {
        // Most reads end in one of the first few buckets.
        var at = 0;
        while (at < Bounds.Length && ticks > Bounds[at])
        {
            at++;
        }

        Interlocked.Increment(ref _counts[at]);
        Interlocked.Add(ref _ticks, ticks);
    }

    /// <summary>Not cumulative; the last is what took longer than every bound.</summary>
    public long[] Counts()
    {
        var counts = new long[_counts.Length];
        for (var i = 0; i < counts.Length; i++)
        {
            counts[i] = Interlocked.Read(ref _counts[i]);
        }

        return counts;
    }
}
