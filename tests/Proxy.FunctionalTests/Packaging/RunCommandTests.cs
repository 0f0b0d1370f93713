using System.Diagnostics;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Packaging;

/// <summary>The README's first command, as a new user types it.</summary>
public sealed class RunCommandTests
{
    [Fact]
    public async Task DotnetRun_KeepsItsDataUnderTheCallersFolder()
    {
        var port = Loopback.FreePorts(2);
        var folder = Directory.CreateTempSubdirectory("proxy-run-");
        try
        {
            string[] arguments =
            [
                "run", "--no-build", "-c", Loopback.Configuration, "--project", Path.Combine(Loopback.Repository, "src", "Proxy.Server"),
                "--", "--listen", $"127.0.0.1:{port}", "--admin", $"127.0.0.1:{port + 1}", "--nvme", "256MiB",
            ];
            using var run = Process.Start(new ProcessStartInfo("dotnet", arguments) { WorkingDirectory = folder.FullName, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
            var said = run.StandardOutput.ReadToEndAsync();
            var complained = run.StandardError.ReadToEndAsync();
            try
            {
                using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
                var started = Stopwatch.GetTimestamp();
                while (!run.HasExited && !await IsReadyAsync(http, new Uri($"http://127.0.0.1:{port + 1}/health/ready")))
                {
                    Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(2), "not ready within two minutes");
                    await Task.Delay(100);
                }
            }
            finally
            {
                // The server is a child of `dotnet run`.
                run.Kill(entireProcessTree: true);
                await run.WaitForExitAsync();
            }

            var output = await said + await complained;
            Assert.True(Directory.Exists(Path.Combine(folder.FullName, "data", "store")), output);
            Assert.True(Directory.Exists(Path.Combine(folder.FullName, "data", "cache")), output);
            Assert.Contains($"http://127.0.0.1:{port}", output, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<bool> IsReadyAsync(HttpClient http, Uri health)
    {
        try
        {
            using var answer = await http.GetAsync(health);
            return answer.IsSuccessStatusCode;
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }
}
