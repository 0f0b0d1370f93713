using System.Globalization;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>The files of one cache directory: <c>lock</c>, <c>format</c>, <c>data</c>, <c>toc</c>. Holding this means owning the directory.</summary>
internal sealed class StoreFiles : IDisposable
{
    /// <summary>Raised whenever what is on disk means something else: older files are then discarded.</summary>
    private const string Format = "s3-tier-proxy nvme 4";

    private readonly FileStream _lock;

    private StoreFiles(string directory, FileStream lockFile, RingGeometry geometry, DataFile data, TableOfContents contents, long freeSpaceReserveBytes)
    {
        Directory = directory;
        _lock = lockFile;
        Geometry = geometry;
        Data = data;
        Contents = contents;
        FreeSpaceReserveBytes = freeSpaceReserveBytes;
    }

    public string Directory { get; }

    public RingGeometry Geometry { get; }

    public DataFile Data { get; }

    public TableOfContents Contents { get; }

    public long FreeSpaceReserveBytes { get; }

    /// <summary>Opens the directory, creating it; files of another format or shape are thrown away.</summary>
    /// <param name="cold">Thrown away in any case.</param>
    /// <exception cref="IOException">Another process has it, or the disk does not allow it.</exception>
    public static StoreFiles Open(string directory, TierOptions options, bool cold, Action<DiskOperation, long>? faults)
    {
        System.IO.Directory.CreateDirectory(directory);
        FileStream lockFile;
        try
        {
            lockFile = new FileStream(Path.Combine(directory, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new IOException($"{directory} is in use by another process, or cannot be locked: give each proxy a directory of its own. {e.Message}", e);
        }

        try
        {
            var wanted = RingGeometry.For(options.NvmeCapacityBytes / Math.Max(1, options.NvmeDirectories.Count), options.MaxBlockBytes);
            var geometry = cold ? null : ReadGeometry(directory, wanted);
            if (geometry is null)
            {
                File.Delete(Path.Combine(directory, "toc"));
                File.Delete(Path.Combine(directory, "data"));
                geometry = wanted;
                SaveGeometry(directory, geometry);
            }

            var data = DataFile.Open(Path.Combine(directory, "data"), options.DirectIo);
            data.Faults = faults;
            try
            {
                var contents = new TableOfContents(Path.Combine(directory, "toc"), geometry) { Faults = faults };
                return new StoreFiles(directory, lockFile, geometry, data, contents, options.FreeSpaceReserveBytes);
            }
            catch
            {
                data.Dispose();
                throw;
            }
        }
        catch
        {
            lockFile.Dispose();
            throw;
        }
    }

    public void SaveGeometry() => SaveGeometry(Directory, Geometry);

    public long FreeBytes() => new DriveInfo(Directory).AvailableFreeSpace;

    /// <summary>Whether the directory still leads to the files that are open.</summary>
    public bool StillThere() => File.Exists(Path.Combine(Directory, "data")) && File.Exists(Path.Combine(Directory, "toc"));

    public void Dispose()
    {
        Contents.Dispose();
        Data.Dispose();
        _lock.Dispose();
    }

    private static void SaveGeometry(string directory, RingGeometry geometry)
    {
        var path = Path.Combine(directory, "format");
        File.WriteAllText(path + ".new", string.Create(CultureInfo.InvariantCulture, $"{Format}\n{geometry.PageBits} {geometry.SegmentBits} {geometry.ConfiguredSlots} {geometry.Slots}\n"));
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Null when nothing is there or anything differs from what is wanted.</summary>
    private static RingGeometry? ReadGeometry(string directory, RingGeometry wanted)
    {
        var path = Path.Combine(directory, "format");
        var lines = File.Exists(path) && new FileInfo(path).Length < 4096 ? File.ReadAllLines(path) : [];
        if (lines.Length != 2 || lines[0] != Format)
        {
            return null;
        }

        var numbers = Array.ConvertAll(lines[1].Split(' '), text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1);
        return numbers.Length == 4 && numbers[0] == wanted.PageBits && numbers[1] == wanted.SegmentBits && numbers[2] == wanted.ConfiguredSlots
            && numbers[3] >= RingGeometry.MinSlots && numbers[3] <= wanted.ConfiguredSlots
            ? new RingGeometry(numbers[0], numbers[1], numbers[2], numbers[3])
            : null;
    }
}
