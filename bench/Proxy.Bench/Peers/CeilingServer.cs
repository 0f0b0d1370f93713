using System.Globalization;
using System.Net;

namespace Proxy.Bench.Peers;

/// <summary>The stub of <see cref="CeilingServer"/> as a child process: what the load generator reaches when the server does next to nothing.</summary>
internal sealed class CeilingServer(IPEndPoint listen, long dataBytes) : BenchServer("ceiling", listen)
{
    private ChildProcess? _process;

    public override string Description => "one-thread-a-core epoll loop that sends objects held in memory and verifies nothing: the client's limit, not a peer";

    public override IReadOnlyList<int> Processes => _process is null ? [] : [_process.Id];

    public override async Task StartAsync(CancellationToken cancellation)
    {
        var assembly = typeof(CeilingServer).Assembly.Location;
        _process = ChildProcess.Start(
            "dotnet",
            [assembly, "ceiling", "--port", Listen.Port.ToString(CultureInfo.InvariantCulture), "--data-size", dataBytes.ToString(CultureInfo.InvariantCulture)],
            AppContext.BaseDirectory);
        await WaitUntilListeningAsync(_process, cancellation);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }
    }
}
