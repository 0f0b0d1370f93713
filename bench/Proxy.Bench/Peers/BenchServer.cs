using System.Net;
using System.Net.Sockets;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Peers;

/// <summary>A server under measurement, started by the bench in a folder of its own.</summary>
/// <remarks>Started, measured and disposed by one command.</remarks>
internal abstract class BenchServer(string name, IPEndPoint listen) : IAsyncDisposable
{
    private const int LinesTold = 20;
    private static readonly TimeSpan LastWordsWithin = TimeSpan.FromSeconds(1);

    /// <summary>As reports call it.</summary>
    public string Name => name;

    public IPEndPoint Listen => listen;

    public Uri Endpoint => new($"http://{listen}");

    /// <summary>What it is and how it is tuned, in a line.</summary>
    public abstract string Description { get; }

    /// <summary>Process to measure, with its children; empty while it does not run.</summary>
    public IReadOnlyList<int> Processes => Process is { } process ? [process.Id] : [];

    /// <summary>It runs no more, and was not told to end.</summary>
    public bool HasEndedByItself => Process is { HasEndedByItself: true };

    /// <summary>What it is while it runs.</summary>
    protected virtual ChildProcess? Process => null;

    public abstract Task StartAsync(CancellationToken cancellation);

    public abstract ValueTask DisposeAsync();

    /// <summary>How long a server may take until it listens.</summary>
    protected virtual TimeSpan ReadyWithin => TimeSpan.FromSeconds(30);

    /// <summary>Which server ended, how, and what it wrote last; once <see cref="HasEndedByItself"/>.</summary>
    public async Task<string> DescribeEndAsync()
    {
        if (Process is not { } process)
        {
            return $"{name} on {listen} ended";
        }

        // What it wrote last may still be on its way; a child that outlives it may keep that open.
        using var timeout = new CancellationTokenSource(LastWordsWithin);
        await ((Task)process.WaitAsync(timeout.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return $"{name} on {listen} ended with {process.ExitCode} while it was in use{Wrote(process)}";
    }

    /// <summary>Waits until it listens; a process that does not is ended.</summary>
    /// <exception cref="RunFailedException">It ended, or took too long; with what it wrote.</exception>
    protected async Task WaitUntilListeningAsync(ChildProcess process, CancellationToken cancellation)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(ReadyWithin);
        try
        {
            while (!await IsListeningAsync(timeout.Token))
            {
                if (process.HasExited)
                {
                    // What it wrote last may still be on its way.
                    var code = await process.WaitAsync(timeout.Token);
                    throw new RunFailedException($"{name} ended with {code} before it listened on {listen}{Wrote(process)}");
                }

                // A process that is starting has no event to wait on.
                await Task.Delay(50, timeout.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // The time ran out in an attempt to connect or between two: both end here.
            var failure = new RunFailedException($"{name} did not listen on {listen} within {ReadyWithin.TotalSeconds:0} s{Wrote(process)}");
            await process.DisposeAsync();
            throw failure;
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    private static string Wrote(ChildProcess process)
    {
        var lines = process.Output.Trim().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return lines.Length == 0 ? ", and wrote nothing" : $"; it wrote{(lines.Length > LinesTold ? " last" : "")}:\n{string.Join('\n', lines.TakeLast(LinesTold))}";
    }

    private async Task<bool> IsListeningAsync(CancellationToken cancellation)
    {
        try
        {
            using var probe = new TcpClient();
            await probe.ConnectAsync(listen, cancellation);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
