using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Proxy.Bench.Workloads;

/// <summary>The bytes of one object, made from (seed, key, offset) whenever they are wanted and never stored.</summary>
/// <remarks>
/// Word i of an object is a mix of the object's own seed and i, so a byte that comes back from the wrong key, the wrong
/// block or the wrong version differs. Immutable; thread-safe.
/// </remarks>
internal readonly struct Content(long seed, string key)
{
    private const ulong Golden = 0x9E3779B97F4A7C15;
    private const ulong Multiplier = 0xBF58476D1CE4E5B9;

    /// <summary>Of one turn of the vector loops: two of 64 bytes.</summary>
    private const int TurnBytes = 128;

    private readonly ulong _seed = Mix(Hash(key) + ((ulong)seed * Golden));

    /// <summary>A number of this object that is always the same: sizes and choices grow from it.</summary>
    /// <param name="which">Tells one choice from another.</param>
    /// <param name="below">Exclusive upper bound, over 0.</param>
    public long Choose(int which, long below) => (long)(Mix(Mix(_seed ^ ((ulong)which << 32)) + Golden) % (ulong)below);

    /// <summary>Writes the bytes from <paramref name="offset"/> on.</summary>
    public void Fill(Span<byte> destination, long offset)
    {
        var lead = Lead(destination.Length, offset);
        FillByWords(destination[..lead], offset);
        var done = lead + FillVectors(destination[lead..], (offset + lead) >> 3);
        FillByWords(destination[done..], offset + done);
    }

    /// <summary>Where <paramref name="actual"/>, read from <paramref name="offset"/>, first differs; -1 when it does not.</summary>
    /// <remarks>
    /// Made and compared in registers, with nothing written: 4.7 → 62 GB/s with Vector512, 22 with two Vector256 (64 KiB, Zen 5), where
    /// words were made in a buffer of their own before.
    /// </remarks>
    public long FirstDifference(ReadOnlySpan<byte> actual, long offset)
    {
        var lead = Lead(actual.Length, offset);
        var difference = FirstDifferenceByWords(actual[..lead], offset);
        if (difference >= 0)
        {
            return difference;
        }

        // What lies in the first unequal vectors, or behind the last whole ones, is looked at word by word.
        var done = lead + EqualVectors(actual[lead..], (offset + lead) >> 3);
        return FirstDifferenceByWords(actual[done..], offset + done);
    }

    /// <summary>The plain form of <see cref="Fill"/>, which a test holds it to.</summary>
    internal void FillByWords(Span<byte> destination, long offset)
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

    /// <summary>The plain form of <see cref="FirstDifference"/>, which a test holds it to.</summary>
    internal long FirstDifferenceByWords(ReadOnlySpan<byte> actual, long offset)
    {
        Span<byte> word = stackalloc byte[8];
        for (var done = 0; done < actual.Length;)
        {
            var lead = (int)((offset + done) & 7);
            var piece = actual.Slice(done, Math.Min(8 - lead, actual.Length - done));
            WriteWord(word[..piece.Length], Word((offset + done) >> 3) >> (8 * lead));
            if (!piece.SequenceEqual(word[..piece.Length]))
            {
                return offset + done + piece.CommonPrefixLength(word);
            }

            done += piece.Length;
        }

        return -1;
    }

    /// <summary>Bytes before the first word that begins in them.</summary>
    private static int Lead(int length, long offset) => Math.Min(length, (int)(-offset & 7));

    // Twice eight words a turn: one multiplication waits for nobody while the other runs. Vector512 is two Vector256 where the processor has no wider ones;
    // without those either the loops by words are the faster ones. Compiled fully at once: tier 0 of vector code is fifty times as slow.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int EqualVectors(ReadOnlySpan<byte> actual, long index)
    {
        if (!Vector256.IsHardwareAccelerated || actual.Length < TurnBytes)
        {
            return 0;
        }

        ref var from = ref MemoryMarshal.GetReference(actual);
        var state = FirstStates(index);
        var step = Vector512.Create(unchecked(8 * Golden));
        var done = 0;
        for (; done <= actual.Length - TurnBytes; done += TurnBytes)
        {
            var first = Mix(state) ^ Vector512.LoadUnsafe(ref from, (nuint)done).AsUInt64();
            state += step;
            var second = Mix(state) ^ Vector512.LoadUnsafe(ref from, (nuint)done + (TurnBytes / 2)).AsUInt64();
            state += step;
            if ((first | second) != Vector512<ulong>.Zero)
            {
                break;
            }
        }

        return done;
    }

    // Same loop as EqualVectors; change both.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int FillVectors(Span<byte> destination, long index)
    {
        if (!Vector256.IsHardwareAccelerated || destination.Length < TurnBytes)
        {
            return 0;
        }

        ref var to = ref MemoryMarshal.GetReference(destination);
        var state = FirstStates(index);
        var step = Vector512.Create(unchecked(8 * Golden));
        var done = 0;
        for (; done <= destination.Length - TurnBytes; done += TurnBytes)
        {
            Mix(state).AsByte().StoreUnsafe(ref to, (nuint)done);
            state += step;
            Mix(state).AsByte().StoreUnsafe(ref to, (nuint)done + (TurnBytes / 2));
            state += step;
        }

        return done;
    }

    /// <summary>What the eight words from <paramref name="index"/> on are mixed from.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<ulong> FirstStates(long index)
        => Vector512.Create(_seed + ((ulong)index * Golden)) + (Vector512<ulong>.Indices * Vector512.Create(Golden));

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
        value = (value ^ (value >> 31)) * Multiplier;
        return value ^ BitOperations.RotateRight(value, 29);
    }

    // The same, eight at a time; change both.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Mix(Vector512<ulong> value)
    {
        value = (value ^ Vector512.ShiftRightLogical(value, 31)) * Vector512.Create(Multiplier);
        return value ^ (Vector512.ShiftRightLogical(value, 29) | Vector512.ShiftLeft(value, 35));
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
