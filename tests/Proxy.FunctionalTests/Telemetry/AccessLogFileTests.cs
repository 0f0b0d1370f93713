using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>The access log as an operator sees it: rotated by moving the file and SIGHUP, or on standard output.</summary>
public sealed class AccessLogFileTests
{
    [Fact]
    public async Task AccessLog_MovedAwayAndHungUp_GoesOnInANewFile()
    {
        var folder = Directory.CreateTempSubdirectory("proxy-rotate-").FullName;
        var log = Path.Combine(folder, "access.log");
        await using var proxy = await ProxyProcess.StartAsync(["--set", $"Telemetry:AccessLog={log}"]);
        using var client = new SignedClient(proxy.Endpoint);
        await client.SendAsync(HttpMethod.Put, "/one");
        await Patience.UntilAsync(() => File.ReadAllText(log).Contains("\"bucket\":\"one\"", StringComparison.Ordinal), () => $"no line\n{proxy.LogTail}");
        File.Move(log, log + ".1");
        proxy.HangUp();

        // The signal is seen with the next line written after it arrived.
        await Patience.UntilAsync(
            async () =>
            {
                await client.SendAsync(HttpMethod.Put, "/two");
                return File.Exists(log) && File.ReadAllText(log).Contains("\"bucket\":\"two\"", StringComparison.Ordinal);
            },
            () => $"no new file\n{proxy.LogTail}");
        Assert.Equal(0, await proxy.StopAsync());
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task AccessLog_Dash_IsStandardOutput()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--set", "Telemetry:AccessLog=-"]);
        using var client = new SignedClient(proxy.Endpoint);
        await client.SendAsync(HttpMethod.Put, "/one");
        await Patience.UntilAsync(() => proxy.Log.Contains("\"operation\":\"CreateBucket\",\"bucket\":\"one\"", StringComparison.Ordinal), () => proxy.LogTail);
    }
}
