using System.Runtime.InteropServices;

namespace Proxy.Cache;

/// <summary>How long the kernel lets a thread run before others of its core have their turn.</summary>
/// <remarks>
/// A property of ordinary threads from Linux 6.12 on (sched_setattr(2), <c>sched_runtime</c>): a shorter slice has no larger share, it comes in smaller pieces and sooner
/// after a wait. On older kernels, other systems, and under a policy that somebody chose for the process, nothing changes.
/// <para>
/// Short for the threads that answer hits: p99 at 32 connections falls by a third to a half at the same capacity (bench/results/serving-path). And then for those that write
/// to NVMe too: the first ones also receive uploads, and would get ahead of them. Not for the pool's: large bodies leave on those, and 16 MiB cost a tenth more.
/// </para>
/// </remarks>
public static unsafe partial class SchedulerSlice
{
    // 100 µs did as well and cost a twentieth of the rate at 8 connections; 500 did two thirds of it.
    private static readonly TimeSpan Short = TimeSpan.FromMicroseconds(300);

    private static readonly (nint Set, nint Get)? Calls = !OperatingSystem.IsLinux() ? null : RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => (314, 315),
        Architecture.Arm64 => (274, 275),
        _ => null,
    };

    /// <summary>Of the calling thread; zero where it cannot be told.</summary>
    internal static TimeSpan Current => TryGet(out var attributes) ? TimeSpan.FromMicroseconds(attributes.Runtime / 1000.0) : TimeSpan.Zero;

    /// <summary>Asks for a short slice for the calling thread, which must not be the pool's.</summary>
    public static void Shorten() => _ = TrySet(Short);

    /// <summary>Asks for a slice for the calling thread. The kernel keeps it between 100 µs and 100 ms.</summary>
    /// <returns>False when it was not taken.</returns>
    internal static bool TrySet(TimeSpan slice)
    {
        if (!TryGet(out var attributes) || attributes.Policy != 0)
        {
            return false;
        }

        attributes.Runtime = (ulong)slice.TotalNanoseconds;
        return SystemCall(Calls!.Value.Set, 0, &attributes, 0, 0) == 0;
    }

    private static bool TryGet(out Attributes attributes)
    {
        Attributes got = default;
        var done = Calls is { } calls && SystemCall(calls.Get, 0, &got, sizeof(Attributes), 0) == 0;
        attributes = got;
        return done;
    }

    // The C library has no function of its own for these before glibc 2.41.
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint thread, Attributes* attributes, nint sizeOrFlags, nint flags);

    /// <summary>struct sched_attr, its first version.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Attributes
    {
        public uint Size;
        public uint Policy;
        public ulong Flags;
        public int Nice;
        public uint Priority;
        public ulong Runtime;
        public ulong Deadline;
        public ulong Period;
    }
}
