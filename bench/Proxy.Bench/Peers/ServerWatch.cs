using System.Net.Sockets;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Peers;

/// <summary>Ends a run when one of its servers ends by itself: what is measured after that is of something else.</summary>
/// <remarks>Disposed before its servers. One run at a time.</remarks>
internal sealed class ServerWatch : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);

    /// <summary>Ctrl-C on a terminal reaches the servers too, perhaps before this process.</summary>
    private static readonly TimeSpan InterruptedWithin = TimeSpan.FromMilliseconds(500);

    private readonly Func<IEnumerable<BenchServer>> _servers;
    private readonly CancellationToken _interrupted;
    private readonly CancellationTokenSource _over;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watching;
    private volatile string? _failure;

    /// <param name="servers">Asked again each time: a cache may be another one meanwhile.</param>
    public ServerWatch(Func<IEnumerable<BenchServer>> servers, CancellationToken cancellation)
    {
        _servers = servers;
        _interrupted = cancellation;
        _over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _watching = WatchAsync();
    }

    /// <summary>Runs what is cancelled when a server ends, or from outside.</summary>
    /// <returns>False when it was.</returns>
    public async Task<bool> RunAsync(Func<CancellationToken, Task> work)
    {
        try
        {
            await work(_over.Token);
        }
        catch (OperationCanceledException) when (_over.IsCancellationRequested)
        {
            return false;
        }
        catch (Exception error) when (error is RunFailedException or IOException or SocketException)
        {
            // What fails for want of a server is not told as if it were by itself.
            if (!await HasEndedAsync() && !_interrupted.IsCancellationRequested)
            {
                throw;
            }

            return false;
        }

        return !await HasEndedAsync() && !_interrupted.IsCancellationRequested;
    }

    /// <exception cref="RunFailedException">A server ended: which, how, and what it wrote last.</exception>
    public void ThrowIfEnded() => RunFailedException.Unless(_failure is null, _failure ?? "");

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
        _over.Dispose();
    }

    private async Task WatchAsync()
    {
        using var clock = new PeriodicTimer(Every);
        try
        {
            while (await clock.WaitForNextTickAsync(_stop.Token))
            {
                if (await HasEndedAsync())
                {
                    await _over.CancelAsync();
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }

    private async Task<bool> HasEndedAsync()
    {
        if (_failure is null && _servers().FirstOrDefault(server => server.HasEndedByItself) is { } ended)
        {
            var how = await ended.DescribeEndAsync();
            await Task.Delay(InterruptedWithin, _interrupted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!_interrupted.IsCancellationRequested)
            {
                _failure = how;
            }
        }

        return _failure is not null;
    }
}
