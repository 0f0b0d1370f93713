using System.Net;
using System.Net.Sockets;

namespace Proxy.FunctionalTests.Backends;

/// <summary>The least that can stand between a client and a backend: bytes are passed on as they come, a thread for each direction of each connection, HTTP unknown.</summary>
/// <remarks>What it adds is what this machine takes for one more change of hands each way; whatever a proxy adds beyond it is the proxy's.</remarks>
internal sealed class BareRelay : IDisposable
{
    private const int BufferBytes = 256 << 10;

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _sockets = [];
    private readonly IPEndPoint _backend;

    public BareRelay(Uri backend)
    {
        _backend = new IPEndPoint(IPAddress.Loopback, backend.Port);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        Endpoint = new Uri($"http://{_listener.LocalEndPoint}/");
        Start(Accept);
    }

    public Uri Endpoint { get; }

    /// <summary>Ends its threads by taking their sockets away.</summary>
    public void Dispose()
    {
        _listener.Dispose();
        lock (_sockets)
        {
            _sockets.ForEach(static socket => socket.Dispose());
        }
    }

    private static void Start(Action work) => new Thread(() =>
    {
        try
        {
            work();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // One side has gone, or the relay has.
        }
    })
    { IsBackground = true }.Start();

    private void Accept()
    {
        while (true)
        {
            var client = _listener.Accept();
            var backend = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            lock (_sockets)
            {
                _sockets.AddRange([client, backend]);
            }

            backend.Connect(_backend);
            (client.NoDelay, backend.NoDelay) = (true, true);
            Start(() => Pass(client, backend));
            Start(() => Pass(backend, client));
        }
    }

    private static void Pass(Socket from, Socket to)
    {
        var buffer = new byte[BufferBytes];
        for (int got; (got = from.Receive(buffer)) > 0;)
        {
            for (var sent = 0; sent < got;)
            {
                sent += to.Send(buffer.AsSpan(sent, got - sent));
            }
        }

        to.Shutdown(SocketShutdown.Send);
    }
}
