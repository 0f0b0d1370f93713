using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Proxy.Bench.Http;

/// <summary>What a discarded response was: enough to count and to check, nothing of the body.</summary>
internal readonly record struct DiscardedResponse(int Status, long BodyBytes, string? CacheOutcome);

/// <summary>A blocking HTTP/1.1 connection that throws bodies away in the kernel: the load generator must not be the bottleneck.</summary>
/// <remarks>
/// recv with MSG_TRUNC (tcp(7)) drops the bytes without copying them here. Plain http on Linux only. One thread's own.
/// </remarks>
internal sealed partial class LoadConnection : IDisposable
{
    private const int MsgTrunc = 0x20;
    private const int MsgWaitAll = 0x100;
    private const int DiscardBytes = 1 << 20;
    private const int HeadBytes = 4 << 10;

    private readonly Socket _socket;
    private readonly byte[] _head = new byte[HeadBytes];

    // MSG_TRUNC writes nothing into it; it is there so that no kernel that did could write past it.
    private readonly byte[] _discard = GC.AllocateUninitializedArray<byte>(DiscardBytes, pinned: true);

    public LoadConnection(S3Target target)
    {
        _socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 60_000, SendTimeout = 60_000 };
        try
        {
            _socket.Connect(target.Address);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
    }

    public void Dispose() => _socket.Dispose();

    /// <exception cref="BrokenResponseException">The server closed early, or its answer has no Content-Length to count by.</exception>
    public DiscardedResponse Exchange(ReadOnlySpan<byte> request, bool bodiless)
    {
        for (var rest = request; rest.Length > 0;)
        {
            rest = rest[_socket.Send(rest)..];
        }

        var received = 0;
        int headLength;
        while ((headLength = _head.AsSpan(0, received).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (received == HeadBytes)
            {
                throw new BrokenResponseException($"a response head over {HeadBytes} bytes");
            }

            var read = _socket.Receive(_head.AsSpan(received));
            if (read == 0)
            {
                throw new BrokenResponseException("connection closed before an answer");
            }

            received += read;
        }

        var head = Encoding.ASCII.GetString(_head, 0, headLength);
        var status = int.Parse(head.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture);
        var length = bodiless || status is 204 or 304 ? 0
            : long.TryParse(Header(head, "\r\nContent-Length:"), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value
            : throw new BrokenResponseException("an answer without Content-Length");
        var outcome = Header(head, "\r\nX-Cache:");
        Discard(length - (received - headLength - 4));
        return new DiscardedResponse(status, length, outcome.IsEmpty ? null : Known(outcome));
    }

    private unsafe void Discard(long bytes)
    {
        fixed (byte* buffer = _discard)
        {
            while (bytes > 0)
            {
                var read = Receive(_socket.SafeHandle, buffer, (nuint)Math.Min(bytes, DiscardBytes), MsgTrunc | MsgWaitAll);
                if (read <= 0)
                {
                    throw new BrokenResponseException($"short body: {bytes} bytes were still to come");
                }

                bytes -= read;
            }
        }
    }

    private static ReadOnlySpan<char> Header(string head, string name)
    {
        var start = head.IndexOf(name, StringComparison.OrdinalIgnoreCase);
        if (start < 0)
        {
            return default;
        }

        var value = head.AsSpan(start + name.Length);
        var end = value.IndexOf('\r');
        return (end < 0 ? value : value[..end]).Trim();
    }

    // The outcomes there are, so that a hit allocates no string of its own.
    private static string Known(ReadOnlySpan<char> outcome) => outcome switch
    {
        "HIT-MEMORY" => "HIT-MEMORY",
        "HIT-NVME" => "HIT-NVME",
        "MISS" => "MISS",
        _ => outcome.ToString(),
    };

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static unsafe partial nint Receive(SafeHandle socket, byte* buffer, nuint length, int flags);
}
