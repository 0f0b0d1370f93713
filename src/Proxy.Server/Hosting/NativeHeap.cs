using System.Runtime.InteropServices;

namespace Proxy.Server.Hosting;

/// <summary>The C library's heap: the runtime's compiler, OpenSSL and SQLite have theirs from it.</summary>
internal static partial class NativeHeap
{
    private const string Chosen = "MALLOC_ARENA_MAX";

    /// <summary>M_ARENA_MAX of glibc's malloc.h.</summary>
    private const int ArenaMax = -8;

    /// <summary>A trim takes 1 to 2 ms for 20 MiB, so once a minute costs nothing that can be seen; the heap grows back in minutes at the least.</summary>
    private static readonly TimeSpan TrimEvery = TimeSpan.FromMinutes(1);

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

    /// <summary>Gives back what is free once a minute, until disposed of: compilers work in bursts, and each arena keeps what its largest took (bench/results/soak).</summary>
    public static ITimer StartTrimming(TimeProvider time) => time.CreateTimer(static _ => Trim(), null, TrimEvery, TrimEvery);

    /// <summary>Gives the pages of freed memory back to the system, wherever they lie in an arena. Others allocate meanwhile, from the arenas that it is not at.</summary>
    internal static void Trim()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            _ = Trim(0);
        }
        catch (EntryPointNotFoundException)
        {
            // musl: it keeps little.
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint keepAtTheTop);
}
