namespace Proxy.Backends.Local.Bodies;

/// <summary>What the store's disk has left, but for what uploads leave alone. Thread-safe.</summary>
/// <remarks>
/// A change that makes room needs some first: it goes into the index's log, and the log can be moved into the index only where that can grow. A quarter of a disk that is smaller
/// than four times the reserve, so that a small one can be used at all. Disks that do not tell, and Windows, whose shares have no letter to be asked by, stop nobody here.
/// </remarks>
internal sealed class DiskRoom
{
    /// <summary>64 MiB: as long as the index's log gets before a commit moves it itself.</summary>
    private const long Reserve = 64 << 20;

    private readonly DriveInfo? _disk;
    private readonly long _reserve;

    /// <param name="folder">Any on that disk, with its full path.</param>
    public DiskRoom(string folder)
    {
        if (!OperatingSystem.IsWindows())
        {
            var disk = new DriveInfo(folder);
            var size = Ask(disk, static of => of.TotalSize);
            _disk = size > 0 ? disk : null;
            _reserve = Math.Min(Reserve, size / 4);
        }
    }

    /// <returns>Bytes; below zero when uploads have more than their share already.</returns>
    public long ForUploads() => _disk is not null && Ask(_disk, static of => of.AvailableFreeSpace) is >= 0 and var free ? free - _reserve : long.MaxValue;

    /// <returns>-1 when it does not tell.</returns>
    private static long Ask(DriveInfo disk, Func<DriveInfo, long> question)
    {
        try
        {
            return question(disk);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return -1;
        }
    }
}
