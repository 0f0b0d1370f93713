using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Proxy.Bench.Shape;

/// <summary>One client connection of a <see cref="ShapedBackend"/> and the server connection it has for itself.</summary>
internal sealed class ShapedConnection(ShapedBackend owner, Socket client, IPEndPoint server) : IDisposable
{
    private const string SlowDownBody = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";

    private static readonly byte[] SlowDown = Encoding.ASCII.GetBytes(
        $"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nContent-Length: {SlowDownBody.Length}\r\nConnection: close\r\n\r\n{SlowDownBody}");

    private readonly Socket _server = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    /// <summary>Cuts both ends; any thread.</summary>
    public void Abort()
    {
        client.Dispose();
        _server.Dispose();
    }

    public void Dispose() => Abort();

    public async Task RunAsync(CancellationToken cancellation)
    {
        client.NoDelay = true;
        await _server.ConnectAsync(server, cancellation);
        var (near, far) = (new HttpPipe(client), new HttpPipe(_server));
        while (await near.TryReadHeadAsync(cancellation) is { } request)
        {
            if (owner.Refuses())
            {
                await Task.Delay(owner.Profile.FirstByte, cancellation);
                await client.SendAsync(SlowDown, cancellation);
                client.Shutdown(SocketShutdown.Send);
                // Read to its end what is still coming: closing on it would reset the connection before the answer is seen.
                while (await client.ReceiveAsync(new byte[64 << 10], cancellation) > 0)
                {
                }

                return;
            }

            await _server.SendAsync(request.Bytes, cancellation);
            HttpHead? answer = null;
            if (request.ExpectsContinue)
            {
                answer = await far.TryReadHeadAsync(cancellation) ?? throw new IOException("no answer");
                if (answer.Status == 100)
                {
                    await client.SendAsync(answer.Bytes, cancellation);
                    answer = null;
                }
            }

            if (answer is null)
            {
                await near.CopyBodyAsync(request, _server, owner.Profile.BytesPerSecond, cancellation);
                answer = await far.TryReadHeadAsync(cancellation) ?? throw new IOException("no answer");
            }

            if (owner.Profile.FirstByte > TimeSpan.Zero)
            {
                await Task.Delay(owner.Profile.FirstByte, cancellation);
            }

            await client.SendAsync(answer.Bytes, cancellation);
            if (!request.IsHead && answer.Status is not (204 or 304))
            {
                owner.CountBytes(await far.CopyBodyAsync(answer, client, owner.Profile.BytesPerSecond, cancellation));
            }

            if (answer.IsClosing)
            {
                return;
            }
        }
    }
}

/// <summary>A message's head, as it came, and what has to be known of it to find the end of its body.</summary>
internal sealed class HttpHead
{
    public HttpHead(byte[] bytes)
    {
        Bytes = bytes;
        var lines = Encoding.Latin1.GetString(bytes).Split("\r\n");
        IsHead = lines[0].StartsWith("HEAD ", StringComparison.Ordinal);
        Status = lines[0].StartsWith("HTTP/", StringComparison.Ordinal) ? int.Parse(lines[0].AsSpan(9, 3), CultureInfo.InvariantCulture) : 0;
        foreach (var line in lines.AsSpan(1))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0)
            {
                continue;
            }

            var value = line.AsSpan(colon + 1).Trim();
            switch (line[..colon].ToLowerInvariant())
            {
                case "content-length": ContentLength = long.Parse(value, CultureInfo.InvariantCulture); break;
                case "transfer-encoding": IsChunked = value.Contains("chunked", StringComparison.OrdinalIgnoreCase); break;
                case "expect": ExpectsContinue = true; break;
                case "connection": IsClosing = value.Equals("close", StringComparison.OrdinalIgnoreCase); break;
            }
        }
    }

    public byte[] Bytes { get; }

    public bool IsHead { get; }

    public int Status { get; }

    public long ContentLength { get; }

    public bool IsChunked { get; }

    public bool ExpectsContinue { get; }

    public bool IsClosing { get; }
}

/// <summary>Reads HTTP/1.1 messages from a socket and passes their bodies on at a bounded rate.</summary>
internal sealed class HttpPipe(Socket socket)
{
    private readonly byte[] _buffer = new byte[256 << 10];
    private int _start;
    private int _end;

    /// <returns>Null when the other end closed between messages.</returns>
    public async Task<HttpHead?> TryReadHeadAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n\r\n"u8);
            if (length >= 0)
            {
                var head = _buffer.AsSpan(_start, length + 4).ToArray();
                _start += length + 4;
                return new HttpHead(head);
            }

            if (!await FillAsync(cancellation))
            {
                return null;
            }
        }
    }

    /// <returns>Bytes of body.</returns>
    public async Task<long> CopyBodyAsync(HttpHead head, Socket to, double bytesPerSecond, CancellationToken cancellation)
    {
        var pace = new Pace(bytesPerSecond);
        if (!head.IsChunked)
        {
            await CopyAsync(head.ContentLength, to, pace, cancellation);
            return head.ContentLength;
        }

        var total = 0L;
        while (true)
        {
            var line = await ReadLineAsync(cancellation);
            await to.SendAsync(line, cancellation);
            var length = long.Parse(Encoding.ASCII.GetString(line).Split(';')[0].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (length == 0)
            {
                do
                {
                    line = await ReadLineAsync(cancellation);
                    await to.SendAsync(line, cancellation);
                }
                while (line.Length > 2);
                return total;
            }

            await CopyAsync(length + 2, to, pace, cancellation);
            total += length;
        }
    }

    private async Task CopyAsync(long length, Socket to, Pace pace, CancellationToken cancellation)
    {
        while (length > 0)
        {
            if (_end == _start && !await FillAsync(cancellation))
            {
                throw new IOException("a message ended early");
            }

            var count = (int)Math.Min(length, Math.Min(_end - _start, pace.MostBytes));
            await to.SendAsync(_buffer.AsMemory(_start, count), cancellation);
            _start += count;
            length -= count;
            await pace.WaitAsync(count, cancellation);
        }
    }

    private async Task<byte[]> ReadLineAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var length = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            if (length >= 0)
            {
                var line = _buffer.AsSpan(_start, length + 1).ToArray();
                _start += length + 1;
                return line;
            }

            if (!await FillAsync(cancellation))
            {
                throw new IOException("a message ended early");
            }
        }
    }

    private async Task<bool> FillAsync(CancellationToken cancellation)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        var read = await socket.ReceiveAsync(_buffer.AsMemory(_end), cancellation);
        _end += read;
        return read > 0;
    }

    private sealed class Pace(double bytesPerSecond)
    {
        private readonly long _started = Stopwatch.GetTimestamp();
        private long _bytes;

        public int MostBytes => bytesPerSecond > 0 ? 64 << 10 : int.MaxValue;

        public async ValueTask WaitAsync(int bytes, CancellationToken cancellation)
        {
            if (bytesPerSecond <= 0)
            {
                return;
            }

            _bytes += bytes;
            var ahead = TimeSpan.FromSeconds(_bytes / bytesPerSecond) - Stopwatch.GetElapsedTime(_started);
            // A timer is no finer than a millisecond; over a body the rate comes out right all the same.
            if (ahead > TimeSpan.FromMilliseconds(2))
            {
                await Task.Delay(ahead, cancellation);
            }
        }
    }
}
