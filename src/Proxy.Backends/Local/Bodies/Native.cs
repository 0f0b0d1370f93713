using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Proxy.Backends.Local.Bodies;

/// <summary>The two calls .NET has no name for: flushing a folder, and starting write-back early.</summary>
internal static partial class Native
{
    private const int OpenReadOnly = 0;
    private const int OpenCloseOnExec = 0x80000;
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
                throw new IOException($"Cannot flush the folder {path}: errno {Marshal.GetLastPInvokeError()}");
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

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "sync_file_range")]
    private static partial int SyncFileRange(SafeFileHandle file, long offset, long length, uint flags);
}
