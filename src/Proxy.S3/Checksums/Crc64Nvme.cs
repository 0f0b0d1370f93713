using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Proxy.S3.Checksums;

/// <summary>CRC-64/NVME: reflected, polynomial AD93D23594C93659, from and to all ones (NVM Express NVM Command Set, "64b CRC Definition").</summary>
/// <remarks>Carry-less multiplication where the processor has it, tables of eight bytes a step elsewhere.</remarks>
internal static class Crc64Nvme
{
    private const ulong Polynomial = 0x9A6C9329AC4BC9B5;

    private static readonly ulong[] Tables = MakeTables();

    // Folding by n bits multiplies the two halves of a 128-bit lane by x^(n+63) and x^(n-1): one less than the textbook's, because a carry-less product of
    // two reflected 64-bit numbers comes out one bit too low.
    private static readonly Vector128<ulong> FoldBy128 = Vector128.Create(PowerOfX(128 + 63), PowerOfX(128 - 1));
    private static readonly Vector128<ulong> FoldBy512 = Vector128.Create(PowerOfX(512 + 63), PowerOfX(512 - 1));

    public const ulong Initial = ulong.MaxValue;

    /// <summary>Takes the running state on over more bytes; the CRC is its complement.</summary>
    public static ulong Append(ulong state, ReadOnlySpan<byte> bytes)
    {
        if (Pclmulqdq.IsSupported && bytes.Length >= 128)
        {
            var folded = bytes.Length & ~15;
            state = AppendFolded(state, bytes[..folded]);
            bytes = bytes[folded..];
        }

        return AppendByTables(state, bytes);
    }

    internal static ulong AppendByTables(ulong state, ReadOnlySpan<byte> bytes)
    {
        ref var t = ref MemoryMarshal.GetArrayDataReference(Tables);
        while (bytes.Length >= 8)
        {
            var x = state ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            state = Unsafe.Add(ref t, (7 * 256) + (int)(x & 0xFF))
                ^ Unsafe.Add(ref t, (6 * 256) + (int)((x >> 8) & 0xFF))
                ^ Unsafe.Add(ref t, (5 * 256) + (int)((x >> 16) & 0xFF))
                ^ Unsafe.Add(ref t, (4 * 256) + (int)((x >> 24) & 0xFF))
                ^ Unsafe.Add(ref t, (3 * 256) + (int)((x >> 32) & 0xFF))
                ^ Unsafe.Add(ref t, (2 * 256) + (int)((x >> 40) & 0xFF))
                ^ Unsafe.Add(ref t, 256 + (int)((x >> 48) & 0xFF))
                ^ Unsafe.Add(ref t, (int)(x >> 56));
            bytes = bytes[8..];
        }

        foreach (var b in bytes)
        {
            state = Unsafe.Add(ref t, (int)((state ^ b) & 0xFF)) ^ (state >> 8);
        }

        return state;
    }

    // Four lanes of 16 bytes folded over 64 bytes at a time, then into one, then over the rest; the last 16 bytes go through the tables.
    private static ulong AppendFolded(ulong state, ReadOnlySpan<byte> bytes)
    {
        var lanes = MemoryMarshal.Cast<byte, Vector128<ulong>>(bytes);
        var a = lanes[0] ^ Vector128.CreateScalar(state);
        var b = lanes[1];
        var c = lanes[2];
        var d = lanes[3];
        var i = 4;
        for (; i + 4 <= lanes.Length; i += 4)
        {
            a = Fold(a, FoldBy512) ^ lanes[i];
            b = Fold(b, FoldBy512) ^ lanes[i + 1];
            c = Fold(c, FoldBy512) ^ lanes[i + 2];
            d = Fold(d, FoldBy512) ^ lanes[i + 3];
        }

        a = Fold(a, FoldBy128) ^ b;
        a = Fold(a, FoldBy128) ^ c;
        a = Fold(a, FoldBy128) ^ d;
        for (; i < lanes.Length; i++)
        {
            a = Fold(a, FoldBy128) ^ lanes[i];
        }

        Span<byte> last = stackalloc byte[16];
        a.AsByte().CopyTo(last);
        return AppendByTables(0, last);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ulong> Fold(Vector128<ulong> lane, Vector128<ulong> by)
        => Pclmulqdq.CarrylessMultiply(lane, by, 0x00) ^ Pclmulqdq.CarrylessMultiply(lane, by, 0x11);

    private static ulong PowerOfX(int power)
    {
        var value = 1UL << 63;
        for (var i = 0; i < power; i++)
        {
            value = (value & 1) != 0 ? (value >> 1) ^ Polynomial : value >> 1;
        }

        return value;
    }

    private static ulong[] MakeTables()
    {
        var tables = new ulong[8 * 256];
        for (var n = 0; n < 256; n++)
        {
            var value = (ulong)n;
            for (var bit = 0; bit < 8; bit++)
            {
                value = (value & 1) != 0 ? (value >> 1) ^ Polynomial : value >> 1;
            }

            tables[n] = value;
        }

        for (var n = 256; n < tables.Length; n++)
        {
            var before = tables[n - 256];
            tables[n] = tables[before & 0xFF] ^ (before >> 8);
        }

        return tables;
    }
}
