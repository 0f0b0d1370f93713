using System.ComponentModel;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Proxy.Server.Transport;

/// <summary>Takes connections and gives each to the loop that has the fewest.</summary>
internal sealed partial class SocketListener(Socket socket, EventLoop[] loops, ILogger logger) : IConnectionListener
{
    /// <summary>
    /// What the kernel may hold of an answer to a client nearby. Left to itself it takes up to 4 MiB a connection, which have left the processor's caches before the client
    /// reads them: twice the CPU of 16 MiB, a third more of 1 MiB, a tenth of 256 KiB (bench/results/serving-path). Where net.core.wmem_max is Linux's own, 208 KiB
    /// come of it, and do as well.
    /// </summary>
    internal const int NearSendBufferBytes = 256 << 10;

    /// <summary>A client so near still gets some 500 MB/s on one connection by such a buffer. For others the kernel finds out what it takes.</summary>
    private static readonly TimeSpan Near = TimeSpan.FromMicroseconds(500);

    private static readonly TimeSpan WaitForDescriptors = TimeSpan.FromMilliseconds(100);

    public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

    /// <returns>Null when nothing is listened for any more.</returns>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Socket? accepted = null;
            try
            {
                accepted = await socket.AcceptAsync(cancellationToken);
                accepted.NoDelay = true;
                if (IsNear(NativeSocket.RoundTrip(accepted)))
                {
                    accepted.SendBufferSize = NearSendBufferBytes;
                }

                var loop = loops.MinBy(static loop => loop.Count)!;
                var connection = new SocketConnection(accepted, loop);
                loop.Add(connection);
                return connection;
            }
            catch (ObjectDisposedException)
            {
                return null;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.OperationAborted)
            {
                return null;
            }
            catch (Exception e) when (e is Win32Exception and not SocketException or SocketException { SocketErrorCode: SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable })
            {
                accepted?.Dispose();
                LogNoDescriptors(e);
                await Task.Delay(WaitForDescriptors, cancellationToken);
            }
            catch (SocketException)
            {
                // It left before it was taken.
                accepted?.Dispose();
            }
        }
    }

    /// <param name="roundTrip">Zero when it is not known.</param>
    internal static bool IsNear(TimeSpan roundTrip) => roundTrip > TimeSpan.Zero && roundTrip <= Near;

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => UnbindAsync();

    [LoggerMessage(4104, LogLevel.Error, "A connection could not be taken: the process may have no more files and sockets open (raise LimitNOFILE or ulimit -n); the others go on")]
    private partial void LogNoDescriptors(Exception exception);
}
