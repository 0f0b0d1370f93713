namespace Proxy.Backends.Remote;

/// <summary>When a read that has had no answer is worth asking a second time, and how often that may be done.</summary>
/// <remarks>
/// "When" is the 99th percentile of the time to an answer's head, from a histogram whose old samples fade by half every
/// <see cref="HalveEvery"/> reads. "How often" is a share of all reads, saved up to a small burst, so that a backend that has become slow
/// altogether is not given more to do ("The Tail at Scale", Dean and Barroso 2013: hedged requests within 5 %). Thread-safe.
/// </remarks>
internal sealed class HedgeBudget(int percent)
{
    private const int HalveEvery = 4096;

    /// <summary>Fewer samples say nothing of a 99th percentile.</summary>
    private const int MinSamples = 200;

    private const int Burst = 10;

    /// <summary>Four buckets for each doubling, from 1 µs on: a bound is at most 19 % too high.</summary>
    private const int BucketsPerDoubling = 4;

    /// <summary>Below this a second request costs more than it can save.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(5);

    private readonly Lock _lock = new();
    private readonly double[] _buckets = new double[BucketsPerDoubling * 30];
    private double _samples;
    private int _untilHalved = HalveEvery;
    private double _saved;

    /// <summary>A read was answered.</summary>
    public void Answered(TimeSpan after)
    {
        lock (_lock)
        {
            var at = (int)(Math.Log2(Math.Max(1, after.TotalMicroseconds)) * BucketsPerDoubling) + 1;
            _buckets[Math.Min(at, _buckets.Length - 1)]++;
            _samples++;
            _saved = Math.Min(Burst, _saved + (percent / 100.0));
            if (--_untilHalved == 0)
            {
                _untilHalved = HalveEvery;
                _samples /= 2;
                for (var i = 0; i < _buckets.Length; i++)
                {
                    _buckets[i] /= 2;
                }
            }
        }
    }

    /// <returns>Null while too little is known, or hedging is off.</returns>
    public TimeSpan? Delay()
    {
        lock (_lock)
        {
            if (percent == 0 || _samples < MinSamples || _saved < 1)
            {
                return null;
            }

            var above = _samples * 0.01;
            var at = _buckets.Length - 1;
            for (double seen = 0; at > 0 && (seen += _buckets[at]) <= above; at--)
            {
            }

            var bound = TimeSpan.FromMicroseconds(Math.Pow(2, (double)at / BucketsPerDoubling));
            return bound < Shortest ? Shortest : bound;
        }
    }

    /// <returns>False when the share is used up.</returns>
    public bool TryTake()
    {
        lock (_lock)
        {
            if (_saved < 1)
            {
                return false;
            }

            _saved--;
            return true;
        }
    }
}
