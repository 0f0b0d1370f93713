using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Proxy.Bench.Load;

/// <summary>The system calls of the load generator, as Linux has them.</summary>
internal static unsafe partial class Native
{
    public const int EpollIn = 1;
    public const int EpollAdd = 1;
    public const int DontWait = 0x40;
    public const int NoSignal = 0x4000;

    /// <summary>tcp(7): the bytes are thrown away in the kernel instead of being copied.</summary>
    public const int Truncate = 0x20;

    public const int WouldBlock = 11;
    public const int Interrupted = 4;

    // struct epoll_event is packed on x86-64 and naturally aligned elsewhere: 32 bits of events, 64 bits of data.
    public static readonly int EventBytes = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    public static readonly int EventDataOffset = EventBytes - 8;

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int EpollControl(int epoll, int operation, int socket, byte* description);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int EpollWait(int epoll, byte* events, int capacity, int milliseconds);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(int socket, byte* bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(int socket, byte* bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "sendfile", SetLastError = true)]
    public static partial nint SendFile(int socket, SafeFileHandle file, long* offset, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    public static partial int Close(int descriptor);
}
