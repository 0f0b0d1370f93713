using System.Net;
using System.Net.Sockets;

namespace Proxy.FunctionalTests.Faults;

/// <summary>An address where nobody answers: its queue of connections is full, and Linux drops every further one without a word.</summary>
internal sealed class SilentListener : IDisposable
{
    private readonly List<Socket> _sockets = [];

    public SilentListener(IPAddress address, int port)
    {
        var listener = New();
        listener.Bind(new IPEndPoint(address, port));
        listener.Listen(0);
        for (var i = 0; i < 4; i++)
        {
            _ = New().ConnectAsync(address, port);
        }
    }

    public void Dispose() => _sockets.ForEach(static socket => socket.Dispose());

    private Socket New()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(socket);
        return socket;
    }
}
