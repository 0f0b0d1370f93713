using System.Globalization;
using Proxy.Bench.Report;

namespace Proxy.Bench.Peers;

/// <summary>A memory cgroup for one server: what it may keep in the page cache counts, so that a disk comparison is one.</summary>
/// <remarks>cgroup v1 and v2, root only. Removed on dispose, once its processes are gone.</remarks>
internal sealed class MemoryLimit : IDisposable
{
    private const string Root = "/sys/fs/cgroup";
    private readonly string _folder;

    private MemoryLimit(string folder) => _folder = folder;

    /// <returns>Null where cgroups cannot be made here; <paramref name="why"/> says so.</returns>
    public static MemoryLimit? TryCreate(string name, long bytes, out string why)
    {
        var isFirst = Directory.Exists($"{Root}/memory");
        var folder = $"{(isFirst ? $"{Root}/memory" : Root)}/proxy-bench-{Environment.ProcessId}-{name}";
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(Path.Combine(folder, isFirst ? "memory.limit_in_bytes" : "memory.max"), bytes.ToString(CultureInfo.InvariantCulture));
            why = "";
            return new MemoryLimit(folder);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            why = $"no memory cgroup could be made ({failure.Message})";
            return null;
        }
    }

    /// <summary>Puts a server's processes and all their children in.</summary>
    public void Hold(BenchServer server)
    {
        foreach (var process in ProcessTree.Find(server.Processes))
        {
            File.WriteAllText(Path.Combine(_folder, "cgroup.procs"), process.ToString(CultureInfo.InvariantCulture));
        }
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(_folder);
        }
        catch (IOException)
        {
            // Somebody is still in it: it is empty of memory soon, and harmless.
        }
    }
}
