using System.Net;
using Proxy.Bench.Peers;
using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

/// <summary>A server that does not come up is told with what it wrote, and ended.</summary>
public sealed class BenchServerTests
{
    [Fact]
    public async Task Start_NeverListening_IsToldWithItsOutputAndEnded()
    {
        await using var server = new ShellServer("echo thinking; exec sleep 60", TimeSpan.FromSeconds(1));
        var failure = await Assert.ThrowsAsync<RunFailedException>(() => server.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains("did not listen", failure.Message, StringComparison.Ordinal);
        Assert.Contains("thinking", failure.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists($"/proc/{server.ProcessId}"));
    }

    [Fact]
    public async Task Start_Ended_IsToldWithItsOutput()
    {
        await using var server = new ShellServer("echo I cannot >&2; exit 3", TimeSpan.FromSeconds(30));
        var failure = await Assert.ThrowsAsync<RunFailedException>(() => server.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains("ended with 3", failure.Message, StringComparison.Ordinal);
        Assert.Contains("I cannot", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_CancelledFromOutside_IsACancellation()
    {
        await using var server = new ShellServer("exec sleep 60", TimeSpan.FromSeconds(30));
        using var cancellation = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => server.StartAsync(cancellation.Token));
        Assert.False(Directory.Exists($"/proc/{server.ProcessId}"));
    }

    /// <summary>The kernel ends it with the thread that started it: that must not be one that comes and goes.</summary>
    [Fact]
    public async Task Child_OfAThreadThatIsOver_GoesOn()
    {
        ChildProcess? child = null;
        var isUp = false;
        var thread = new Thread(() =>
        {
            child = ChildProcess.Start("/bin/sh", ["-c", "echo up; exec sleep 60"], "/");
            isUp = SpinWait.SpinUntil(() => child.Output.Contains("up", StringComparison.Ordinal), TimeSpan.FromMinutes(1));
        });
        thread.Start();
        thread.Join();
        await using (child)
        {
            Assert.True(isUp, "it said nothing");
            await Task.Delay(TimeSpan.FromMilliseconds(500), TestContext.Current.CancellationToken);
            Assert.False(child!.HasEndedByItself, "it ended");
        }
    }

    // Port 1 of loopback: nothing listens there.
    private sealed class ShellServer(string script, TimeSpan readyWithin) : BenchServer("shell", new IPEndPoint(IPAddress.Loopback, 1))
    {
        private ChildProcess? _process;

        public int ProcessId { get; private set; }

        public override string Description => "";

        protected override TimeSpan ReadyWithin => readyWithin;

        public override Task StartAsync(CancellationToken cancellation)
        {
            _process = ChildProcess.Start("/bin/sh", ["-c", script], "/");
            ProcessId = _process.Id;
            return WaitUntilListeningAsync(_process, cancellation);
        }

        public override ValueTask DisposeAsync() => _process?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
