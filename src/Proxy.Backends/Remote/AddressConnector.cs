using System.Net;
using System.Net.Sockets;

namespace Proxy.Backends.Remote;

/// <summary>Makes a backend's connections: every address of a name is tried, and one that keeps silent holds nobody up for long.</summary>
/// <remarks>
/// SocketsHttpHandler by itself waits for the first address until its ConnectTimeout, and begins with the same one the next time. Here the next address is tried beside
/// it when the last one has failed or been silent for <see cref="Patience"/> (RFC 8305 §5); the first connection that stands is taken. ConnectTimeout is over all. Thread-safe.
/// </remarks>
/// <param name="lookUp">Addresses of a name, in the order in which they are to be tried.</param>
internal sealed class AddressConnector(Func<string, CancellationToken, Task<IPAddress[]>> lookUp)
{
    /// <value>250 ms: RFC 8305's Connection Attempt Delay.</value>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    public static AddressConnector BySystem { get; } = new(static (host, cancellation) => Dns.GetHostAddressesAsync(host, cancellation));

    /// <exception cref="SocketException">Of the last address that failed, when all have.</exception>
    public async ValueTask<Stream> ConnectAsync(DnsEndPoint to, CancellationToken cancellation)
    {
        var addresses = await lookUp(to.Host, cancellation).ConfigureAwait(false);
        if (addresses.Length == 0)
        {
            throw new SocketException((int)SocketError.HostNotFound);
        }

        var running = new List<Task<Socket>>(addresses.Length);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            for (var next = 0; ;)
            {
                var isLast = true;
                if (next < addresses.Length)
                {
                    running.Add(ConnectOneAsync(addresses[next++], to.Port, over.Token));
                    isLast = next == addresses.Length;
                }

                var first = Task.WhenAny(running);
                if (!isLast)
                {
                    await ((Task)first).WaitAsync(Patience, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    if (!first.IsCompleted)
                    {
                        continue;
                    }
                }

                var ended = await first.ConfigureAwait(false);
                cancellation.ThrowIfCancellationRequested();
                running.Remove(ended);
                if (ended.IsCompletedSuccessfully || (running.Count == 0 && isLast))
                {
                    return new NetworkStream(await ended.ConfigureAwait(false), ownsSocket: true);
                }
            }
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            running.ForEach(static late => _ = DropAsync(late));
        }
    }

    private static async Task<Socket> ConnectOneAsync(IPAddress address, int port, CancellationToken cancellation)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(new IPEndPoint(address, port), cancellation).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task DropAsync(Task<Socket> late)
    {
        try
        {
            (await late.ConfigureAwait(false)).Dispose();
        }
        catch (Exception lost) when (lost is SocketException or OperationCanceledException)
        {
            // Another address was quicker.
        }
    }
}
