using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Design promise 4: kill -9 at any moment costs only speed.</summary>
public sealed class KillUnderReadTests(ITestOutputHelper output)
{
    private static readonly string Bench = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Bench", Loopback.Configuration, "proxy-bench.dll");

    [Fact]
    public async Task KillNine_WhileADatasetIsVerifiedThroughTheProxy_EveryByteIsRight()
    {
        await using var far = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "1GiB"], far.Endpoint);
        var written = await RunAsync("dataset", proxy.Endpoint);
        Assert.True(written.ExitCode == 0, written.Output);

        for (var round = 0; round < 2; round++)
        {
            // Kills while the client reads; it retries as minio-go does, and compares every byte it gets.
            var before = await ReadsAsync(proxy);
            var verifying = RunAsync("verify", proxy.Endpoint);
            while (await ReadsAsync(proxy) < before + 20 && !verifying.IsCompleted)
            {
                await Task.Delay(5);
            }

            await proxy.KillAsync();
            await proxy.StartAgainAsync();
            var verified = await verifying;
            Assert.Matches(@"verify: .* [1-9]\d* checks, \d+ wrong, [1-9]\d* retries", verified.Output);

            // On a busy machine a restart outlasts the client's patience: that ends its run, but is no wrong byte.
            Assert.DoesNotContain(verified.Output.Split('\n'), line => line.Contains("WRONG", StringComparison.Ordinal) && !line.Contains("the run ended: Connection refused", StringComparison.Ordinal));
        }

        // And once more in peace, from what the killed process left on its disk.
        var last = await RunAsync("verify", proxy.Endpoint);
        Assert.True(last.ExitCode == 0, last.Output);
        output.WriteLine(last.Output);
    }

    private static Task<ToolResult> RunAsync(string command, Uri endpoint)
        => ToolProcess.RunAsync("dotnet", [Bench, command, "--endpoint", endpoint.ToString(), "--size", "128MiB", "--segments", "2", "--concurrency", "4"], TimeSpan.FromMinutes(3));

    private static async Task<double> ReadsAsync(ProxyProcess proxy)
    {
        try
        {
            return (await proxy.ReadMetricsAsync()).Split('\n')
                .Where(line => line.StartsWith("s3_proxy_requests_total{operation=\"get_object\"", StringComparison.Ordinal))
                .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }
}
