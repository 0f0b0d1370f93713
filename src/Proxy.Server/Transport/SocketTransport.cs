using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;

namespace Proxy.Server.Transport;

/// <summary>Kestrel's way to the network on plain connections, in place of its own: one <see cref="EventLoop"/> a processor, blocks sent from where they lie.</summary>
internal sealed class SocketTransport(int backlog, TimeSpan stallTimeout, TimeSpan keepAlive, bool zeroCopy, ILoggerFactory loggers) : IConnectionListenerFactory, IDisposable
{
    private readonly ILogger _logger = loggers.CreateLogger<SocketTransport>();
    private readonly Lazy<EventLoop[]> _loops = new(() =>
    {
        var logger = loggers.CreateLogger<EventLoop>();
        return [.. Enumerable.Range(0, Environment.ProcessorCount).Select(number => new EventLoop(number, stallTimeout, keepAlive, zeroCopy, logger))];
    });

    /// <summary>The structures of <see cref="NativeSocket"/> and <see cref="Epoll"/> are 64-bit Linux's.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    /// <summary>Bytes sent by lending their memory to the kernel, so far.</summary>
    public long LentBytes => _loops.IsValueCreated ? _loops.Value.Sum(static loop => loop.LentBytes) : 0;

    /// <exception cref="SocketException">The address cannot be listened on.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        string? farCongestionControl;
        try
        {
            // As Kestrel's own: [::] is every address, of IPv4 too.
            if (endpoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            farCongestionControl = CongestionControl.LeaveUnpaced(socket);
            socket.Bind(endpoint);
            socket.Listen(backlog);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            socket.Dispose();
            throw new AddressInUseException(e.Message, e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        return new ValueTask<IConnectionListener>(new SocketListener(socket, _loops.Value, farCongestionControl, _logger));
    }

    public void Dispose()
    {
        if (_loops.IsValueCreated)
        {
            Array.ForEach(_loops.Value, loop => loop.Dispose());
        }
    }
}
