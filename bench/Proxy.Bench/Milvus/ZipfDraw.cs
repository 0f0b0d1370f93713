namespace Proxy.Bench.Milvus;

/// <summary>Indexes below a bound, the first the most often: probability proportional to rank to the minus exponent.</summary>
internal sealed class ZipfDraw
{
    private readonly double[] _cumulative;
    private readonly int[] _shuffled;
    private readonly Random _random;

    public ZipfDraw(int count, double exponent, int seed)
    {
        _random = new Random(seed);
        _cumulative = new double[count];
        var sum = 0.0;
        for (var i = 0; i < count; i++)
        {
            _cumulative[i] = sum += Math.Pow(i + 1, -exponent);
        }

        // Ranks are strewn over the cells: the hot ones are not neighbours.
        _shuffled = [.. Enumerable.Range(0, count)];
        _random.Shuffle(_shuffled);
    }

    public int Next()
    {
        var found = Array.BinarySearch(_cumulative, _random.NextDouble() * _cumulative[^1]);
        return _shuffled[found < 0 ? Math.Min(~found, _cumulative.Length - 1) : found];
    }
}
