using System.Net.Sockets;
using System.Text;

namespace Proxy.Server.Transport;

/// <summary>Which congestion control connections have: clients nearby none that paces.</summary>
/// <remarks>
/// BBR sends by a timer, at the rate that it has found. Within a machine or a rack there is nothing to find: the timers are what large bodies then cost, three times the CPU
/// of 1 MiB and more (bench/results/serving-path). Where it is the system's choice, listening is done with another, which connections have from their first byte on (one that began
/// paced stays so), and clients from afar are given the system's.
/// </remarks>
internal static class CongestionControl
{
    private const int ProtocolTcp = 6;
    private const int TcpCongestion = 13;
    private const int NameBytes = 16;

    // What any system's users may choose, the better one first.
    private static readonly string[] Unpaced = ["cubic", "reno"];

    /// <summary>To be called before listening.</summary>
    /// <returns>The system's own choice, for clients from afar; null when nothing was changed.</returns>
    public static string? LeaveUnpaced(Socket listening)
    {
        var own = Of(listening);
        return own?.StartsWith("bbr", StringComparison.Ordinal) == true && Array.Exists(Unpaced, name => TrySet(listening, name)) ? own : null;
    }

    /// <returns>Null where the system does not tell.</returns>
    public static string? Of(Socket socket)
    {
        try
        {
            Span<byte> name = stackalloc byte[NameBytes];
            var length = socket.GetRawSocketOption(ProtocolTcp, TcpCongestion, name);
            return Encoding.ASCII.GetString(name[..length].TrimEnd((byte)0));
        }
        catch (SocketException)
        {
            return null;
        }
    }

    /// <returns>False when this user may not have it, or the system does not.</returns>
    public static bool TrySet(Socket socket, string name)
    {
        try
        {
            socket.SetRawSocketOption(ProtocolTcp, TcpCongestion, Encoding.ASCII.GetBytes(name));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
