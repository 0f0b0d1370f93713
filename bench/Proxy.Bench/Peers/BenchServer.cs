using System.Net;
using System.Net.Sockets;

namespace Proxy.Bench.Peers;

/// <summary>A server under measurement: started by the bench in a folder of its own, or already running.</summary>
/// <remarks>Started, measured and disposed by one command.</remarks>
internal abstract class BenchServer(string name, IPEndPoint listen) : IAsyncDisposable
{
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(30);

    /// <summary>As reports call it.</summary>
    public string Name => name;

    public IPEndPoint Listen => listen;

    public Uri Endpoint => new($"http://{listen}");

    /// <summary>What it is and how it is tuned, in a line.</summary>
    public abstract string Description { get; }

    /// <summary>Process to measure, with its children; empty for a server that is not ours.</summary>
    public virtual IReadOnlyList<int> Processes => [];

    public abstract Task StartAsync(CancellationToken cancellation);

    public abstract ValueTask DisposeAsync();

    /// <summary>Waits until something listens.</summary>
    /// <param name="process">Whose end before that is an error; null when it is not ours.</param>
    protected async Task WaitUntilListeningAsync(ChildProcess? process, CancellationToken cancellation)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(ReadyWithin);
        while (true)
        {
            if (process is { HasExited: true })
            {
                throw new Workloads.RunFailedException($"{name} ended before it listened on {listen}:\n{process.Output}");
            }

            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(listen, timeout.Token);
                return;
            }
            catch (SocketException)
            {
                // A process that is starting has no event to wait on.
                await Task.Delay(50, timeout.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new Workloads.RunFailedException($"{name} did not listen on {listen} within {ReadyWithin.TotalSeconds:0} s:\n{process?.Output}");
            }
        }
    }
}

/// <summary>A server somebody else runs.</summary>
internal sealed class ExternalServer(string name, IPEndPoint listen, IReadOnlyList<int> processes) : BenchServer(name, listen)
{
    public override string Description => "already running";

    public override IReadOnlyList<int> Processes => processes;

    public override Task StartAsync(CancellationToken cancellation) => WaitUntilListeningAsync(null, cancellation);

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
