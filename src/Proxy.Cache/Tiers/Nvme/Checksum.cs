using System.Numerics;
using System.Runtime.InteropServices;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Checksums of the files on disk, on the processor's CRC32C instruction.</summary>
internal static class Checksum
{
    /// <summary>Of one chunk: seeded with whose it is, so bytes of another block, another chunk or an older lap of the ring never pass.</summary>
    /// <remarks>
    /// Four CRC32Cs over interleaved words, folded into one at the end: one alone waits three cycles for each word.
    /// </remarks>
    public static uint OfChunk(in BlockId id, int chunk, ReadOnlySpan<byte> bytes)
    {
        var seed = BitOperations.Crc32C(BitOperations.Crc32C(BitOperations.Crc32C((uint)bytes.Length, ((ulong)(uint)id.Number << 32) | (uint)chunk), id.Content.Low), id.Content.High);
        uint a = seed, b = ~seed, c = seed ^ 0x5A5A5A5A, d = ~c;
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        var i = 0;
        for (; i + 4 <= words.Length; i += 4)
        {
            a = BitOperations.Crc32C(a, words[i]);
            b = BitOperations.Crc32C(b, words[i + 1]);
            c = BitOperations.Crc32C(c, words[i + 2]);
            d = BitOperations.Crc32C(d, words[i + 3]);
        }

        var folded = BitOperations.Crc32C(BitOperations.Crc32C(a, ((ulong)b << 32) | c), d);
        for (; i < words.Length; i++)
        {
            folded = BitOperations.Crc32C(folded, words[i]);
        }

        return Of(folded, bytes[(words.Length * sizeof(ulong))..]);
    }

    /// <summary>Plain CRC32C, continued from <paramref name="seed"/>.</summary>
    public static uint Of(uint seed, ReadOnlySpan<byte> bytes)
    {
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words)
        {
            seed = BitOperations.Crc32C(seed, word);
        }

        foreach (var one in bytes[(words.Length * sizeof(ulong))..])
        {
            seed = BitOperations.Crc32C(seed, one);
        }

        return seed;
    }
}
