using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Proxy.Bench.Shape;

/// <summary>Moves bytes from one socket to another inside the kernel, by splice(2) through a pipe.</summary>
/// <remarks>Linux only. One transfer at a time; not thread-safe. What it still holds when a transfer fails is lost with it.</remarks>
internal sealed partial class KernelPipe : IDisposable
{
    // A page of the socket's is a slot of the pipe, whatever it holds: 64 of them are up to 2 MiB on loopback.
    private const int CapacityBytes = 256 << 10;
    private const int SetPipeSize = 1031;
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const uint MoveNow = 1 | 2;    // SPLICE_F_MOVE, SPLICE_F_NONBLOCK
    private const int WouldBlock = 11;
    private const int Interrupted = 4;

    private readonly SafeFileHandle _out;
    private readonly SafeFileHandle _in;

    private KernelPipe(int @out, int @in)
    {
        _out = new SafeFileHandle(@out, ownsHandle: true);
        _in = new SafeFileHandle(@in, ownsHandle: true);
    }

    /// <returns>Null where there are no descriptors left for one.</returns>
    public static KernelPipe? TryCreate()
    {
        Span<int> ends = stackalloc int[2];
        if (OpenPipe(ends, CloseOnExec | NonBlocking) != 0)
        {
            return null;
        }

        _ = Control(ends[1], SetPipeSize, CapacityBytes);    // refused beyond a user's share: 64 KiB then
        return new KernelPipe(ends[0], ends[1]);
    }

    /// <summary>Moves what has come, waiting for some of it.</summary>
    /// <param name="most">Upper bound, over 0.</param>
    /// <param name="scratch">Used while the receiving socket is full, which only a send can wait out.</param>
    /// <returns>How many bytes.</returns>
    /// <exception cref="IOException">Either end is gone.</exception>
    public async ValueTask<int> MoveAsync(Socket from, Socket to, long most, Memory<byte> scratch, CancellationToken cancellation)
    {
        int moved;
        while ((moved = Splice(from.SafeHandle, _in, most)) < 0)
        {
            await from.ReceiveAsync(Memory<byte>.Empty, cancellation);    // nothing there yet: completes when there is
        }

        if (moved == 0)
        {
            throw new IOException("a message ended early");
        }

        for (var left = moved; left > 0;)
        {
            var gone = Splice(_out, to.SafeHandle, left);
            if (gone < 0)
            {
                gone = ReadBack(scratch[..Math.Min(left, scratch.Length)]);
                await to.SendAsync(scratch[..gone], cancellation);
            }

            left -= gone;
        }

        return moved;
    }

    public void Dispose()
    {
        _out.Dispose();
        _in.Dispose();
    }

    /// <returns>-1 when it would have to wait, 0 at the end.</returns>
    private static int Splice(SafeHandle from, SafeHandle to, long most)
    {
        while (true)
        {
            var moved = Splice(from, 0, to, 0, (nuint)Math.Min(most, int.MaxValue), MoveNow);
            if (moved >= 0)
            {
                return (int)moved;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case Interrupted: continue;
                case WouldBlock: return -1;
                case var error: throw new IOException($"splice: {Marshal.GetPInvokeErrorMessage(error)}");
            }
        }
    }

    private int ReadBack(Memory<byte> into)
    {
        var read = Read(_out, into.Span, (nuint)into.Length);
        return read > 0 ? (int)read : throw new IOException($"read of a pipe: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int OpenPipe(Span<int> ends, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "splice", SetLastError = true)]
    private static partial nint Splice(SafeHandle from, nint fromOffset, SafeHandle to, nint toOffset, nuint length, uint flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeHandle from, Span<byte> into, nuint length);
}
