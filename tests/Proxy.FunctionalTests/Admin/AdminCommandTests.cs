using System.Text.Json;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Admin;

/// <summary><c>admin …</c> as an operator runs it: a process of its own against a running proxy.</summary>
public sealed class AdminCommandTests
{
    [Fact]
    public async Task Commands_AgainstARunningProxy_DoWhatTheySay()
    {
        await using var fixture = await AdminFixture.StartAsync();
        await fixture.PutAsync("/a-bucket");
        await fixture.PutAsync("/a-bucket/files/insert_log/44/55/66/100/1", new byte[2_000_000]);

        var purge = await RunAsync(fixture, "purge", "a-bucket", "--collection", "44");
        Assert.Equal(0, purge.ExitCode);
        Assert.Contains("1 objects", purge.Output);
        var cold = await RunAsync(fixture, "check", "a-bucket/files/", "--json");
        Assert.Equal(0, JsonElement.Parse(cold.Output).GetProperty("percent").GetDouble());

        var warm = await RunAsync(fixture, "warm", "a-bucket/files/", "--rate", "64MiB");
        Assert.Equal(0, warm.ExitCode);
        Assert.Contains("completed: 1 of 1 objects", warm.Output);
        var hot = await RunAsync(fixture, "check", "a-bucket/files/");
        Assert.Contains("100.0 %", hot.Output);

        Assert.Contains("completed", (await RunAsync(fixture, "jobs")).Output);
        var explained = (await RunAsync(fixture, "explain", "a-bucket/files/insert_log/44/55/66/100/1")).Output;
        Assert.Contains("immutable", explained);
        Assert.Matches(@"filled\s+20\d\d-[0-9 :-]+Z, by a warm job", explained);
        Assert.Contains("memory", (await RunAsync(fixture, "stats")).Output);
        var pin = JsonElement.Parse((await RunAsync(fixture, "pin", "a-bucket", "--segment", "66", "--json")).Output).GetProperty("id").GetString()!;
        Assert.Contains("segment 66", (await RunAsync(fixture, "pins")).Output);
        Assert.Equal(0, (await RunAsync(fixture, "unpin", pin)).ExitCode);
        Assert.Equal(1, (await RunAsync(fixture, "unpin", pin)).ExitCode);
    }

    [Fact]
    public async Task Command_WithWrongKeysOrNoProxy_SaysSoAndFails()
    {
        await using var fixture = await AdminFixture.StartAsync();
        var wrong = await RunAsync(fixture, "stats", "--secret-key", "wrong-wrong");
        Assert.Equal(1, wrong.ExitCode);
        Assert.Contains("wrong", wrong.Output);
        var nobody = await RunAsync(fixture, "stats", "--admin", "127.0.0.1:1");
        Assert.Equal(1, nobody.ExitCode);
        Assert.Contains("does not answer", nobody.Output);
    }

    [Fact]
    public async Task Command_EnvironmentNamesAnHttpProxy_DoesNotShowItTheKeys()
    {
        await using var fixture = await AdminFixture.StartAsync();
        using var between = new HttpProxyListener();
        var stats = await RunAsync(fixture, between.Environment, "stats");
        Assert.True(stats.ExitCode == 0, stats.Output);
        Assert.Equal(0, between.Connections);
    }

    private static Task<ToolResult> RunAsync(AdminFixture fixture, params string[] arguments) => RunAsync(fixture, null, arguments);

    private static Task<ToolResult> RunAsync(AdminFixture fixture, IReadOnlyDictionary<string, string>? environment, params string[] arguments)
    {
        var server = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Server", Loopback.Configuration, "Proxy.Server.dll");
        string[] address = arguments.Contains("--admin") ? [] : ["--admin", fixture.Proxy.Admin.Authority];
        return ToolProcess.RunAsync("dotnet", [server, "admin", .. arguments, .. address], TimeSpan.FromMinutes(1), environment);
    }
}
