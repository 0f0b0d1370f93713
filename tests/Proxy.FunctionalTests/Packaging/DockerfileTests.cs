using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Packaging;

/// <summary>The Dockerfile without Docker: its own COPY and RUN lines build the server, its own ENV, ENTRYPOINT and HEALTHCHECK start and ask it.</summary>
/// <remarks>What the base images bring is not seen: their SDK and runtime are this machine's here.</remarks>
public sealed class DockerfileTests
{
    private readonly List<(string Word, string Line)> _build = [];
    private readonly List<(string Word, string Line)> _run = [];

    [Fact]
    public async Task Steps_BuildAServerThatIsHealthyAndKeepsWhatItGotOverARestart()
    {
        Read();
        var root = Directory.CreateTempSubdirectory("proxy-docker-");
        try
        {
            var app = Path.Combine(root.FullName, "app");
            await BuildAsync(Directory.CreateDirectory(Path.Combine(root.FullName, "src")).FullName, app);
            var (ports, data) = (Loopback.FreePorts(2), Directory.CreateDirectory(Path.Combine(root.FullName, "data")).FullName);
            var bytes = new byte[100_000];
            new Random(1).NextBytes(bytes);
            for (var start = 0; start < 2; start++)
            {
                using var server = Start(app, data, ports);
                var said = Task.WhenAll(server.StandardOutput.ReadToEndAsync(), server.StandardError.ReadToEndAsync());
                try
                {
                    await WaitUntilHealthyAsync(server, app, ports);
                    using var s3 = new S3Caller(new Uri($"http://127.0.0.1:{ports}"));
                    if (start == 0)
                    {
                        Assert.Equal(HttpStatusCode.OK, (await s3.PutAsync("/from-docker", [])).Status);
                        Assert.Equal(HttpStatusCode.OK, (await s3.PutAsync("/from-docker/kept", bytes)).Status);
                    }

                    Assert.Equal(bytes, (await s3.GetAsync("/from-docker/kept")).Body);
                }
                finally
                {
                    server.Kill();
                    await server.WaitForExitAsync();
                    await said;
                }
            }
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    /// <summary>Its instructions, those before the second FROM apart from those after it; a backslash continues a line.</summary>
    private void Read()
    {
        var stages = 0;
        var text = string.Join('\n', File.ReadLines(Path.Combine(Loopback.Repository, "Dockerfile")).Where(line => !line.TrimStart().StartsWith('#')));
        foreach (var line in text.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var words = line.Trim().Split(' ', 2);
            stages += words[0] == "FROM" ? 1 : 0;
            (stages == 1 ? _build : _run).Add((words[0], words[1]));
        }

        Assert.Equal(2, stages);
    }

    private async Task BuildAsync(string source, string app)
    {
        foreach (var (word, rest) in _build)
        {
            if (word == "COPY")
            {
                var paths = rest.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                foreach (var path in paths[..^1])
                {
                    Copy(Path.Combine(Loopback.Repository, path), Path.Combine(source, paths[^1]), intoFolder: paths[^1].EndsWith('/'));
                }
            }
            else if (word == "RUN")
            {
                var result = await ToolProcess.RunAsync("/bin/sh", ["-c", rest.Replace("/app", app, StringComparison.Ordinal)], TimeSpan.FromMinutes(10), directory: source); // beside everything else: so long that it hangs
                Assert.True(result.ExitCode == 0, $"RUN {rest}\n{result.Output}");
                Assert.DoesNotContain("warning", result.Output, StringComparison.Ordinal);
            }
        }

        Assert.True(File.Exists(Path.Combine(app, "Proxy.Server.dll")));
        Assert.False(Directory.Exists(Path.Combine(app, "config")), "what a machine's own configuration says is not in the image");
    }

    private Process Start(string app, string data, int ports)
    {
        var entry = Words(_run.Single(step => step.Word == "ENTRYPOINT").Line, app);
        var info = new ProcessStartInfo(entry[0], entry[1..]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = data };
        foreach (var pair in _run.Where(step => step.Word == "ENV").SelectMany(step => step.Line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(pair => pair.Split('=', 2)))
        {
            // Every interface becomes loopback here, and the ports free ones.
            info.Environment[pair[0]] = pair[1] switch
            {
                "0.0.0.0:9000" => $"127.0.0.1:{ports}",
                "0.0.0.0:9001" => $"127.0.0.1:{ports + 1}",
                "/data" => data,
                var value => value,
            };
        }

        Assert.Equal($"127.0.0.1:{ports}", info.Environment["S3__Listen"]);
        Assert.Equal(data, info.Environment["Data"]);
        return Process.Start(info)!;
    }

    private async Task WaitUntilHealthyAsync(Process server, string app, int ports)
    {
        var check = _run.Single(step => step.Word == "HEALTHCHECK").Line;
        var command = Words(check[(check.IndexOf("CMD", StringComparison.Ordinal) + 3)..].Trim(), app).Select(word => word == "127.0.0.1:9001" ? $"127.0.0.1:{ports + 1}" : word).ToList();
        var started = Stopwatch.GetTimestamp();
        while (!await ToolProcess.SucceedsAsync(command[0], [.. command.Skip(1)]))
        {
            Assert.False(server.HasExited, "the server ended");
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(1), "not healthy within a minute");
        }
    }

    private static string[] Words(string json, string app) => [.. JsonSerializer.Deserialize<string[]>(json)!.Select(word => word.Replace("/app", app, StringComparison.Ordinal))];

    private static void Copy(string from, string to, bool intoFolder)
    {
        if (File.Exists(from))
        {
            var target = intoFolder ? Path.Combine(to, Path.GetFileName(from)) : to;
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(from, target);
            return;
        }

        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }
    }
}
