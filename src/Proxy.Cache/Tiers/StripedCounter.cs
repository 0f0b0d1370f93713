using System.Runtime.CompilerServices;

namespace Proxy.Cache.Tiers;

/// <summary>A counter for the hit path: each processor adds on a cache line of its own, so threads do not fight over one.</summary>
internal sealed class StripedCounter
{
    private const int LongsPerStripe = 16;
    private readonly long[] _stripes;
    private readonly int _mask;

    public StripedCounter()
    {
        var stripes = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Min(Environment.ProcessorCount, 64));
        _stripes = new long[(stripes + 1) * LongsPerStripe];
        _mask = stripes - 1;
    }

    public long Value
    {
        get
        {
            long sum = 0;
            for (var i = LongsPerStripe; i < _stripes.Length; i += LongsPerStripe)
            {
                sum += Interlocked.Read(ref _stripes[i]);
            }

            return sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Increment() => Add(1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(int count) => Interlocked.Add(ref _stripes[((Thread.GetCurrentProcessorId() & _mask) + 1) * LongsPerStripe], count);
}
