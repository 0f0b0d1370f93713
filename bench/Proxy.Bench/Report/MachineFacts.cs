using System.Globalization;
using System.Runtime.InteropServices;

namespace Proxy.Bench.Report;

/// <summary>What a reader of a figure must know of the machine it was measured on.</summary>
/// <param name="CongestionControl">TCP's, as the system chooses it: BBR makes of large bodies within a machine something else than the others do.</param>
internal sealed record MachineFacts(DateTimeOffset At, string Processor, int Processors, long MemoryBytes, string System, string Runtime, string CongestionControl, string Commit)
{
    public static MachineFacts Read() => new(
        TimeProvider.System.GetUtcNow(),
        FirstValue("/proc/cpuinfo", "model name"),
        Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        RuntimeInformation.OSDescription,
        RuntimeInformation.FrameworkDescription,
        FirstLine("/proc/sys/net/ipv4/tcp_congestion_control"),
        // The SDK puts the commit behind the version (SourceRevisionId).
        typeof(MachineFacts).Assembly.GetCustomAttributes(false).OfType<global::System.Reflection.AssemblyInformationalVersionAttribute>().FirstOrDefault()?.InformationalVersion ?? "");

    /// <summary>In a line, for people.</summary>
    public override string ToString()
    {
        var commit = Commit.IndexOf('+', StringComparison.Ordinal) is >= 0 and var plus ? Commit[(plus + 1)..] : Commit;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Processors} processors ({Processor}), {MemoryBytes / (double)(1L << 30):0.0} GiB of memory, {System}, {Runtime}, TCP {CongestionControl}; commit {(commit.Length > 12 ? commit[..12] : commit)}; {At:yyyy-MM-dd HH:mm} UTC");
    }

    private static string FirstValue(string file, string name)
    {
        var line = FirstLine(file, name);
        return line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }

    private static string FirstLine(string file, string beginning = "")
    {
        try
        {
            return File.ReadLines(file).FirstOrDefault(text => text.StartsWith(beginning, StringComparison.Ordinal)) ?? "";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
