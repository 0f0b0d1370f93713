using System.Runtime.InteropServices;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Signals as a shell's <c>kill</c> sends them, without the time that it takes to start one.</summary>
internal static partial class Signal
{
    public const int HangUp = 1;
    public const int Interrupt = 2;
    public const int Kill = 9;
    public const int Terminate = 15;
    public const int Continue = 18;
    public const int Stop = 19;

    public static void Send(int process, int signal) => Assert.Equal(0, SendTo(process, signal));

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendTo(int process, int signal);
}
