using System.Runtime.InteropServices;

namespace Proxy.Server.Hosting;

/// <summary>The C library's heap: the runtime's compiler, OpenSSL and SQLite have theirs from it.</summary>
internal static partial class NativeHeap
{
    private const string Chosen = "MALLOC_ARENA_MAX";

    /// <summary>M_ARENA_MAX of glibc's malloc.h.</summary>
    private const int ArenaMax = -8;

    /// <summary>
    /// One arena a processor, and at least two. glibc gives threads up to eight a processor, and each arena keeps the most it ever held: some 20 MiB of resident memory on two
    /// processors (bench/results/soak). Whoever sets <c>MALLOC_ARENA_MAX</c> has chosen for himself. To be called first: arenas that exist by then stay.
    /// </summary>
    public static void LimitArenas()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable(Chosen) is not null)
        {
            return;
        }

        try
        {
            _ = SetOption(ArenaMax, Math.Max(2, Environment.ProcessorCount));
        }
        catch (EntryPointNotFoundException)
        {
            // musl: it has no arenas.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
