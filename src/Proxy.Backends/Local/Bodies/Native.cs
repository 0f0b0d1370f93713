using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Proxy.Backends.Local.Bodies;

/// <summary>The calls .NET has no name for: flushing a folder, reserving space, starting write-back early.</summary>
internal static partial class Native
{
    private const int OpenReadOnly = 0;
    private const int OpenCloseOnExec = 0x80000;
    private const int InvalidArgument = 22;
    private const int FileTooBig = 27;
    private const int NoSpace = 28;
    private const int ReadOnlyFileSystem = 30;
    private const int QuotaExceeded = 122;
    private const uint SyncFileRangeWrite = 2;

    /// <summary>Makes names created in a folder durable. Does nothing on Windows, which journals them itself.</summary>
    public static void FlushFolder(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var descriptor = Open(path, OpenReadOnly | (OperatingSystem.IsLinux() ? OpenCloseOnExec : 0));
        if (descriptor < 0)
        {
            throw new IOException($"Cannot open the folder {path} to flush it: errno {Marshal.GetLastPInvokeError()}");
        }

        try
        {
            if (Fsync(descriptor) != 0)
            {
                var errno = Marshal.GetLastPInvokeError();
                throw new FlushFailedException($"Cannot flush the folder {path}: errno {errno}") { NothingIsFlushedThere = errno is ReadOnlyFileSystem or InvalidArgument };
            }
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    /// <summary>A hint: write-back begins while the next bytes are still arriving, so that the flush at the end finds little to do.</summary>
    public static void StartWriteBack(SafeFileHandle file, long offset, long length)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = SyncFileRange(file, offset, length, SyncFileRangeWrite);
        }
    }

    /// <summary>Reserves space, so that a full disk is noticed before the upload. Does nothing where the file system cannot.</summary>
    /// <param name="file">A new file, open for writing.</param>
    /// <param name="path">Any name on the same file system.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="IOException">There is not enough; HResult is errno. (.NET's own reservation throws without saying why.)</exception>
    public static void Reserve(SafeFileHandle file, string path, long length)
    {
        if (!OperatingSystem.IsLinux() || length <= 0)
        {
            return;
        }

        // Asked first: ext4 takes all there is before it says that there is not enough, and for that long nobody else could write.
        if (length > new DriveInfo(path).AvailableFreeSpace)
        {
            throw new IOException($"Cannot reserve {length} bytes: errno {NoSpace}", NoSpace);
        }

        if (Fallocate(file, 0, 0, length) != 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            if (errno is NoSpace or QuotaExceeded or FileTooBig)
            {
                throw new IOException($"Cannot reserve {length} bytes: errno {errno}", errno);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Fallocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "sync_file_range")]
    private static partial int SyncFileRange(SafeFileHandle file, long offset, long length, uint flags);
}

/// <summary>A flush that the disk refused. Not to be tried again: Linux may call the next one good though the pages are lost.</summary>
internal sealed class FlushFailedException(string message) : IOException(message)
{
    /// <summary>No disk refused: the file system is read-only, or knows no flushes.</summary>
    public bool NothingIsFlushedThere { get; init; }
}
