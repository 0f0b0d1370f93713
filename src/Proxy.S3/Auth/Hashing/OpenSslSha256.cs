using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Proxy.S3.Auth.Hashing;

/// <summary>SHA-256 by the plain functions of the OpenSSL that .NET's own hashers use too: no object to rent, nothing allocated, no lock.</summary>
/// <remarks>
/// A signature hashes some 500 bytes, and what .NET and OpenSSL do around them costs as much again and more. <c>SHA256_Update</c> and its like work on a
/// structure of the caller's and no more. They are deprecated since OpenSSL 3.0 but part of what libcrypto.so.3 offers; where they are missing, give another hash than
/// .NET's or OpenSSL is told to stay within FIPS, <see cref="IsAvailable"/> is false and nothing else here may be called. Thread-safe.
/// </remarks>
internal static unsafe class OpenSslSha256
{
    private const string Library = "libcrypto.so.3";

    // A call may not stop for the collector: at most 4 KiB each, some 3 µs.
    private const int MaxPiece = 4 << 10;

    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<State*, byte*, nuint, int> Update;
    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, State*, int> Final;
    private static readonly State Initial;

    static OpenSslSha256()
    {
        if (!OperatingSystem.IsLinux() || !NativeLibrary.TryLoad(Library, out var library))
        {
            return;
        }

        if (!NativeLibrary.TryGetExport(library, "SHA256_Init", out var init)
            || !NativeLibrary.TryGetExport(library, "SHA256_Update", out var update)
            || !NativeLibrary.TryGetExport(library, "SHA256_Final", out var final)
            || IsWithinFips(library))
        {
            return;
        }

        fixed (State* initial = &Initial)
        {
            _ = ((delegate* unmanaged[Cdecl]<State*, int>)init)(initial);
        }

        Update = (delegate* unmanaged[Cdecl, SuppressGCTransition]<State*, byte*, nuint, int>)update;
        Final = (delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, State*, int>)final;
        IsAvailable = AgreesWithRuntime();
    }

    public static bool IsAvailable { get; }

    /// <summary>Before the first byte. A state may be copied at any time: both go on from there.</summary>
    public static State Start() => Initial;

    public static void Append(ref State state, ReadOnlySpan<byte> bytes)
    {
        fixed (State* at = &state)
        fixed (byte* first = bytes)
        {
            for (var done = 0; done < bytes.Length; done += MaxPiece)
            {
                _ = Update(at, first + done, (nuint)Math.Min(MaxPiece, bytes.Length - done));
            }
        }
    }

    /// <param name="hash">32 bytes.</param>
    public static void Finish(ref State state, Span<byte> hash)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(hash.Length, SHA256.HashSizeInBytes);
        fixed (State* at = &state)
        fixed (byte* into = hash)
        {
            _ = Final(into, at);
        }
    }

    private static bool IsWithinFips(nint library)
        => NativeLibrary.TryGetExport(library, "EVP_default_properties_is_fips_enabled", out var isFips)
            && ((delegate* unmanaged[Cdecl]<void*, int>)isFips)(null) == 1;

    /// <summary>All lengths that end otherwise (one block more or not), and one of several pieces.</summary>
    private static bool AgreesWithRuntime()
    {
        var bytes = new byte[(2 * MaxPiece) + 1];
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(i * 7);
        }

        Span<byte> ours = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> theirs = stackalloc byte[SHA256.HashSizeInBytes];
        for (var length = 0; length <= bytes.Length; length = length < 130 ? length + 1 : length == 130 ? bytes.Length : length + 1)
        {
            var state = Start();
            Append(ref state, bytes.AsSpan(0, length));
            Finish(ref state, ours);
            SHA256.HashData(bytes.AsSpan(0, length), theirs);
            if (!ours.SequenceEqual(theirs))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>OpenSSL's SHA256_CTX, as its header has it: eight words of hash, two of length, sixteen of the block begun, and two counts.</summary>
    [InlineArray(Words)]
    internal struct State
    {
        private const int Words = 28;

        private uint _word;
    }
}
