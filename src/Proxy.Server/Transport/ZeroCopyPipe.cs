using System.Net.Sockets;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Proxy.Server.Transport;

/// <summary>Sends memory by lending its pages to the kernel instead of copying them: vmsplice(2) into a pipe, splice(2) from there to the socket.</summary>
/// <remarks>
/// What is sent so must never be written again (<see cref="Proxy.Cache.LendableMemory"/>). Between two calls the pipe is empty: what one connection did not take must not
/// become another's. One thread at a time.
/// </remarks>
internal sealed unsafe partial class ZeroCopyPipe : IDisposable
{
    /// <summary>
    /// Lent at once where there are few pipes: as much as any user may ask for (fs.pipe-max-size). Half of it cost a tenth more at 1 MiB, a quarter of it a quarter; with the 64 KiB that a
    /// pipe has by itself nothing is gained over a copy (bench/results/serving-path).
    /// </summary>
    private const int MostBytes = 1 << 20;

    private const int LeastBytes = 256 << 10;

    // Half of what all pipes of a user may hold together before they get next to nothing (fs.pipe-user-pages-soft, 16,384 pages).
    private const int AllPipesBytes = 32 << 20;

    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int SetPipeSize = 1031;
    private const uint SpliceNonBlocking = 2;
    private const uint SpliceMore = 4;
    private const int WriteOnly = 1;
    private const int Interrupted = 4;
    private const int Again = 11;
    private const int BrokenPipe = 32;

    // Not permitted, bad descriptor, invalid, no such call, not supported: of the system, or of a sandbox around it. Anything else is the connection's.
    private static readonly int[] Unsupported = [1, 9, 22, 38, 95];

    private readonly int _reading;
    private readonly int _writing;
    private readonly int _nowhere;
    private readonly int _capacityBytes;

    private ZeroCopyPipe(int reading, int writing, int nowhere, int capacityBytes) => (_reading, _writing, _nowhere, _capacityBytes) = (reading, writing, nowhere, capacityBytes);

    /// <summary>This system does not splice after all, or the pipe may not be empty: not to be used again.</summary>
    public bool IsBroken { get; private set; }

    /// <param name="pipes">How many such pipes the process will have.</param>
    /// <returns>Null where the system has no such pipe, or not of that size for this user: copy.</returns>
    public static ZeroCopyPipe? TryOpen(int pipes)
    {
        var ends = stackalloc int[2];
        if (!SocketTransport.IsSupported || OpenPipe(ends, CloseOnExec | NonBlocking) != 0)
        {
            return null;
        }

        var share = (int)BitOperations.RoundUpToPowerOf2((uint)pipes);
        var capacity = Math.Clamp(AllPipesBytes / share, LeastBytes, MostBytes);
        while (capacity >= LeastBytes && Control(ends[1], SetPipeSize, capacity) < capacity)
        {
            capacity /= 2; // a system whose bound was lowered
        }

        var pipe = new ZeroCopyPipe(ends[0], ends[1], Open("/dev/null", WriteOnly | CloseOnExec), capacity);
        if (pipe._nowhere >= 0 && capacity >= LeastBytes)
        {
            return pipe;
        }

        pipe.Dispose();
        return null;
    }

    /// <summary>Sends until all is taken or the socket is full.</summary>
    /// <param name="socket">Not a blocking one: this would wait in it.</param>
    /// <param name="isFull">The socket has said that it is: its event will come.</param>
    /// <returns>Bytes taken, 0 only where it <see cref="IsBroken"/>; <see cref="NativeSocket.WouldBlock"/> or <see cref="NativeSocket.Gone"/>.</returns>
    /// <exception cref="ObjectDisposedException">The socket is closed. Nothing was sent.</exception>
    public int TrySend(SafeSocketHandle socket, ReadOnlySpan<byte> body, out bool isFull)
    {
        isFull = false;
        var held = false;
        var taken = 0;
        try
        {
            // Here and not at each call: a socket that was closed in between would leave the pipe with bytes in it.
            socket.DangerousAddRef(ref held);
            fixed (byte* start = body)
            {
                while (taken < body.Length && !IsBroken)
                {
                    var piece = new IoVector { Base = start + taken, Length = Math.Min(_capacityBytes, body.Length - taken) };
                    var lent = Lend(_writing, &piece, 1, SpliceNonBlocking);
                    if (lent <= 0)
                    {
                        IsBroken = lent == 0 || Marshal.GetLastPInvokeError() != Interrupted;
                        continue;
                    }

                    var passed = Pass((int)socket.DangerousGetHandle(), lent, hasMore: taken + lent < body.Length, out var error);
                    taken += (int)passed;
                    if (passed == lent)
                    {
                        continue;
                    }

                    Empty(lent - passed);
                    isFull = error == Again;
                    IsBroken |= Unsupported.Contains(error);
                    return taken > 0 || IsBroken ? taken : isFull ? NativeSocket.WouldBlock : NativeSocket.Gone;
                }
            }

            return taken;
        }
        finally
        {
            if (held)
            {
                socket.DangerousRelease();
            }
        }
    }

    public void Dispose()
    {
        _ = Close(_reading);
        _ = Close(_writing);
        if (_nowhere >= 0)
        {
            _ = Close(_nowhere);
        }
    }

    /// <summary>From the pipe to the socket.</summary>
    /// <returns>Bytes passed; fewer than <paramref name="bytes"/> with the reason.</returns>
    private nint Pass(int socket, nint bytes, bool hasMore, out int error)
    {
        nint passed = 0;
        error = 0;
        while (passed < bytes && error is 0 or Interrupted)
        {
            // SIGPIPE, which splice cannot be told to leave out, is ignored by the runtime.
            var moved = Splice(_reading, null, socket, null, bytes - passed, SpliceNonBlocking | (hasMore ? SpliceMore : 0));
            passed += Math.Max(0, moved);
            error = moved > 0 ? 0 : moved == 0 ? BrokenPipe : Marshal.GetLastPInvokeError();
        }

        return passed;
    }

    private void Empty(nint bytes)
    {
        while (bytes > 0 && !IsBroken)
        {
            var moved = Splice(_reading, null, _nowhere, null, bytes, SpliceNonBlocking);
            bytes -= Math.Max(0, moved);
            IsBroken = moved == 0 || (moved < 0 && Marshal.GetLastPInvokeError() != Interrupted);
        }
    }

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int OpenPipe(int* ends, int flags);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "vmsplice", SetLastError = true)]
    private static partial nint Lend(int pipe, IoVector* pieces, nuint count, uint flags);

    [LibraryImport("libc", EntryPoint = "splice", SetLastError = true)]
    private static partial nint Splice(int from, long* fromOffset, int to, long* toOffset, nint bytes, uint flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public byte* Base;
        public nint Length;
    }
}
