using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Proxy.Server.Transport;

/// <summary>epoll(7) with a way to wake its waiter.</summary>
/// <remarks>One thread waits; <see cref="Add"/> and <see cref="Wake"/> are for any thread.</remarks>
internal sealed unsafe partial class Epoll : IDisposable
{
    public const uint In = 0x1;
    public const uint Out = 0x4;
    public const uint Error = 0x8;
    public const uint HangUp = 0x10;
    public const uint ReadHangUp = 0x2000;

    /// <summary>What <see cref="Wait"/> tells of a <see cref="Wake"/>.</summary>
    public const ulong WokenToken = ulong.MaxValue;

    private const uint EdgeTriggered = 1u << 31;
    private const int ControlAdd = 1;
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int Interrupted = 4;

    // struct epoll_event is packed on x86-64 and naturally aligned elsewhere: 32 bits of events, 64 bits of data.
    private static readonly int EventBytes = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int TokenOffset = EventBytes - 8;

    private readonly int _epoll;
    private readonly int _wake;
    private readonly byte* _events;
    private readonly int _capacity;

    /// <param name="capacity">Events told of at once.</param>
    /// <exception cref="Win32Exception">The process has no descriptors left.</exception>
    public Epoll(int capacity)
    {
        _epoll = Checked(EpollCreate(CloseOnExec));
        _wake = Checked(EventDescriptor(0, CloseOnExec | NonBlocking));
        _capacity = capacity;
        _events = (byte*)NativeMemory.AllocZeroed((nuint)(capacity * EventBytes));
        Control(_wake, WokenToken, In);
    }

    /// <summary>From now on every change of the socket is told, with <paramref name="token"/>; closing the socket ends that.</summary>
    public void Add(SafeSocketHandle socket, ulong token)
    {
        var held = false;
        try
        {
            socket.DangerousAddRef(ref held);
            Control((int)socket.DangerousGetHandle(), token, In | Out | ReadHangUp);
        }
        finally
        {
            if (held)
            {
                socket.DangerousRelease();
            }
        }
    }

    /// <summary>Waits for events.</summary>
    /// <returns>How many there are.</returns>
    public int Wait(int milliseconds)
    {
        var count = EpollWait(_epoll, _events, _capacity, milliseconds);
        return count >= 0 || Marshal.GetLastPInvokeError() == Interrupted ? Math.Max(count, 0) : throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    /// <summary>One of the events of the last <see cref="Wait"/>.</summary>
    public (uint Changes, ulong Token) this[int index]
    {
        get
        {
            var at = _events + (index * EventBytes);
            return (*(uint*)at, *(ulong*)(at + TokenOffset));
        }
    }

    public void Wake()
    {
        var one = 1UL;
        _ = Write(_wake, &one, sizeof(ulong));
    }

    public void Dispose()
    {
        _ = Close(_wake);
        _ = Close(_epoll);
        NativeMemory.Free(_events);
    }

    private void Control(int descriptor, ulong token, uint changes)
    {
        var description = stackalloc byte[16];
        *(uint*)description = changes | EdgeTriggered;
        *(ulong*)(description + TokenOffset) = token;
        _ = Checked(EpollControl(_epoll, ControlAdd, descriptor, description));
    }

    private static int Checked(int result) => result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControl(int epoll, int operation, int descriptor, byte* description);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWait(int epoll, byte* events, int capacity, int milliseconds);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventDescriptor(uint value, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, void* bytes, nint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
