using System.Globalization;
using System.Runtime.InteropServices;

namespace Proxy.Bench.Report;

/// <summary>What a reader of a figure must know of the machine it was measured on.</summary>
internal sealed record MachineFacts(DateTimeOffset At, string Processor, int Processors, long MemoryBytes, string System, string Runtime, string Commit)
{
    public static MachineFacts Read() => new(
        TimeProvider.System.GetUtcNow(),
        FirstValue("/proc/cpuinfo", "model name"),
        Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        RuntimeInformation.OSDescription,
        RuntimeInformation.FrameworkDescription,
        // The SDK puts the commit behind the version (SourceRevisionId).
        typeof(MachineFacts).Assembly.GetCustomAttributes(false).OfType<global::System.Reflection.AssemblyInformationalVersionAttribute>().FirstOrDefault()?.InformationalVersion ?? "");

    /// <summary>In a line, for people.</summary>
    public override string ToString()
    {
        var commit = Commit.IndexOf('+', StringComparison.Ordinal) is >= 0 and var plus ? Commit[(plus + 1)..] : Commit;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Processors} processors ({Processor}), {MemoryBytes / (double)(1L << 30):0.0} GiB of memory, {System}, {Runtime}; commit {(commit.Length > 12 ? commit[..12] : commit)}; {At:yyyy-MM-dd HH:mm} UTC");
    }

    private static string FirstValue(string file, string name)
    {
        try
        {
            var line = File.ReadLines(file).FirstOrDefault(text => text.StartsWith(name, StringComparison.Ordinal));
            return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() ?? "";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
