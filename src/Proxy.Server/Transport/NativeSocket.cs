using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Proxy.Server.Transport;

/// <summary>Sends and receives that never block: what <see cref="Socket"/> does not offer for memory outside arrays, nor without its own machinery.</summary>
/// <remarks>The structures are 64-bit Linux's.</remarks>
internal static unsafe partial class NativeSocket
{
    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;
    private const int Peek = 0x02;
    private const int Truncate = 0x20;
    private const int More = 0x8000;
    private const int Interrupted = 4;
    private const int Again = 11;
    private const int ProtocolTcp = 6;
    private const int TcpInfo = 11;
    private const int SocketLevel = 1;
    private const int SendBuffer = 7;
    private const int BufferLock = 72;

    /// <summary>What <see cref="TryReceive"/> and <see cref="TrySend"/> say of a socket that has nothing, or no room.</summary>
    public const int WouldBlock = -1;

    /// <summary>What they say of a connection that is gone.</summary>
    public const int Gone = -2;

    /// <returns>Bytes received; 0 at the end of what the other side sends; <see cref="WouldBlock"/> or <see cref="Gone"/>.</returns>
    public static int TryReceive(SafeSocketHandle socket, Span<byte> into)
    {
        fixed (byte* start = into)
        {
            return Receive(socket, start, into.Length, DontWait);
        }
    }

    /// <summary>Whether what the other side sends has come to its end, with nothing before it.</summary>
    public static bool IsAtEnd(SafeSocketHandle socket)
    {
        byte next;
        return Receive(socket, &next, 1, DontWait | Peek) is 0 or Gone;
    }

    /// <summary>What the handshake took there and back; zero where the system does not tell.</summary>
    public static TimeSpan RoundTrip(Socket socket)
    {
        try
        {
            // struct tcp_info up to tcpi_rtt, in microseconds.
            Span<byte> info = stackalloc byte[72];
            return socket.GetRawSocketOption(ProtocolTcp, TcpInfo, info) == info.Length ? TimeSpan.FromMicroseconds(MemoryMarshal.Read<uint>(info[68..])) : TimeSpan.Zero;
        }
        catch (SocketException)
        {
            return TimeSpan.Zero;
        }
    }

    /// <summary>Bounds what the kernel holds for the socket's client, or leaves it to the kernel again.</summary>
    /// <param name="bytes">0: the kernel finds out.</param>
    /// <returns>False where the system does not do so (before Linux 5.16 there is no way back).</returns>
    public static bool TryBoundSendBuffer(SafeSocketHandle socket, int bytes) => SetOption(socket, SocketLevel, bytes > 0 ? SendBuffer : BufferLock, &bytes, sizeof(int)) == 0;

    /// <summary>Throws away what has arrived, up to <paramref name="bytes"/>.</summary>
    public static void Discard(SafeSocketHandle socket, int bytes)
    {
        // tcp(7): with MSG_TRUNC nothing is copied.
        byte unused;
        _ = Receive(socket, &unused, bytes, DontWait | Truncate);
    }

    /// <summary>One gathered send.</summary>
    /// <param name="hasMore">More follows at once: what does not fill a packet may wait for it.</param>
    /// <returns>Bytes taken, at least one; <see cref="WouldBlock"/> or <see cref="Gone"/>.</returns>
    public static int TrySend(SafeSocketHandle socket, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body, bool hasMore = false)
    {
        var flags = DontWait | NoSignal | (hasMore ? More : 0);
        fixed (byte* first = head)
        fixed (byte* second = body)
        {
            var vectors = stackalloc IoVector[2];
            while (true)
            {
                nint sent;
                if (head.IsEmpty)
                {
                    sent = Send(socket, second, body.Length, flags);
                }
                else if (body.IsEmpty)
                {
                    sent = Send(socket, first, head.Length, flags);
                }
                else
                {
                    vectors[0] = new IoVector { Base = first, Length = head.Length };
                    vectors[1] = new IoVector { Base = second, Length = body.Length };
                    var message = new MessageHeader { Vectors = vectors, VectorCount = 2 };
                    sent = SendMessage(socket, &message, flags);
                }

                if (sent >= 0 || Marshal.GetLastPInvokeError() != Interrupted)
                {
                    return sent >= 0 ? (int)sent : Failure();
                }
            }
        }
    }

    private static int Receive(SafeSocketHandle socket, byte* into, int bytes, int flags)
    {
        while (true)
        {
            var received = Receive(socket, into, (nint)bytes, flags);
            if (received >= 0 || Marshal.GetLastPInvokeError() != Interrupted)
            {
                return received >= 0 ? (int)received : Failure();
            }
        }
    }

    private static int Failure() => Marshal.GetLastPInvokeError() == Again ? WouldBlock : Gone;

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetOption(SafeSocketHandle socket, int level, int option, void* value, uint length);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint Receive(SafeSocketHandle socket, byte* buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(SafeSocketHandle socket, byte* buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public byte* Base;
        public nint Length;
    }

    /// <summary>struct msghdr of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Vectors;
        public nint VectorCount;
        public void* Control;
        public nint ControlLength;
        public int Flags;
    }
}
