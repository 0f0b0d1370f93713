namespace Proxy.Cache.Admin;

/// <summary>What a cache of any size would have hit, estimated from sampled reads: stack distances in bytes of an LRU that holds no data.</summary>
/// <remarks>
/// Fixed-size SHARDS: at most <see cref="MostBlocks"/> blocks are followed; when there are more, the threshold on their hashes is halved. A read at rate r
/// counts 1/r times and its distance is 1/r times as far. Distances come from a Fenwick tree over the order of last uses, rebuilt when the order's
/// numbers run out. Where more is read than <see cref="ReadSampler"/> takes the threshold is halved too, down to <see cref="FewestBlocks"/> followed; below
/// that what is left out is the rest of a second in which each of so few blocks was read many times. Old reads fade: what was counted is halved every
/// <see cref="HalfLife"/> sampled reads.
/// LRU over memory and NVMe together is an idealisation of what really decides (S3-FIFO above, FIFO with reinsertion below); it is what the curve promises, no more.
/// Not thread-safe: one sampler task.
/// </remarks>
internal sealed class GhostCache
{
    /// <summary>8,192: SHARDS's own mean error at this size is below one point of miss ratio.</summary>
    public const int MostBlocks = 8192;

    /// <summary>2,048: with a quarter of them the curve of three thousand blocks was off by five points, with these by one.</summary>
    private const int FewestBlocks = 2048;

    private const int HalfLife = 1 << 18;

    // Distances by powers of 2^(1/4): the curve between two sizes a quarter octave apart is a straight line.
    private const int BucketsPerOctave = 4;
    private const int Buckets = 44 * BucketsPerOctave;

    private readonly Dictionary<ulong, Place> _last = [];
    private readonly double[] _hits = new double[Buckets];
    private long[] _tree = new long[1 << 12];
    private int _next;
    private double _cold;
    private double _total;
    private double _seen;
    private int _sinceHalving;
    private long _samples;

    /// <summary>Reads followed so far; the curve means little below a few hundred.</summary>
    public long Samples => _samples;

    /// <summary>Blocks with a <see cref="ReadSampler.Print"/> above are not followed.</summary>
    public uint Threshold { get; private set; } = uint.MaxValue;

    private double Rate => ((double)Threshold + 1) / ((double)uint.MaxValue + 1);

    /// <summary>Follows what a sampler has taken, and tells it what to take from now on.</summary>
    public void Follow(ReadSampler sampler)
    {
        var hadRoom = sampler.Drain(Read, out var reads);

        // SHARDS-adj: what the samples' weights fall short of it are reads of hot blocks that the sample missed, and hits at any size.
        _seen += reads;
        if (_sinceHalving >= HalfLife)
        {
            Halve(); // here, where what was seen and what was followed are of the same reads
        }

        if (!hadRoom && _last.Count >= 2 * FewestBlocks)
        {
            LowerThreshold();
        }

        sampler.Threshold = Threshold;
    }

    private void Read(ulong block, long bytes)
    {
        if (ReadSampler.Print(block) > Threshold)
        {
            return;
        }

        _samples++;
        var weight = 1 / Rate;
        _sinceHalving++;
        _total += weight;
        if (_last.Remove(block, out var place)) // or Renumber, below, would count it at its old place too
        {
            // Bytes of every distinct block used since, and its own: what an LRU needs to hold for this to be a hit.
            var distance = (Sum(_next) - Sum(place.At + 1) + bytes) * weight;
            _hits[BucketOf(distance)] += weight;
            Add(place.At, -place.Bytes);
        }
        else
        {
            _cold += weight;
            if (_last.Count >= MostBlocks)
            {
                LowerThreshold();
                if (ReadSampler.Print(block) > Threshold)
                {
                    return;
                }
            }
        }

        if (_next == _tree.Length - 1)
        {
            Renumber();
        }

        _last[block] = new Place(_next, bytes);
        Add(_next++, bytes);
    }

    /// <summary>Share of reads, by block, that a cache of <paramref name="capacityBytes"/> would have answered; 0 to 1.</summary>
    public double HitRatio(double capacityBytes)
    {
        if (_seen <= 0 || capacityBytes <= 0)
        {
            return 0;
        }

        var position = Math.Max(0, Math.Log2(capacityBytes) * BucketsPerOctave);
        var whole = Math.Min(Buckets - 1, (int)position);
        var sum = _seen - _total;
        for (var i = 0; i < whole; i++)
        {
            sum += _hits[i];
        }

        return Math.Clamp((sum + (_hits[whole] * (position - whole))) / _seen, 0, 1);
    }

    /// <summary>Share of reads that no cache could have answered: first reads of their block.</summary>
    public double ColdRatio => _seen <= 0 ? 0 : Math.Clamp(_cold / _seen, 0, 1);

    private static int BucketOf(double distance) => Math.Clamp((int)(Math.Log2(Math.Max(1, distance)) * BucketsPerOctave), 0, Buckets - 1);

    private void Halve()
    {
        _sinceHalving = 0;
        _total /= 2;
        _seen /= 2;
        _cold /= 2;
        foreach (ref var hits in _hits.AsSpan())
        {
            hits /= 2;
        }
    }

    private void LowerThreshold()
    {
        Threshold /= 2;
        foreach (var gone in _last.Keys.Where(followed => ReadSampler.Print(followed) > Threshold).ToList())
        {
            _last.Remove(gone);
        }

        Renumber();
    }

    /// <summary>Numbers the last uses anew from 0, in a tree with room for as many again.</summary>
    private void Renumber()
    {
        var order = _last.OrderBy(pair => pair.Value.At).ToList();
        _tree = new long[Math.Max(1 << 12, (2 * order.Count) + 2)];
        _last.Clear();
        _next = 0;
        foreach (var (block, place) in order)
        {
            _last[block] = new Place(_next, place.Bytes);
            Add(_next++, place.Bytes);
        }
    }

    /// <summary>Bytes of the uses numbered below <paramref name="end"/>.</summary>
    private long Sum(int end)
    {
        long sum = 0;
        for (; end > 0; end &= end - 1)
        {
            sum += _tree[end];
        }

        return sum;
    }

    private void Add(int at, long bytes)
    {
        for (at++; at < _tree.Length; at += at & -at)
        {
            _tree[at] += bytes;
        }
    }

    private readonly record struct Place(int At, long Bytes);
}

/// <summary>One point of the miss-ratio curve.</summary>
/// <param name="Factor">Of today's capacity (memory and NVMe together): 0.25 to 8.</param>
/// <param name="HitRatio">Estimated share of block reads answered from cache; 0 to 1.</param>
public sealed record CurvePoint(double Factor, long CapacityBytes, double HitRatio);

/// <summary>What a smaller or larger cache would give.</summary>
/// <param name="Samples">Reads it rests on: below some hundreds it means little.</param>
/// <param name="ColdRatio">First reads of their block: no size helps them.</param>
public sealed record MissRatioCurve(IReadOnlyList<CurvePoint> Points, long Samples, double ColdRatio);
