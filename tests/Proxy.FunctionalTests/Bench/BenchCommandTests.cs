using System.Globalization;
using System.Text.Json;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Bench;

/// <summary>Every command of the bench once, at its smallest: it ends well, says so, and its figures add up.</summary>
public sealed class BenchCommandTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-bench-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Compare_ProxyAndCeiling_CountsAndComparesBytes()
    {
        var json = Path.Combine(_folder, "compare.json");
        await RunAsync(
            0, "compare", "--peers", "none", "--ceiling", "--data-size", "32MiB", "--work", "head,64k,16m", "--connections", "4", "--rounds", "1",
            "--seconds", "0.5", "--ports", Ports(6), "--json", json);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        var cells = result.RootElement.GetProperty("cells").EnumerateArray().ToList();
        Assert.Equal(6, cells.Count);
        Assert.All(cells, cell => Assert.True(cell.GetProperty("capacity").GetDouble() > 0 && cell.GetProperty("serverMicroseconds").GetDouble() > 0));
        Assert.True(result.RootElement.GetProperty("checkedBytes").GetInt64() >= 4 * (32L << 20));
        Assert.Contains(cells, cell => cell.GetProperty("server").GetString() == "proxy" && cell.GetProperty("outcomes").GetString()!.StartsWith("Memory", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Milvus_TenWorkloads_NoWrongByteAndNoBackendReadsWhenWarm()
    {
        var (json, html) = (Path.Combine(_folder, "milvus.json"), Path.Combine(_folder, "milvus.html"));
        await RunAsync(0, "milvus", "--scale", "T", "--ports", Ports(8), "--json", json, "--html", html);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        var results = result.RootElement.GetProperty("results").EnumerateArray().ToList();
        Assert.Equal(20, results.Count);
        Assert.All(results, one => Assert.Equal(0, one.GetProperty("wrong").GetInt64()));
        Assert.Equal(0, Figure("W6", "proxy", "warm 16 backend requests"));
        Assert.True(Figure("W6", "direct", "warm 16 backend requests") > 0);
        Assert.True(Figure("W5", "proxy", "cold load backend MiB") < 0.75 * Figure("W5", "direct", "cold load backend MiB"));
        Assert.True((await File.ReadAllTextAsync(html)).Split("data:image/png").Length > 10);

        double Figure(string workload, string endpoint, string name)
            => results.Single(one => one.GetProperty("name").GetString() == workload && one.GetProperty("endpoint").GetString() == endpoint)
                .GetProperty("figures").GetProperty(name).GetDouble();
    }

    [Fact]
    public async Task Paper_SmallestScale_HasItsFourColumns()
    {
        var json = Path.Combine(_folder, "paper.json");
        await RunAsync(0, "paper", "--scale", "T", "--ports", Ports(8), "--json", json);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        var p50 = result.RootElement.GetProperty("columns").EnumerateArray()
            .ToDictionary(column => column.GetProperty("name").GetString()!, column => column.GetProperty("figures").GetProperty("random read p50 ms").GetDouble());
        Assert.Equal(4, p50.Count);
        Assert.True(p50["rustfs-like + proxy"] < p50["minio-like"], $"warm random reads {p50["rustfs-like + proxy"]} ms, the faster backend directly {p50["minio-like"]} ms");
    }

    [Fact]
    public async Task Replay_AccessLogOfAVerify_AnswersAsRecorded()
    {
        var (log, trace) = (Path.Combine(_folder, "access.log"), Path.Combine(_folder, "trace.jsonl"));
        await using var proxy = await ProxyProcess.StartAsync(["--set", $"Telemetry:AccessLog={log}"]);
        string[] dataset = ["--endpoint", proxy.Endpoint.ToString(), "--size", "24MiB"];
        await RunAsync(0, ["dataset", .. dataset]);
        await RunAsync(0, ["verify", .. dataset]);
        await proxy.RestartAsync();    // a stop writes the log's last lines
        await RunAsync(0, "record", "--access-log", log, "--trace", trace);
        var lines = await File.ReadAllLinesAsync(trace);
        Assert.Contains(lines, line => line.Contains("\"range\":\"bytes=0-0\"", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.Contains("minioadmin", StringComparison.Ordinal));
        await RunAsync(0, "replay", "--trace", trace, "--speed", "0", "--endpoint", proxy.Endpoint.ToString());

        // A trace of what is not there is told apart from one that is.
        await File.WriteAllTextAsync(trace, lines[0].Replace("files/", "elsewhere/", StringComparison.Ordinal));
        await RunAsync(1, "replay", "--trace", trace, "--speed", "0", "--endpoint", proxy.Endpoint.ToString());
    }

    private static string Ports(int count) => Loopback.FreePorts(count).ToString(CultureInfo.InvariantCulture);

    private static async Task RunAsync(int exitCode, params string[] arguments)
    {
        var bench = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Bench", Loopback.Configuration, "proxy-bench.dll");
        var result = await ToolProcess.RunAsync("dotnet", [bench, .. arguments], Limit);
        Assert.True(exitCode == result.ExitCode, $"{string.Join(' ', arguments)}: exit code {result.ExitCode}\n{result.Output}");
    }
}
