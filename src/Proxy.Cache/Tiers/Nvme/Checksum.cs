using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Checksums of the files on disk, on the processor's CRC32C instruction.</summary>
internal static unsafe class Checksum
{
    // A lane's words in a full chunk, in bytes: 512 of them.
    private const int LaneBytes = RecordLayout.ChunkBytes / 4;

    // Bytes from the disk are not in the processor's caches yet, and what it fetches ahead by itself ends with each page: 64 KiB took 9.6 µs, 6.5 with this, 3.1 from the cache.
    private const int PrefetchBytes = 2 << 10;

    private static readonly uint[] Apart = TablesOf(LaneBytes);

    /// <summary>Of one chunk: seeded with whose it is, so bytes of another block, another chunk or an older lap of the ring never pass.</summary>
    /// <remarks>
    /// Four CRC32Cs over interleaved words, because one alone waits three cycles for each word. They are put together as if each lane lay behind the other, a
    /// full lane apart: so no two bits of a chunk weigh the same, and every change of one or two bits is seen, as by one CRC32C over all of it.
    /// </remarks>
    /// <param name="bytes">At most <see cref="RecordLayout.ChunkBytes"/>.</param>
    public static uint OfChunk(in BlockId id, int chunk, ReadOnlySpan<byte> bytes)
    {
        // Whose it is enters one lane only: in several it could cancel itself out.
        var a = BitOperations.Crc32C(BitOperations.Crc32C(BitOperations.Crc32C((uint)bytes.Length, ((ulong)(uint)id.Number << 32) | (uint)chunk), id.Content.Low), id.Content.High);
        uint b = 0, c = 0, d = 0;
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        var i = 0;
        fixed (ulong* first = words)
        {
            for (; i + 8 <= words.Length; i += 8)
            {
                if (Sse.IsSupported)
                {
                    Sse.Prefetch0((byte*)(first + i) + PrefetchBytes); // never a fault, whatever lies there
                }

                a = BitOperations.Crc32C(BitOperations.Crc32C(a, first[i]), first[i + 4]);
                b = BitOperations.Crc32C(BitOperations.Crc32C(b, first[i + 1]), first[i + 5]);
                c = BitOperations.Crc32C(BitOperations.Crc32C(c, first[i + 2]), first[i + 6]);
                d = BitOperations.Crc32C(BitOperations.Crc32C(d, first[i + 3]), first[i + 7]);
            }
        }

        for (; i + 4 <= words.Length; i += 4)
        {
            a = BitOperations.Crc32C(a, words[i]);
            b = BitOperations.Crc32C(b, words[i + 1]);
            c = BitOperations.Crc32C(c, words[i + 2]);
            d = BitOperations.Crc32C(d, words[i + 3]);
        }

        var folded = OneLaneOn(OneLaneOn(OneLaneOn(a) ^ b) ^ c) ^ d;
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

    /// <summary>What <paramref name="crc"/> becomes when a full lane of zeros follows.</summary>
    private static uint OneLaneOn(uint crc)
    {
        var tables = Apart;
        return tables[(byte)crc] ^ tables[256 + (byte)(crc >> 8)] ^ tables[512 + (byte)(crc >> 16)] ^ tables[768 + (crc >> 24)];
    }

    /// <summary>By each byte of a CRC, what it becomes when so many zeros follow. A CRC without a seed is linear: bits add up.</summary>
    private static uint[] TablesOf(int zeros)
    {
        var tables = new uint[4 * 256];
        for (var bit = 0; bit < 32; bit++)
        {
            var on = 1u << bit;
            for (var i = 0; i < zeros; i += sizeof(ulong))
            {
                on = BitOperations.Crc32C(on, 0UL);
            }

            // Every entry with this as its highest bit is one without it, and this.
            var (table, highest) = (256 * (bit / 8), 1 << (bit % 8));
            for (var lower = 0; lower < highest; lower++)
            {
                tables[table + highest + lower] = tables[table + lower] ^ on;
            }
        }

        return tables;
    }
}
