using System.Numerics;

namespace Proxy.Cache.Blocks;

/// <summary>The sizes in which the pool hands out memory: multiples of 4 KiB, four per doubling, so at most a fifth of a large block is unused.</summary>
internal static class SizeClasses
{
    public const int PageBytes = 4096;

    /// <summary>The largest block that can be rented: 64 MiB.</summary>
    public const int MaxBytes = 64 << 20;

    /// <summary>4, 8, 12, 16, 20, 24, 28, 32, 40, 48 … KiB up to <see cref="MaxBytes"/>.</summary>
    public const int Count = 52;

    public static int IndexOf(int length)
    {
        var pages = (length + PageBytes - 1) / PageBytes;
        if (pages <= 4)
        {
            return pages - 1;
        }

        var shift = BitOperations.Log2((uint)(pages - 1)) - 2;
        return (shift * 4) + ((pages + (1 << shift) - 1) >> shift) - 1;
    }

    public static int SizeOf(int index)
    {
        if (index < 8)
        {
            return (index + 1) * PageBytes;
        }

        var shift = (index / 4) - 1;
        return ((index - (shift * 4) + 1) << shift) * PageBytes;
    }
}
