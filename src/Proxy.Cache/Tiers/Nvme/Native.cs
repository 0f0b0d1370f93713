using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>The two system calls that .NET does not offer: open with O_DIRECT, and fallocate.</summary>
internal static partial class Native
{
    public const int NoSpace = 28;
    public const int NotSupported = 95;
    public const int InvalidArgument = 22;
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

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fallocate(SafeFileHandle file, int mode, long offset, long length);
}
