using Proxy.Cache.Tiers;

namespace Proxy.Server.WebConsole;

/// <summary>What an NVMe directory's device is given to write at the rate of late, in the terms its data sheet promises endurance in: bytes a day, and drive writes a day (DWPD).</summary>
/// <param name="WrittenBytes">Over <paramref name="Seconds"/>, reinsertions and padding included.</param>
/// <param name="CapacityBytes">Of the directory's cache, which may be less than the device's: then the device is rewritten less often than the cache.</param>
internal readonly record struct WriteBudget(long WrittenBytes, double Seconds, long CapacityBytes)
{
    /// <summary>A day is not told from less than this.</summary>
    public const int LeastSeconds = 10;

    private const int SecondsOfADay = 86_400;

    public bool IsKnown => Seconds >= LeastSeconds;

    public double BytesADay => WrittenBytes / Seconds * SecondsOfADay;

    /// <summary>How often a day the whole cache would be written anew.</summary>
    public double RewritesADay => CapacityBytes > 0 ? BytesADay / CapacityBytes : 0;

    /// <param name="before">The reading at the beginning of the time looked at; what it does not have was opened since.</param>
    public static WriteBudget Of(NvmeSnapshot now, TierSnapshot before, double seconds)
    {
        var then = before.Nvme.FirstOrDefault(nvme => nvme.Directory == now.Directory);
        return new WriteBudget(now.WrittenBytes - (then?.WrittenBytes ?? 0), seconds, now.CapacityBytes);
    }
}
