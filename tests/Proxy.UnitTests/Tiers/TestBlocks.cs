using Proxy.Cache.Blocks;

namespace Proxy.UnitTests.Tiers;

/// <summary>Blocks whose id, length and bytes all follow from one number, so that any byte can be checked at any time.</summary>
internal static unsafe class TestBlocks
{
    public const int MaxLength = 1 << 20;

    public static BlockId Id(long number) => new(new ContentId(Mix((ulong)number), Mix((ulong)number ^ 0xABCDEF)), (int)(number & 7));

    /// <summary>Covers tiny, unaligned, chunk-sized, just over a chunk, and half a megabyte.</summary>
    public static int Length(long number) => (number % 7) switch
    {
        0 => 1 + (int)(number * 7919 % 5000),
        1 => 65536,
        2 => 32768,
        3 => 100_000 + (int)(number % 1000),
        4 => 262_144,
        5 => 32769,
        _ => 500_000,
    };

    public static void Fill(long number, Span<byte> bytes)
    {
        var state = Mix((ulong)number) | 1;
        var i = 0;
        for (; i + 8 <= bytes.Length; i += 8)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            BitConverter.TryWriteBytes(bytes[i..], state);
        }

        for (; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(state >> (i & 7));
        }
    }

    public static Block Rent(BlockPool pool, long number, int length = 0)
    {
        Assert.True(pool.TryRent(length == 0 ? Length(number) : length, out var block), "The pool is full.");
        Fill(number, block.Span);
        return block;
    }

    /// <summary>What lies in the memory that the pool hands out next, which goes back.</summary>
    public static byte[] Rented(BlockPool pool, int length)
    {
        Assert.True(pool.TryRent(length, out var block), "The pool is full.");
        var bytes = block.Span.ToArray();
        block.Release();
        return bytes;
    }

    public static bool IsRight(long number, int offset, ReadOnlySpan<byte> bytes, int length = 0)
    {
        var whole = new byte[length == 0 ? Length(number) : length];
        Fill(number, whole);
        return whole.AsSpan(offset, bytes.Length).SequenceEqual(bytes);
    }

    private static ulong Mix(ulong x)
    {
        x = (x + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9;
        x ^= x >> 27;
        x *= 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}

/// <summary>A directory of its own that goes away with the test.</summary>
internal sealed class TestDirectory : IDisposable
{
    public TestDirectory() => Path = Directory.CreateTempSubdirectory("tiers-").FullName;

    public string Path { get; }

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
