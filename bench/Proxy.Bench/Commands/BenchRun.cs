using Proxy.Bench.Report;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary>How a command that starts servers ends: its temporary folder goes with it, and what stopped it is told in a line.</summary>
internal static class BenchRun
{
    /// <param name="name">Of the command, for its messages.</param>
    /// <param name="run">Given a folder for the servers' data.</param>
    /// <param name="kept">A folder to use instead of a temporary one; it stays.</param>
    public static async Task<int> InFolderAsync(string name, Func<string, IAnsiConsole, Task<int>> run, CancellationToken cancellation, string? kept = null)
    {
        var folder = kept ?? Directory.CreateTempSubdirectory("proxy-bench-").FullName;
        Directory.CreateDirectory(folder);
        try
        {
            return await run(folder, Terminal.Open());
        }
        catch (RunFailedException error)
        {
            await Console.Error.WriteLineAsync($"{name}: {error.Message}");
            return ExitCode.Wrong;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
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
