using System.Diagnostics;
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
    public async Task Compare_ProxyAndCeilings_CountsAndComparesBytes()
    {
        var (json, html, png) = (Path.Combine(_folder, "compare.json"), Path.Combine(_folder, "compare.html"), Path.Combine(_folder, "png"));
        await RunAsync(
            0, "compare", "--peers", "none", "--ceiling", "--data-size", "32MiB", "--work", "head,64k,16m", "--connections", "4", "--rounds", "1",
            "--seconds", "0.5", "--ports", Ports(7), "--json", json, "--html", html, "--png", png);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        var cells = result.RootElement.GetProperty("cells").EnumerateArray().ToList();
        Assert.Equal(9, cells.Count);
        Assert.All(cells, cell => Assert.True(cell.GetProperty("capacity").GetDouble() > 0 && cell.GetProperty("serverMicroseconds").GetDouble() > 0));
        Assert.True(result.RootElement.GetProperty("checkedBytes").GetInt64() >= 6 * (32L << 20));
        Assert.Contains(cells, cell => cell.GetProperty("server").GetString() == "proxy" && cell.GetProperty("outcomes").GetString()!.StartsWith("Memory", StringComparison.Ordinal));
        Assert.Equal(0, result.RootElement.GetProperty("originRequests").GetInt64());
        var plots = Directory.GetFiles(png, "*.png").Length;
        Assert.True(plots >= 6 && plots == (await File.ReadAllTextAsync(html)).Split("data:image/png").Length - 1, $"{plots} plots");
    }

    [Fact]
    public async Task Compare_BesideLargeReads_TellsBoth()
    {
        var json = Path.Combine(_folder, "beside.json");
        await RunAsync(
            0, "compare", "--peers", "none", "--data-size", "32MiB", "--work", "4k", "--connections", "4", "--beside", "2", "--rounds", "2", "--seconds", "0.5", "--ports", Ports(3), "--json", json);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        var cell = Assert.Single(result.RootElement.GetProperty("cells").EnumerateArray());

        // The row is the small reads alone: what was read beside them would be hundreds of times their bytes.
        Assert.Equal(cell.GetProperty("requestsPerSecond").GetDouble() / 256, cell.GetProperty("mebibytesPerSecond").GetDouble(), 0.5);
        Assert.True(cell.GetProperty("besideMebibytesPerSecond").GetDouble() > 16);
    }

    [Fact]
    public async Task Catalog_TwoSizes_AskTheOriginNothingWhileMeasured()
    {
        var csv = Path.Combine(_folder, "catalog.csv");
        await RunAsync(0, "catalog", "--entries", "100,2000", "--connections", "4", "--rounds", "1", "--seconds", "0.5", "--ports", Ports(5), "--csv", csv);
        Assert.Equal(5, (await File.ReadAllLinesAsync(csv)).Length);    // two works of two proxies, and the names
    }

    [Theory]
    [InlineData("load --endpoint http://127.0.0.1:1", "nothing answers")]
    [InlineData("load --endpoint ftp://127.0.0.1:9000", "http://host:port")]
    [InlineData("verify --json /nowhere/x.json", "cannot be written")]
    [InlineData("compare --html /nowhere/x.html", "cannot be written")]
    [InlineData("compare --connections 0", "at least 1")]
    [InlineData("compare --rounds 0", "at least 1")]
    [InlineData("compare --beside -1", "at least 0")]
    [InlineData("compare --seconds -1", "above 0")]
    [InlineData("compare --peers apache", "'apache'")]
    [InlineData("compare --work 4k,zz", "'zz'")]
    [InlineData("compare --ports 65534", "65535")]
    [InlineData("compare --proxy nginx=/bin/true", "names")]
    [InlineData("compare --proxy a=/bin/true --proxy A=/bin/true", "names")]
    [InlineData("compare --memory much", "size")]
    [InlineData("paper --ports 70000", "65535")]
    [InlineData("soak --minutes 0", "above 0")]
    [InlineData("shape --server nowhere", "host:port")]
    [InlineData("replay --trace /nowhere", "/nowhere")]
    [InlineData("milvus --work W1,W99", "'W99'")]
    [InlineData("milvus --peer apache", "--peer: Argument 'apache'")]
    [InlineData("milvus --cache-share 10,much", "percents")]
    [InlineData("milvus --scale T --cache-share 10", "16 MiB or more")]
    [InlineData("milvus --wal-block 32MiB", "16MiB or less")]
    [InlineData("milvus --rounds 0", "at least 1")]
    [InlineData("milvus --root a*b", "--root")]
    [InlineData("milvus --endpoint 127.0.0.1:1", "NAME=http://host:port")]
    [InlineData("milvus --endpoint a=http://127.0.0.1:1", "does not answer")]
    [InlineData("milvus --endpoint a=http://127.0.0.1:1 --peer nginx", "not for --endpoint")]
    [InlineData("milvus --origin a=http://127.0.0.1:1", "no --endpoint is called a")]
    public async Task Command_ThatCannotBeDone_IsRefusedInALine(string arguments, string why)
    {
        var result = await ToolProcess.RunAsync("dotnet", [Bench, .. arguments.Split(' ')], Limit);
        Assert.Equal(2, result.ExitCode);
        var line = Assert.Single(result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        Assert.Contains(why, line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_Interrupted_TellsWhatWasMeasured()
    {
        var json = Path.Combine(_folder, "load.json");
        await using var proxy = await ProxyProcess.StartAsync([]);
        string[] dataset = ["--endpoint", proxy.Endpoint.ToString(), "--size", "24MiB"];
        await RunAsync(0, ["dataset", .. dataset]);
        using var load = new Process { StartInfo = new ProcessStartInfo("dotnet", [Bench, "load", .. dataset, "--warmup", "0", "--seconds", "120", "--json", json]) { RedirectStandardOutput = true, UseShellExecute = false } };
        load.Start();
        Assert.StartsWith("load: ", await load.StandardOutput.ReadLineAsync(), StringComparison.Ordinal);    // from here on it reads
        await Task.Delay(1000);
        Signal.Send(load.Id, Signal.Interrupt);
        var output = await load.StandardOutput.ReadToEndAsync();
        await load.WaitForExitAsync();
        Assert.Equal(130, load.ExitCode);
        Assert.Contains("load: INTERRUPTED", output, StringComparison.Ordinal);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        Assert.True(result.RootElement.GetProperty("wasInterrupted").GetBoolean());
        Assert.True(result.RootElement.GetProperty("operations").EnumerateObject().Any());
    }

    /// <summary>Its servers stayed, on their ports and with their memory, for whoever measured next.</summary>
    [Fact]
    public async Task Compare_Killed_ItsServersEndWithIt()
    {
        Assert.SkipUnless(await ToolProcess.SucceedsAsync("setpriv", "--pdeathsig", "TERM", "--", "true"), "no setpriv here that can say so");
        string[] arguments =
        [
            Bench, "compare", "--peers", "none", "--ceiling", "--data-size", "32MiB", "--work", "4k", "--connections", "4", "--rounds", "1", "--seconds", "120",
            "--ports", Ports(7), "--folder", Path.Combine(_folder, "data"),
        ];
        using var bench = new Process { StartInfo = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, UseShellExecute = false } };
        bench.Start();
        bench.OutputDataReceived += static (_, _) => { };
        bench.BeginOutputReadLine();
        List<int> servers = [];
        try
        {
            // The proxy and two ceilings.
            await Patience.UntilAsync(() => (servers = ChildrenOf(bench.Id)).Count == 3, () => $"{servers.Count} of its three servers run");
            bench.Kill();
            await bench.WaitForExitAsync();
            await Patience.UntilAsync(() => servers.TrueForAll(server => ParentOf(server) is null), () => $"{servers.Count(server => ParentOf(server) is not null)} of its three servers are left");
        }
        finally
        {
            bench.Kill(entireProcessTree: true);
            foreach (var server in servers.Where(server => ParentOf(server) is not null))
            {
                Signal.Send(server, Signal.Kill);
            }
        }
    }

    [Fact]
    public async Task Paper_SmallestScale_HasItsFourColumns()
    {
        var json = Path.Combine(_folder, "paper.json");
        await RunAsync(0, "paper", "--scale", "T", "--rounds", "1", "--warmup", "1", "--ports", Ports(8), "--json", json);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        var p50 = result.RootElement.GetProperty("columns").EnumerateArray()
            .ToDictionary(column => column.GetProperty("name").GetString()!, column => column.GetProperty("figures").GetProperty("random read p50 ms").GetDouble());
        Assert.Equal(4, p50.Count);
        // What a cold load is of, the proxy has not seen either.
        var cold = result.RootElement.GetProperty("columns").EnumerateArray().Select(column => column.GetProperty("figures").GetProperty("cold load backend MiB").GetDouble()).ToList();
        Assert.All(cold, bytes => Assert.Equal(cold[0], bytes, cold[0] * 0.02));
        Assert.True(p50["minio-like"] >= 1 && p50["rustfs-like"] >= 7, $"the backends directly {p50["minio-like"]} and {p50["rustfs-like"]} ms");
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
        await RunAsync(0, "replay", "--trace", trace, "--speed", "0", "--endpoint", $"one={proxy.Endpoint}", "--endpoint", $"two={proxy.Endpoint}");

        // A trace of what is not there is told apart from one that is.
        await File.WriteAllTextAsync(trace, lines[0].Replace("files/", "elsewhere/", StringComparison.Ordinal));
        await RunAsync(1, "replay", "--trace", trace, "--speed", "0", "--endpoint", proxy.Endpoint.ToString());
    }

    private static string Bench => Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Bench", Loopback.Configuration, "proxy-bench.dll");

    private static List<int> ChildrenOf(int parent)
        => [.. Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(static name => int.TryParse(name, CultureInfo.InvariantCulture, out _))
            .Select(static name => int.Parse(name!, CultureInfo.InvariantCulture)).Where(process => ParentOf(process) == parent)];

    /// <returns>Null when it has ended, whether or not somebody took notice.</returns>
    private static int? ParentOf(int process)
    {
        try
        {
            // The name in parentheses may hold blanks; what follows it does not: state and parent.
            var text = File.ReadAllText($"/proc/{process}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : int.Parse(fields[1], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static string Ports(int count) => Loopback.FreePorts(count).ToString(CultureInfo.InvariantCulture);

    private static async Task RunAsync(int exitCode, params string[] arguments)
    {
        var result = await ToolProcess.RunAsync("dotnet", [Bench, .. arguments], Limit);
        Assert.True(exitCode == result.ExitCode, $"{string.Join(' ', arguments)}: exit code {result.ExitCode}\n{result.Output}");
    }
}
