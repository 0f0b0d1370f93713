using System.Net;
using System.Net.Sockets;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Free ports of 127.0.0.1, and where the repository is.</summary>
internal static class Loopback
{
    /// <summary>The repository's root, found from where the tests were built (artifacts/bin/PROJECT/CONFIGURATION).</summary>
    public static string Repository { get; } = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "..", ".."));

    /// <summary>release or debug, as the tests themselves were built.</summary>
    public static string Configuration { get; } = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));

    // Below the range that the kernel takes ports of outgoing connections from (32768 on): a port found free there is often somebody's
    // by the time a server has started. Walked from a random start, so that two test runs do not meet.
    private const int LowestPort = 15_000;
    private const int PortCount = 17_000;
    private static int _nextPort = Random.Shared.Next(PortCount);

    /// <summary>The first of <paramref name="count"/> neighbouring ports that were all free a moment ago; nobody is given them twice.</summary>
    public static int FreePorts(int count = 1)
    {
        for (var attempt = 0; attempt < 100; attempt++)
        {
            var sockets = new List<Socket>();
            try
            {
                // The sum after adding is the next caller's first port, not ours: taken for it, two callers of different counts get one port together.
                var first = LowestPort + (((Interlocked.Add(ref _nextPort, count) - count) & int.MaxValue) % PortCount);
                for (var i = 0; i < count; i++)
                {
                    Bind(first + i, sockets);
                }

                return first;
            }
            catch (Exception error) when (error is SocketException or ArgumentOutOfRangeException)
            {
                // A neighbour is taken: another start.
            }
            finally
            {
                sockets.ForEach(socket => socket.Dispose());
            }
        }

        throw new InvalidOperationException($"no {count} neighbouring free ports found");
    }

    private static void Bind(int port, List<Socket> sockets)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        sockets.Add(socket);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
    }
}
