using System.Runtime.InteropServices;

namespace Proxy.Server.DirectOutput;

/// <summary>How long the kernel lets a thread run before others of its core have their turn.</summary>
/// <remarks>
/// A property of ordinary threads from Linux 6.12 on (sched_setattr(2), <c>sched_runtime</c>): a shorter slice has no larger share, it comes in smaller pieces and sooner
/// after a wait. On older kernels, other systems, and under a policy that somebody chose for the process, nothing changes.
/// </remarks>
internal static unsafe partial class SchedulerSlice
{
    /// <summary>SCHED_OTHER.</summary>
    private const uint OrdinaryPolicy = 0;

    /// <summary>The numbers of sched_setattr and sched_getattr.</summary>
    private static readonly (nint Set, nint Get)? Calls = !OperatingSystem.IsLinux() ? null : RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => (314, 315),
        Architecture.Arm64 => (274, 275),
        _ => null,
    };

    /// <summary>Of the calling thread; zero where it cannot be told.</summary>
    public static TimeSpan Current => TryGet(out var attributes) ? TimeSpan.FromMicroseconds(attributes.Runtime / 1000.0) : TimeSpan.Zero;

    /// <summary>Asks for a slice for the calling thread. The kernel keeps it between 100 µs and 100 ms.</summary>
    /// <returns>False when the system refused. A kernel before 6.12 says yes and changes nothing.</returns>
    public static bool TrySet(TimeSpan slice)
    {
        if (!TryGet(out var attributes) || attributes.Policy != OrdinaryPolicy)
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
