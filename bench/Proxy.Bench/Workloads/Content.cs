using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Proxy.Bench.Workloads;

/// <summary>The bytes of one object, made from (seed, key, offset) whenever they are wanted and never stored.</summary>
/// <remarks>
/// Word i of an object is a mix of the object's own seed and i, so a byte that comes back from the wrong key, the wrong
/// block or the wrong version differs. Immutable; thread-safe.
/// </remarks>
internal readonly struct Content(long seed, string key)
{
    private const ulong Golden = 0x9E3779B97F4A7C15;
    private const int ScratchBytes = 8 << 10;

    private readonly ulong _seed = Mix(Hash(key) + ((ulong)seed * Golden));

    /// <summary>A number of this object that is always the same: sizes and choices grow from it.</summary>
    /// <param name="which">Tells one choice from another.</param>
    /// <param name="below">Exclusive upper bound, over 0.</param>
    public long Choose(int which, long below) => (long)(Mix(Mix(_seed ^ ((ulong)which << 32)) + Golden) % (ulong)below);

    /// <summary>Writes the bytes from <paramref name="offset"/> on.</summary>
    public void Fill(Span<byte> destination, long offset)
    {
        var lead = (int)(offset & 7);
        if (lead != 0)
        {
            var count = Math.Min(8 - lead, destination.Length);
            WriteWord(destination[..count], Word(offset >> 3) >> (8 * lead));
            destination = destination[count..];
            offset += count;
        }

        var words = MemoryMarshal.Cast<byte, ulong>(destination);
        var index = offset >> 3;
        for (var i = 0; i < words.Length; i++)
        {
            words[i] = Word(index + i);
        }

        WriteWord(destination[(words.Length * 8)..], Word(index + words.Length));
    }

    /// <summary>Where <paramref name="actual"/>, read from <paramref name="offset"/>, first differs; -1 when it does not.</summary>
    public long FirstDifference(ReadOnlySpan<byte> actual, long offset)
    {
        Span<byte> scratch = stackalloc byte[ScratchBytes];
        for (var done = 0; done < actual.Length; done += ScratchBytes)
        {
            var piece = actual.Slice(done, Math.Min(ScratchBytes, actual.Length - done));
            var expected = scratch[..piece.Length];
            Fill(expected, offset + done);
            if (!piece.SequenceEqual(expected))
            {
                return offset + done + piece.CommonPrefixLength(expected);
            }
        }

        return -1;
    }

    // Little-endian, as the cast to words is on every machine .NET runs on.
    private static void WriteWord(Span<byte> destination, ulong word)
    {
        for (var i = 0; i < destination.Length; i++, word >>= 8)
        {
            destination[i] = (byte)word;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ulong Word(long index) => Mix(_seed + ((ulong)index * Golden));

    // splitmix64's finaliser with one of its two multiplications: neighbours must differ everywhere, not be random.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 31)) * 0xBF58476D1CE4E5B9;
        return value ^ BitOperations.RotateRight(value, 29);
    }

    private static ulong Hash(string key)
    {
        var hash = 0xCBF29CE484222325;
        foreach (var character in key)
        {
            hash = (hash ^ character) * 0x100000001B3;
        }

        return hash;
    }
}
