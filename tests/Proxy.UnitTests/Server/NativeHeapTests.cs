using System.Runtime.InteropServices;
using Proxy.Server.Hosting;

namespace Proxy.UnitTests.Server;

/// <summary>The C library's heap keeps what was freed below something that still lives; trimming gives it back.</summary>
public sealed unsafe class NativeHeapTests
{
    /// <summary>Below the 128 KiB from which malloc maps memory for each request by itself.</summary>
    private const int PieceBytes = 64 << 10;

    /// <summary>32 MiB: half of what one arena's mapping holds, so that all of them lie in it side by side.</summary>
    private const int Pieces = 512;

    [Fact]
    public void Trim_FreedBelowWhatLives_IsGivenBack()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "glibc's heap is meant");
        var pieces = new nint[Pieces];
        for (var at = 0; at < Pieces; at++)
        {
            pieces[at] = (nint)NativeMemory.Alloc(PieceBytes);
            new Span<byte>((void*)pieces[at], PieceBytes).Fill(1);
        }

        // The last one stays, so nothing ends at the heap's top and malloc by itself gives back nothing.
        var last = pieces[^1];
        foreach (var piece in pieces.AsSpan(0, Pieces - 1))
        {
            NativeMemory.Free((void*)piece);
        }

        try
        {
            var kept = ResidentOf(pieces);
            NativeHeap.Trim();
            var left = ResidentOf(pieces);

            Assert.True(kept > Pieces / 2, $"only {kept} of {Pieces} freed pieces were still resident before: nothing to see");
            Assert.True(left < Pieces / 8, $"{left} of {kept} freed pieces are still resident");
        }
        finally
        {
            NativeMemory.Free((void*)last);
        }
    }

    /// <summary>Of how many pieces the page in their middle is in memory: this process's alone, whatever other tests allocate.</summary>
    private static int ResidentOf(nint[] pieces) => pieces.Count(static piece => ProcessPages.Resident(piece + (PieceBytes / 2), Environment.SystemPageSize) > 0);
}
