using Proxy.Bench.Report;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary>Runs a command that starts servers in a folder that goes with it.</summary>
internal static class BenchRun
{
    /// <param name="name">Of the command; a temporary folder that is left after all is known by it.</param>
    /// <param name="run">Given a folder for the servers' data.</param>
    /// <param name="kept">A folder to use instead of a temporary one; it stays.</param>
    /// <returns>What <paramref name="run"/> returned; a run that ended well because it was interrupted is told as interrupted.</returns>
    public static async Task<int> InFolderAsync(string name, Func<string, IAnsiConsole, Task<int>> run, CancellationToken cancellation, string? kept = null)
    {
        var folder = kept ?? Directory.CreateTempSubdirectory($"proxy-bench-{name}-").FullName;
        Directory.CreateDirectory(folder);
        try
        {
            var code = await run(folder, Terminal.Open());
            return code == ExitCode.Good && cancellation.IsCancellationRequested ? ExitCode.Interrupted : code;
        }
        finally
        {
            if (kept is null)
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }
}
