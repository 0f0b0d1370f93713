using System.Globalization;
using System.Net;

namespace Proxy.Bench.Peers;

/// <summary><see cref="CeilingLoop"/> as a child process: what the load generator reaches when the server does next to nothing.</summary>
/// <param name="copiesNothing">By sendfile(2) instead of send(2).</param>
internal sealed class CeilingServer(IPEndPoint listen, long dataBytes, bool copiesNothing) : BenchServer(copiesNothing ? "sendfile" : "ceiling", listen)
{
    private ChildProcess? _process;

    public override string Description => copiesNothing
        ? "the same loop by sendfile(2): the kernel passes the pages themselves on, so that nothing is copied where the client discards"
        : "one-thread-a-core epoll loop that sends objects held in memory and verifies nothing: the client's limit, not a peer";

    protected override ChildProcess? Process => _process;

    public override async Task StartAsync(CancellationToken cancellation)
    {
        var assembly = typeof(CeilingServer).Assembly.Location;
        var (port, data) = (Listen.Port.ToString(CultureInfo.InvariantCulture), dataBytes.ToString(CultureInfo.InvariantCulture));
        string[] arguments = [assembly, "ceiling", "--port", port, "--data-size", data];
        _process = ChildProcess.Start("dotnet", copiesNothing ? [.. arguments, "--sendfile"] : arguments, AppContext.BaseDirectory);
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
