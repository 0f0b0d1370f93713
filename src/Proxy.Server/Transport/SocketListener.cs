using System.ComponentModel;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Proxy.Server.Transport;

/// <summary>Takes connections and gives each to the loop that has the fewest.</summary>
/// <param name="farCongestionControl">For clients from afar; null leaves them what they have.</param>
internal sealed partial class SocketListener(Socket socket, EventLoop[] loops, string? farCongestionControl, ILogger logger) : IConnectionListener
{
    /// <summary>A client so near still gets some 500 MB/s on one connection by <see cref="SocketOutput.NearSendBufferBytes"/>.</summary>
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
                var isNear = IsNear(NativeSocket.RoundTrip(accepted));
                if (!isNear && farCongestionControl is not null)
                {
                    CongestionControl.TrySet(accepted, farCongestionControl);
                }

                var loop = loops.MinBy(static loop => loop.Count)!;
                var connection = new SocketConnection(accepted, loop, isNear);
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
