using System.Diagnostics;
using System.Globalization;
using Proxy.FunctionalTests.Cache;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Durability;

/// <summary>SIGTERM: what is in flight is answered, for as long as S3:ShutdownTimeout says.</summary>
public sealed class ShutdownTests
{
    private const int Bytes = 64 << 20;

    [Fact]
    public async Task Terminate_WhileAReaderIsSlow_LetsItFinish()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"]);
        using var client = new S3Http(proxy.Endpoint);
        var body = await PutAsync(client);
        using var answer = await client.SendAsync(HttpMethod.Get, "/bucket/key");
        await using var stream = await answer.Content.ReadAsStreamAsync();
        var read = new byte[Bytes];
        await stream.ReadExactlyAsync(read.AsMemory(0, 1 << 20));

        var stopped = proxy.StopAsync();

        // A client that is slow, which is what is being tested: no event to wait for.
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.False(stopped.IsCompleted);
        await stream.ReadExactlyAsync(read.AsMemory(1 << 20));
        Assert.True(body.AsSpan().SequenceEqual(read), "other bytes");
        Assert.Equal(0, await stream.ReadAsync(new byte[1]));
        Assert.Equal(0, await stopped);
        Assert.Contains("Stopped: requests in flight were answered.", proxy.Log, StringComparison.Ordinal);
    }

    /// <summary>Whoever balances load between proxies sends this one nothing more, and monitoring sees it to its end.</summary>
    [Fact]
    public async Task Terminate_WhileAnUploadIsHeldOpen_HealthSaysStopping()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"]);
        using var client = new S3Http(proxy.Endpoint);
        await client.MustAsync(HttpMethod.Put, "/bucket");
        await using var s3 = new S3Wire(proxy.Endpoint, "bucket");
        var (head, body) = s3.Encode(new WireRequest("PUT", "/bucket/held") { Body = new byte[100_000], PayloadHash = PayloadHash.Unsigned });
        await using var upload = await WireConnection.OpenAsync(proxy.Endpoint);
        await upload.WriteAsync((byte[])[.. head, .. body[..1000]]);
        await Task.Delay(TimeSpan.FromMilliseconds(500)); // it has begun: nothing tells

        var stopped = proxy.StopAsync();
        using var http = new HttpClient();
        var said = "";
        for (var looks = 0; looks < 100 && said != "503 stopping"; looks++)
        {
            using var answer = await http.GetAsync(new Uri(proxy.Admin, "/health/ready"));
            said = $"{(int)answer.StatusCode} {(await answer.Content.ReadAsStringAsync()).Trim()}";
            await Task.Delay(50);
        }

        Assert.Equal("503 stopping", said);
        await Task.Delay(TimeSpan.FromSeconds(3)); // longer than the admin side is given to end
        Assert.Contains("s3_proxy_requests_in_flight 1", await proxy.ReadMetricsAsync(), StringComparison.Ordinal);
        await upload.WriteAsync(body.AsMemory(1000));
        (await upload.ReadAnswerAsync()).Expect(200);
        Assert.Equal(0, await stopped);
        Assert.Contains("Stopped: requests in flight were answered.", proxy.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Terminate_WhileAReaderStops_CutsItOffAtTheTimeout()
    {
        const int TimeoutSeconds = 3;
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", string.Create(CultureInfo.InvariantCulture, $"S3:ShutdownTimeout=00:00:0{TimeoutSeconds}")]);
        using var client = new S3Http(proxy.Endpoint);
        await PutAsync(client);
        using var answer = await client.SendAsync(HttpMethod.Get, "/bucket/key");
        await using var stream = await answer.Content.ReadAsStreamAsync();
        await stream.ReadExactlyAsync(new byte[1 << 20]);

        var told = Stopwatch.GetTimestamp();
        Assert.Equal(0, await proxy.StopAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(told).TotalSeconds, TimeoutSeconds, TimeoutSeconds + 10);
        Assert.Contains("were cut off", proxy.Log, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<IOException>(() => stream.CopyToAsync(Stream.Null));
    }

    /// <summary>Every flush hangs from the moment the server is told to stop: it ends all the same, and nothing acknowledged is lost.</summary>
    [Fact]
    public async Task Terminate_WhileTheDiskHangs_EndsWithoutClosing()
    {
        const int CouldNotClose = 3;
        Assert.SkipUnless(await ToolProcess.SucceedsAsync("sh", "-c", "command -v strace"), "strace is not installed");
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"]);
        using var client = new S3Http(proxy.Endpoint);
        var body = await PutAsync(client);
        using var strace = Process.Start(new ProcessStartInfo(
            "strace", ["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=600000000", "-p", proxy.ProcessId.ToString(CultureInfo.InvariantCulture)])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        })!;
        Task<int> stopped;
        try
        {
            var attached = await strace.StandardError.ReadLineAsync() ?? "";
            Assert.SkipUnless(attached.Contains("attached", StringComparison.Ordinal), $"strace may not look at other processes here: {attached}");
            stopped = proxy.StopAsync();
            for (var looks = 0; looks < 400 && !proxy.Log.Contains("Files could not be closed", StringComparison.Ordinal) && !stopped.IsCompleted; looks++)
            {
                await Task.Delay(100);
            }
        }
        finally
        {
            // The thread that it holds cannot end before.
            strace.Kill();
            await strace.WaitForExitAsync();
        }

        Assert.Equal(CouldNotClose, await stopped);
        Assert.Contains("Files could not be closed", proxy.Log, StringComparison.Ordinal);
        await proxy.StartAgainAsync();
        var answer = await client.MustAsync(HttpMethod.Get, "/bucket/key");
        Assert.True(body.AsSpan().SequenceEqual(answer.Body), "other bytes");
    }

    /// <summary>Whoever starts and stops services must not find this one failed for having been quick.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    [InlineData(100)]
    [InlineData(200)]
    public async Task Terminate_WhileItStarts_EndsInOrder(int milliseconds)
    {
        var data = Directory.CreateTempSubdirectory("proxy-test-");
        var port = Loopback.FreePorts(2);
        using var process = Process.Start(new ProcessStartInfo(
            "dotnet",
            [
                Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Server", Loopback.Configuration, "Proxy.Server.dll"),
                "--listen", $"127.0.0.1:{port}", "--admin", $"127.0.0.1:{port + 1}", "--data", data.FullName, "--memory", "128MiB", "--nvme", "0",
            ])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = data.FullName,
        })!;
        try
        {
            // Its first word is of the store, some time before it listens.
            var first = await process.StandardOutput.ReadLineAsync();
            await Task.Delay(milliseconds);
            Signal.Send(process.Id, Signal.Terminate);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            var (said, failed) = (await process.StandardOutput.ReadToEndAsync(patience.Token), await process.StandardError.ReadToEndAsync(patience.Token));
            await process.WaitForExitAsync(patience.Token);
            Assert.True(process.ExitCode == 0, $"{process.ExitCode}\n{first}\n{said}{failed}");
            Assert.Contains("Stopped: ", said, StringComparison.Ordinal);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            data.Delete(recursive: true);
        }
    }

    private static async Task<byte[]> PutAsync(S3Http client)
    {
        var body = new byte[Bytes];
        new Random(5).NextBytes(body);
        await client.MustAsync(HttpMethod.Put, "/bucket");
        await client.MustAsync(HttpMethod.Put, "/bucket/key", body);
        return body;
    }
}
