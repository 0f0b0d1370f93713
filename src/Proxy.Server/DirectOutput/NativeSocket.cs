using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Proxy.Server.DirectOutput;

/// <summary>One gathered, never-blocking send: what <see cref="Socket"/> does not offer for memory outside arrays.</summary>
internal static unsafe partial class NativeSocket
{
    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;
    private const int Interrupted = 4;
    private const int WouldBlock = 11;

    /// <returns>Bytes taken; 0 when the socket is full; -1 on any error (the connection is gone).</returns>
    public static int TrySend(SafeSocketHandle socket, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        fixed (byte* first = head)
        fixed (byte* second = body)
        {
            var vectors = stackalloc IoVector[2];
            while (true)
            {
                nint sent;
                if (head.IsEmpty)
                {
                    sent = Send(socket, second, body.Length, DontWait | NoSignal);
                }
                else if (body.IsEmpty)
                {
                    sent = Send(socket, first, head.Length, DontWait | NoSignal);
                }
                else
                {
                    vectors[0] = new IoVector { Base = first, Length = head.Length };
                    vectors[1] = new IoVector { Base = second, Length = body.Length };
                    var message = new MessageHeader { Vectors = vectors, VectorCount = 2 };
                    sent = SendMessage(socket, &message, DontWait | NoSignal);
                }

                if (sent >= 0)
                {
                    return (int)sent;
                }

                switch (Marshal.GetLastPInvokeError())
                {
                    case Interrupted:
                        continue;
                    case WouldBlock:
                        return 0;
                    default:
                        return -1;
                }
            }
        }
    }

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
