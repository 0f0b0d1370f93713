using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary>A block of ports on 127.0.0.1 for the servers that a command starts.</summary>
internal static class Ports
{
    /// <summary>What a <see cref="Milvus.BenchStack"/> takes.</summary>
    public const int OfAStack = 8;

    /// <summary>What one takes that has nginx as well.</summary>
    public const int OfAStackWithNginx = 12;

    public static Option<int> Option(int byDefault) => new("--ports") { Description = "First of the ports to listen on, on 127.0.0.1", DefaultValueFactory = _ => byDefault };

    /// <exception cref="RunFailedException">Something listens on one of them, or there are not so many.</exception>
    public static void RequireFree(int first, int count)
    {
        var last = first + count - 1;
        RunFailedException.Unless(first is > 0 and <= IPEndPoint.MaxPort && last <= IPEndPoint.MaxPort, $"--ports {first}: {count} ports are needed from there on, and they end at {IPEndPoint.MaxPort}");
        for (var port = first; port <= last; port++)
        {
            RunFailedException.Unless(IsFree(port), $"--ports {first}: 127.0.0.1:{port} is in use, {count} free ports are needed from there on");
        }
    }

    private static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            socket.Listen();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
