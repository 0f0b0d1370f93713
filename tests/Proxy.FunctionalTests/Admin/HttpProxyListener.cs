using System.Net;
using System.Net.Sockets;

namespace Proxy.FunctionalTests.Admin;

/// <summary>What HTTP_PROXY may name: counts who comes and hangs up on them.</summary>
internal sealed class HttpProxyListener : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private int _connections;

    public HttpProxyListener()
    {
        _listener.Start();
        var url = $"http://{_listener.LocalEndpoint}";
        Environment = new Dictionary<string, string> { ["http_proxy"] = url, ["https_proxy"] = url, ["all_proxy"] = url, ["no_proxy"] = "" };
        _ = CountAsync();
    }

    /// <summary>Of a process that is told to go through it.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; }

    public int Connections => Volatile.Read(ref _connections);

    public void Dispose() => _listener.Dispose();

    private async Task CountAsync()
    {
        try
        {
            while (true)
            {
                using var socket = await _listener.AcceptSocketAsync();
                Interlocked.Increment(ref _connections);
            }
        }
        catch (Exception stopped) when (stopped is SocketException or InvalidOperationException)
        {
            // Disposed, while it waited for somebody or between two of them.
        }
    }
}
