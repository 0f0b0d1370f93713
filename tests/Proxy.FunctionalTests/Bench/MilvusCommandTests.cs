using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Bench;

/// <summary><c>proxy-bench milvus</c> at its smallest: what it finds, what it says of it, and what it leaves behind.</summary>
public sealed class MilvusCommandTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-bench-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task TenWorkloads_NoWrongByteAndWhatTheProxyPromisesIsMet()
    {
        var (html, png) = (Path.Combine(_folder, "milvus.html"), Path.Combine(_folder, "png"));
        using var result = await RunAsync(0, "--warmup", "0", "--ports", Ports(8), "--html", html, "--png", png);
        var results = result.RootElement.GetProperty("results").EnumerateArray().ToList();
        Assert.True(result.RootElement.GetProperty("isComplete").GetBoolean());
        Assert.Equal(20, results.Count);
        Assert.All(results, one => Assert.Equal(0, one.GetProperty("wrong").GetInt64()));
        Assert.Equal("W10 direct", string.Join(' ', results.Where(one => one.GetProperty("skipped").ValueKind == JsonValueKind.String).Select(Name)));

        // Those of time depend on the machine; these do not.
        var kept = result.RootElement.GetProperty("expectations").EnumerateArray().Where(one => Name(one) is "W4 proxy" or "W5 proxy" or "W9 proxy" or "W10 proxy" or "W9 direct"
            || one.GetProperty("what").GetString()!.Contains("asks the backend for nothing", StringComparison.Ordinal)).ToList();
        Assert.Equal(["W10 proxy", "W4 proxy", "W5 proxy", "W6 proxy", "W9 direct", "W9 proxy"], kept.Select(Name).Distinct().Order(StringComparer.Ordinal));
        Assert.All(kept, one => Assert.True(one.GetProperty("isMet").GetBoolean(), one.ToString()));
        Assert.True(Figure(results, "W6 direct", "warm 16 backend requests") > 1);
        Assert.True(Figure(results, "W4 proxy", "index build server CPU s") > 0);

        var page = await File.ReadAllTextAsync(html);
        Assert.Contains("W6 warm: throughput by concurrency", page, StringComparison.Ordinal);
        var plots = Directory.GetFiles(png, "*.png").Length;
        Assert.True(plots > 10 && plots == page.Split("data:image/png").Length - 1, $"{plots} plots");
    }

    [Fact]
    public async Task TwoRounds_FiguresAreTheirMedians()
    {
        using var result = await RunAsync(
            0, "--work", "W4,W7", "--rounds", "2", "--warmup", "0.2", "--body", "3.0", "--cache-share", "50", "--segment-size", "40MiB", "--ports", Ports(8));
        var results = result.RootElement.GetProperty("results").EnumerateArray().ToList();
        foreach (var (name, figure) in ((string, string)[])[("W4 direct", "index build s"), ("W4 proxy", "index build s"), ("W7 direct", "tiered 16 cells/s"), ("W7 proxy", "tiered 16 at 50 % cells/s")])
        {
            var rounds = results.Single(one => Name(one) == name).GetProperty("rounds").EnumerateArray().Select(round => round.GetProperty("figures").GetProperty(figure).GetDouble()).ToList();
            Assert.Equal(2, rounds.Count);
            Assert.Equal(rounds.Average(), Figure(results, name, figure), 9);
        }

        // A cache that is started anew costs its clients no tries.
        Assert.All(results.SelectMany(one => one.GetProperty("rounds").EnumerateArray()), round => Assert.Empty(round.GetProperty("retries").EnumerateObject()));
    }

    [Fact]
    public async Task PeerNginx_IsHeldToTheSame()
    {
        if (!File.Exists("/usr/sbin/nginx"))
        {
            Assert.Skip("nginx is not installed: apt-get install nginx-light");
        }

        using var result = await RunAsync(0, "--work", "W1,W4,W6", "--peer", "nginx", "--warmup", "0", "--ports", Ports(12));
        var results = result.RootElement.GetProperty("results").EnumerateArray().ToList();
        Assert.Equal(9, results.Count);
        Assert.All(results, one => Assert.Equal(0, one.GetProperty("wrong").GetInt64()));
        // It has no write-through: what it lacks is told, and its warm hits are hits.
        var expectations = result.RootElement.GetProperty("expectations").EnumerateArray().ToList();
        Assert.False(expectations.Single(one => Name(one) == "W4 nginx").GetProperty("isMet").GetBoolean());
        Assert.True(expectations.First(one => Name(one) == "W6 nginx").GetProperty("isMet").GetBoolean());
    }

    [Fact]
    public async Task Interrupted_TellsWhatWasMeasured()
    {
        var json = Path.Combine(_folder, "milvus.json");
        string[] arguments = [Bench, "milvus", "--scale", "T", "--work", "W2,W5,W8", "--rounds", "1", "--warmup", "0", "--profile", "s3-like", "--ports", Ports(8), "--json", json];
        using var milvus = new Process { StartInfo = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, UseShellExecute = false } };
        milvus.Start();
        while (await milvus.StandardOutput.ReadLineAsync() is { } line && !line.StartsWith("W2  proxy", StringComparison.Ordinal))
        {
            // From there on it is in W5.
        }

        Signal.Send(milvus.Id, Signal.Interrupt);
        var output = await milvus.StandardOutput.ReadToEndAsync();
        await milvus.WaitForExitAsync();
        Assert.Equal(130, milvus.ExitCode);
        Assert.Contains("milvus: INTERRUPTED", output, StringComparison.Ordinal);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        Assert.False(result.RootElement.GetProperty("isComplete").GetBoolean());
        Assert.Equal(["W2 direct", "W2 proxy"], result.RootElement.GetProperty("results").EnumerateArray().Select(Name).Take(2));
        Assert.DoesNotContain("W8", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunningEndpoint_IsLeftAsItWasFound()
    {
        await using var proxy = await ProxyProcess.StartAsync([]);
        string[] arguments = ["--endpoint", $"store={proxy.Endpoint}", "--origin", $"store={proxy.Endpoint}", "--pid", $"store={proxy.ProcessId}", "--root", "bench/x", "--warmup", "0"];
        using var result = await RunAsync(0, [.. arguments, "--work", "W2,W5,W9"]);
        var results = result.RootElement.GetProperty("results").EnumerateArray().ToList();
        Assert.True(Figure(results, "W5 store", "cold load server CPU s") > 0);
        Assert.Contains("cannot be throttled", results.Single(one => Name(one) == "W9 store").GetProperty("skipped").GetString(), StringComparison.Ordinal);
        using var s3 = new S3Caller(proxy.Endpoint);
        Assert.DoesNotContain("a-bucket", (await s3.GetAsync("/")).Ok().Text, StringComparison.Ordinal);

        // What somebody else has there is not written over, nor removed.
        string[] dataset = ["--endpoint", proxy.Endpoint.ToString(), "--size", "24MiB", "--bucket", "a-bucket"];
        Assert.Equal(0, (await ToolProcess.RunAsync("dotnet", [Bench, "dataset", .. dataset], Limit)).ExitCode);
        Assert.Contains("a-bucket", (await s3.GetAsync("/")).Ok().Text, StringComparison.Ordinal);
        var refused = await ToolProcess.RunAsync("dotnet", [Bench, "milvus", "--endpoint", $"store={proxy.Endpoint}", "--work", "W2"], Limit);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("already has objects under files/", Assert.Single(refused.Lines), StringComparison.Ordinal);
        Assert.Equal(0, (await ToolProcess.RunAsync("dotnet", [Bench, "verify", .. dataset], Limit)).ExitCode);
    }

    /// <summary>The control of all the others: a store that gives other bytes back is found out.</summary>
    [Fact]
    public async Task WrongByte_IsFound()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        backend.Arrived = request =>
        {
            var path = request.RawTarget.Split('?')[0].Split('/', 3);
            if (request.Operation == "GetObject" && path is ["", var bucket, var key] && key.EndsWith("HNSW_0", StringComparison.Ordinal) && backend.Store.Find(bucket, key) is { } item)
            {
                item.Bytes[^1] ^= 1;
            }

            return Task.CompletedTask;
        };
        await using var proxy = await ProxyProcess.StartAsync(["--set", "Cache:Enabled=false"], new Uri(backend.Url));
        using var result = await RunAsync(1, "--endpoint", $"liar={proxy.Endpoint}", "--work", "W4", "--warmup", "0");
        Assert.Contains("HNSW_0", Assert.Single(result.RootElement.GetProperty("results").EnumerateArray().Single().GetProperty("findings").EnumerateArray()).GetString(), StringComparison.Ordinal);
    }

    /// <summary>A block that was acknowledged and does not come is told once; its reader does not wait for it for ever.</summary>
    [Fact]
    public async Task LostBlock_IsFoundAndNotWaitedFor()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        backend.Arrived = request =>
        {
            var path = request.RawTarget.Split('?')[0].Split('/', 3);
            if (request.Operation is "HeadObject" or "GetObject" && path is ["", var bucket, var key] && key.EndsWith("/3.blk", StringComparison.Ordinal))
            {
                backend.Store.Delete(bucket, key);
            }

            return Task.CompletedTask;
        };
        await using var proxy = await ProxyProcess.StartAsync(["--set", "Cache:Enabled=false"], new Uri(backend.Url));
        using var result = await RunAsync(1, "--endpoint", $"forgetful={proxy.Endpoint}", "--work", "W1", "--warmup", "0");
        var findings = result.RootElement.GetProperty("results").EnumerateArray().Single().GetProperty("findings").EnumerateArray().Select(finding => finding.GetString()!).ToList();
        Assert.Contains(findings, finding => finding.StartsWith("HEAD ", StringComparison.Ordinal) && finding.EndsWith("/3.blk: status 404, though its PUT was acknowledged: True", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RelayKilled_EndsTheRunAndIsNamed()
    {
        var (json, ports) = (Path.Combine(_folder, "milvus.json"), Loopback.FreePorts(8));
        string[] arguments = [Bench, "milvus", "--scale", "T", "--work", "W2,W5,W8", "--warmup", "0", "--profile", "s3-like", "--ports", ports.ToString(CultureInfo.InvariantCulture), "--json", json];
        using var milvus = new Process { StartInfo = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false } };
        milvus.Start();
        var errors = milvus.StandardError.ReadToEndAsync();
        while (await milvus.StandardOutput.ReadLineAsync() is { } line && !line.StartsWith("W2  proxy", StringComparison.Ordinal))
        {
            // From there on it is in W5.
        }

        // The one behind the proxy.
        var relay = $"relay\0--listen\0127.0.0.1:{ports + 5}\0";
        var process = Directory.GetDirectories("/proc").Select(folder => Path.GetFileName(folder)).Where(name => int.TryParse(name, CultureInfo.InvariantCulture, out _))
            .Single(name => ReadCommand(name).Contains(relay, StringComparison.Ordinal));
        Signal.Send(int.Parse(process, CultureInfo.InvariantCulture), Signal.Kill);
        var output = await milvus.StandardOutput.ReadToEndAsync();
        await milvus.WaitForExitAsync();
        Assert.Equal(2, milvus.ExitCode);
        Assert.Contains("milvus: INTERRUPTED", output, StringComparison.Ordinal);
        Assert.Contains($"milvus: relay on 127.0.0.1:{ports + 5} ended with 137 while it was in use, and wrote nothing", await errors, StringComparison.Ordinal);
        using var result = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        Assert.False(result.RootElement.GetProperty("isComplete").GetBoolean());

        static string ReadCommand(string process)
        {
            try
            {
                return File.ReadAllText($"/proc/{process}/cmdline");
            }
            catch (IOException)
            {
                return "";
            }
        }
    }

    private static string Bench => Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Bench", Loopback.Configuration, "proxy-bench.dll");

    private static string Ports(int count) => Loopback.FreePorts(count).ToString(CultureInfo.InvariantCulture);

    private static string Name(JsonElement one) => $"{one.GetProperty("name").GetString()} {one.GetProperty("endpoint").GetString()}";

    private static double Figure(IEnumerable<JsonElement> results, string name, string figure)
        => results.Single(one => Name(one) == name).GetProperty("figures").GetProperty(figure).GetDouble();

    private async Task<JsonDocument> RunAsync(int exitCode, params string[] arguments)
    {
        var json = Path.Combine(_folder, "milvus.json");
        var result = await ToolProcess.RunAsync("dotnet", [Bench, "milvus", "--scale", "T", "--json", json, .. arguments], Limit);
        Assert.True(exitCode == result.ExitCode, $"{string.Join(' ', arguments)}: exit code {result.ExitCode}\n{result.Output}");
        return JsonDocument.Parse(await File.ReadAllTextAsync(json));
    }
}
