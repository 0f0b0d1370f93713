using Prometheus;

namespace Proxy.Server.Telemetry;

/// <summary>Shows counts per latency bucket that are kept elsewhere as a Prometheus histogram. Used at scrapes only, by one thread at a time.</summary>
/// <remarks>
/// The library takes observations, not counts: new ones are observed at a value inside their bucket, chosen so that their sum comes to what was
/// measured. Bucket counts and sum are therefore both those of the source.
/// </remarks>
internal sealed class CountedLatency(Histogram.Child histogram, IReadOnlyList<double> bounds)
{
    private readonly long[] _shown = new long[bounds.Count + 1];
    private double _shownSeconds;

    /// <param name="counts">Not cumulative, one per bound and one above the last; only grows.</param>
    /// <param name="seconds">Of all that was counted.</param>
    public void Show(IReadOnlyList<long> counts, double seconds)
    {
        double low = 0;
        double high = 0;
        for (var i = 0; i <= bounds.Count; i++)
        {
            var fresh = counts[i] - _shown[i];
            low += fresh * Lower(i);
            high += fresh * Upper(i, seconds);
        }

        var place = high > low ? (seconds - _shownSeconds - low) / (high - low) : 0.5;

        // Never on the lower bound itself: that value belongs to the bucket below.
        place = double.Clamp(place, 0.001, 1);
        for (var i = 0; i <= bounds.Count; i++)
        {
            if (counts[i] - _shown[i] is > 0 and var fresh)
            {
                histogram.Observe(Lower(i) + (place * (Upper(i, seconds) - Lower(i))), fresh);
                _shown[i] = counts[i];
            }
        }

        _shownSeconds = seconds;
    }

    private double Lower(int bucket) => bucket == 0 ? 0 : bounds[bucket - 1];

    // The last bucket has no end; nothing in it took longer than everything together.
    private double Upper(int bucket, double seconds) => bucket < bounds.Count ? bounds[bucket] : Math.Max(seconds, 2 * bounds[^1]);
}
