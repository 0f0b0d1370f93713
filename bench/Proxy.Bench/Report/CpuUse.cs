using System.Globalization;

namespace Proxy.Bench.Report;

/// <summary>User and system time of one process over a span, from /proc/PID/stat.</summary>
internal sealed class CpuUse
{
    // sysconf(_SC_CLK_TCK): 100 on every Linux .NET runs on.
    private const double TicksPerSecond = 100;

    private readonly int _process;
    private readonly double _before;

    private CpuUse(int process)
    {
        _process = process;
        _before = Read(process);
    }

    /// <summary>Between start and stop; 0 before.</summary>
    public double Seconds { get; private set; }

    public static CpuUse Start(int process) => new(process);

    public void Stop() => Seconds = Read(_process) - _before;

    private static double Read(int process)
    {
        var text = File.ReadAllText($"/proc/{process}/stat");
        // The name in parentheses may hold blanks; what follows it does not. utime and stime are fields 14 and 15 of proc(5).
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
    }
}
