using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>System calls that .NET does not offer: open with O_DIRECT, fallocate, and preadv to memory that is no array's.</summary>
internal static unsafe partial class Native
{
    public const int NoSpace = 28;
    public const int NotSupported = 95;
    public const int InvalidArgument = 22;
    private const int Interrupted = 4;
    private const int TooLarge = 27;
    private const int QuotaSpent = 122;
    private const int ReadWriteCreateCloseOnExec = 0x2 | 0x40 | 0x80000;
    private const int OwnerReadWrite = 0x180;

    private static int Direct => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;

    /// <summary>Opens past the page cache; null where the platform or the file system cannot.</summary>
    /// <exception cref="IOException">The file cannot be opened at all.</exception>
    public static SafeFileHandle? TryOpenDirect(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        var descriptor = open(path, ReadWriteCreateCloseOnExec | Direct, OwnerReadWrite);
        if (descriptor >= 0)
        {
            return new SafeFileHandle(descriptor, ownsHandle: true);
        }

        var error = Marshal.GetLastPInvokeError();
        return error == InvalidArgument ? null : throw new IOException($"Opening {path} failed: {Marshal.GetPInvokeErrorMessage(error)}.", error);
    }

    /// <summary>No space, no quota, or a file as large as its file system has them: waiting does not help, doing with less does.</summary>
    public static bool IsFull(int errno) => errno is NoSpace or QuotaSpent or TooLarge;

    /// <summary>Reserves disk space for a range of a file.</summary>
    /// <returns>0 or an errno; <see cref="NotSupported"/> where space cannot be reserved.</returns>
    public static int Allocate(SafeFileHandle file, long offset, long length)
    {
        if (!OperatingSystem.IsLinux())
        {
            return NotSupported;
        }

        return fallocate(file, 0, offset, length) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Reads one range of a file to two places.</summary>
    /// <returns>Bytes read; 0 at the file's end.</returns>
    /// <exception cref="IOException">The device failed.</exception>
    public static int Read(SafeFileHandle file, Span<byte> first, Span<byte> second, long offset)
    {
        if (!OperatingSystem.IsLinux())
        {
            return RandomAccess.Read(file, first, offset); // the caller goes on behind what came
        }

        fixed (byte* start = first, then = second)
        {
            var places = stackalloc IoVector[2];
            (places[0], places[1]) = (new IoVector(start, first.Length), new IoVector(then, second.Length));
            while (true)
            {
                var got = preadv(file, places, 2, offset);
                if (got >= 0)
                {
                    return (int)got;
                }

                var error = Marshal.GetLastPInvokeError();
                if (error != Interrupted)
                {
                    throw new IOException($"Reading failed: {Marshal.GetPInvokeErrorMessage(error)}.", error);
                }
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint preadv(SafeFileHandle file, IoVector* places, int count, long offset);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fallocate(SafeFileHandle file, int mode, long offset, long length);

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct IoVector(byte* start, nint length)
    {
        private readonly byte* _start = start;
        private readonly nint _length = length;
    }
}
