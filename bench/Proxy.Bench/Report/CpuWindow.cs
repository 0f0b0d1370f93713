using System.Globalization;

namespace Proxy.Bench.Report;

/// <summary>CPU time over a span of two groups of processes (with all their children) and of the rest of the machine.</summary>
internal sealed class CpuWindow
{
    private readonly IReadOnlyList<int> _first;
    private readonly IReadOnlyList<int> _second;
    private readonly (double First, double Second, double Machine) _before;

    public CpuWindow(IReadOnlyList<int> first, IReadOnlyList<int> second)
    {
        // A bench that starts its servers itself is their parent: they must not count as its own.
        _second = ProcessTree.Find(second);
        _first = [.. first.Except(_second)];
        _before = Read();
    }

    public double FirstSeconds { get; private set; }

    public double SecondSeconds { get; private set; }

    /// <summary>Used by everything else on the machine, in cores; hypervisor steal counts.</summary>
    public double ForeignCores { get; private set; }

    public void Close(TimeSpan elapsed)
    {
        var after = Read();
        FirstSeconds = after.First - _before.First;
        SecondSeconds = after.Second - _before.Second;
        ForeignCores = Math.Max(0, (after.Machine - _before.Machine - FirstSeconds - SecondSeconds) / Math.Max(1e-3, elapsed.TotalSeconds));
    }

    private (double First, double Second, double Machine) Read() => (_first.Sum(OfProcess), _second.Sum(OfProcess), OfMachine());

    // One that ended counts nothing more.
    private static double OfProcess(int process) => ProcessTree.CpuSeconds(process) ?? 0;

    private static double OfMachine()
    {
        // cpu user nice system idle iowait irq softirq steal
        var fields = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (Number(fields[1]) + Number(fields[2]) + Number(fields[3]) + Number(fields[6]) + Number(fields[7]) + Number(fields[8])) / ProcessTree.TicksPerSecond;
    }

    private static double Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}

/// <summary>Processes and what they started, from /proc.</summary>
internal static class ProcessTree
{
    /// <summary>sysconf(_SC_CLK_TCK): 100 on every Linux .NET runs on.</summary>
    public const double TicksPerSecond = 100;

    public static IReadOnlyList<int> Find(IReadOnlyList<int> roots)
    {
        if (roots.Count == 0)
        {
            return [];
        }

        var children = new Dictionary<int, List<int>>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var process) && TryReadParent(process, out var parent))
            {
                (children.TryGetValue(parent, out var known) ? known : children[parent] = []).Add(process);
            }
        }

        var all = new List<int>(roots);
        for (var i = 0; i < all.Count; i++)
        {
            all.AddRange(children.GetValueOrDefault(all[i], []).Except(all));
        }

        return all;
    }

    /// <summary>User and system time of one process since its start, as fine as a tick of 10 ms.</summary>
    /// <returns>Null when it ended.</returns>
    public static double? CpuSeconds(int process)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{process}/stat");
            // The name in parentheses may hold blanks; what follows it does not. utime and stime are fields 14 and 15 of proc(5).
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Resident memory of them all, in bytes; pages that two of them share count twice.</summary>
    public static long ResidentBytes(IReadOnlyList<int> roots) => Find(roots).Sum(ResidentBytes);

    private static long ResidentBytes(int process)
    {
        try
        {
            var line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.AsSpan(6).Trim().TrimEnd("kB").Trim(), CultureInfo.InvariantCulture) << 10;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static bool TryReadParent(int process, out int parent)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{process}/stat");
            parent = int.Parse(text[(text.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
            return true;
        }
        catch (IOException)
        {
            parent = 0;
            return false;
        }
    }
}
