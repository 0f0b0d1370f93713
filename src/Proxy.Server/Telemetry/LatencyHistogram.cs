using System.Numerics;

namespace Proxy.Server.Telemetry;

/// <summary>How long things took: counts in buckets eight to an octave, so that a percentile is right to within 9 %.</summary>
/// <remarks>Thread-safe; recording is one addition.</remarks>
internal sealed class LatencyHistogram
{
    private const int PerOctave = 8;
    private const int Octaves = 27; // 1 µs to 134 s

    private readonly long[] _counts = new long[PerOctave * Octaves];

    public void Record(TimeSpan duration)
    {
        var microseconds = (ulong)Math.Max(PerOctave, duration.Ticks / TimeSpan.TicksPerMicrosecond);
        var octave = BitOperations.Log2(microseconds);
        var within = (int)((microseconds >> (octave - 3)) & (PerOctave - 1));
        Interlocked.Increment(ref _counts[Math.Min(_counts.Length - 1, (octave * PerOctave) + within)]);
    }

    /// <summary>The counts so far; <see cref="Percentile"/> reads the difference of two.</summary>
    public long[] Counts() => [.. _counts];

    /// <summary>The duration that a share of what happened between two readings did not exceed; zero when nothing did.</summary>
    /// <param name="share">0 to 1.</param>
    public static TimeSpan Percentile(long[] before, long[] after, double share)
    {
        long all = 0;
        for (var i = 0; i < after.Length; i++)
        {
            all += after[i] - before[i];
        }

        var left = (long)Math.Ceiling(all * share);
        for (var i = 0; i < after.Length && all > 0; i++)
        {
            left -= after[i] - before[i];
            if (left <= 0)
            {
                var microseconds = Math.ScaleB(1 + ((i % PerOctave + 0.5) / PerOctave), i / PerOctave);
                return TimeSpan.FromMicroseconds(microseconds);
            }
        }

        return TimeSpan.Zero;
    }
}
