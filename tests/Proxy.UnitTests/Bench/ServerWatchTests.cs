using System.Net;
using Proxy.Bench.Peers;
using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

/// <summary>A server that ends in the middle of a run ends the run, and is named.</summary>
public sealed class ServerWatchTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Run_ServerEnds_IsCancelledAndToldWithExitCodeAndLastLines()
    {
        await using var server = new ShellServer("for line in $(seq 1 40); do echo line $line; done; exit 7");
        await using var watch = new ServerWatch(() => [server], TestContext.Current.CancellationToken);
        Assert.False(await watch.RunAsync(token => Task.Delay(Limit, token)));
        var failure = Assert.Throws<RunFailedException>(watch.ThrowIfEnded);
        Assert.Contains("shell on 127.0.0.1:1 ended with 7", failure.Message, StringComparison.Ordinal);
        Assert.EndsWith("line 40", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("line 20\n", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_FailsForWantOfAServer_IsToldByTheServer()
    {
        await using var server = new ShellServer("kill -9 $$");
        await server.WaitAsync();
        await using var watch = new ServerWatch(() => [server], TestContext.Current.CancellationToken);
        Assert.False(await watch.RunAsync(_ => throw new IOException("Broken pipe")));
        Assert.Contains("ended with 137", Assert.Throws<RunFailedException>(watch.ThrowIfEnded).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_ServerToldToEnd_GoesOn()
    {
        await using var server = new ShellServer("exec sleep 60");
        await using var watch = new ServerWatch(() => [server], TestContext.Current.CancellationToken);
        Assert.True(await watch.RunAsync(async token =>
        {
            await server.DisposeAsync();
            await Task.Delay(TimeSpan.FromSeconds(1), token);
        }));
        watch.ThrowIfEnded();
    }

    [Fact]
    public async Task Run_InterruptedWithItsServers_IsAnInterruption()
    {
        await using var server = new ShellServer("exit 130");
        await server.WaitAsync();
        using var interrupted = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        await using var watch = new ServerWatch(() => [server], interrupted.Token);
        Assert.False(await watch.RunAsync(token => Task.Delay(Limit, token)));
        watch.ThrowIfEnded();
    }

    [Fact]
    public async Task Run_FailsByItself_Throws()
    {
        await using var watch = new ServerWatch(() => [], TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<IOException>(() => watch.RunAsync(_ => throw new IOException("its own")));
    }

    private sealed class ShellServer(string script) : BenchServer("shell", new IPEndPoint(IPAddress.Loopback, 1))
    {
        private readonly ChildProcess _process = ChildProcess.Start("/bin/sh", ["-c", script], "/");

        public override string Description => "";

        protected override ChildProcess? Process => _process;

        public Task<int> WaitAsync() => _process.WaitAsync(TestContext.Current.CancellationToken);

        public override Task StartAsync(CancellationToken cancellation) => Task.CompletedTask;

        public override ValueTask DisposeAsync() => _process.DisposeAsync();
    }
}
