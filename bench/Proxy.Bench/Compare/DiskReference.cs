using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Peers;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Compare;

/// <summary>What the disk itself gives: random reads of a file by fio, past the page cache, with the block size and the depth of a cell.</summary>
internal sealed class DiskReference
{
    private const long MostFileBytes = 1L << 30;

    private readonly string _folder;
    private readonly string _file;
    private readonly long _bytes;

    private DiskReference(string folder, long bytes) => (_folder, _file, _bytes) = (folder, Path.Combine(folder, "fio.data"), bytes);

    public static bool IsInstalled => ChildProcess.Exists("fio");

    /// <summary>Of its file, for objects of so many bytes in all.</summary>
    public static long FileBytes(long dataBytes) => Math.Min(dataBytes, MostFileBytes);

    /// <summary>Writes the file that is read.</summary>
    public static async Task<DiskReference> PrepareAsync(string folder, long dataBytes, CancellationToken cancellation)
    {
        var disk = new DiskReference(folder, FileBytes(dataBytes));
        await disk.RunAsync(["--rw=write", "--bs=1m", "--numjobs=1", "--refill_buffers", "--end_fsync=1"], cancellation);
        return disk;
    }

    /// <returns>Requests a second.</returns>
    public async Task<double> MeasureAsync(long blockBytes, int depth, TimeSpan time, CancellationToken cancellation)
    {
        var result = await RunAsync(
            [
                "--rw=randread", "--readonly", "--norandommap", "--randrepeat=0", "--time_based", "--group_reporting",
                string.Create(CultureInfo.InvariantCulture, $"--bs={blockBytes}"),
                string.Create(CultureInfo.InvariantCulture, $"--numjobs={depth}"),
                string.Create(CultureInfo.InvariantCulture, $"--runtime={Math.Max(1000, (long)time.TotalMilliseconds)}ms"),
            ],
            cancellation);
        return result.GetProperty("jobs")[0].GetProperty("read").GetProperty("iops").GetDouble();
    }

    private async Task<JsonElement> RunAsync(string[] arguments, CancellationToken cancellation)
    {
        var output = Path.Combine(_folder, "fio.json");
        await using var fio = ChildProcess.Start(
            "fio",
            [
                "--name=disk", $"--filename={_file}", string.Create(CultureInfo.InvariantCulture, $"--size={_bytes}"), "--direct=1", "--ioengine=psync", "--thread",
                "--output-format=json", $"--output={output}", .. arguments,
            ],
            _folder);
        var code = await fio.WaitAsync(cancellation);
        RunFailedException.Unless(code == 0, $"fio ended with {code}: {fio.Output}");
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(output, cancellation));
        return result.RootElement.Clone();
    }
}
