using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Proxy.Bench.Shape;

/// <summary>Reads HTTP/1.1 messages from a socket and passes their bodies on at a bounded rate.</summary>
/// <remarks>
/// What of a body came with its head is sent with it; the rest of a long one goes from socket to socket inside the kernel (<see cref="KernelPipe"/>). Not
/// thread-safe; the two pipes of a connection share one <see cref="KernelPipe"/>, which they use in turn.
/// </remarks>
internal sealed class HttpPipe(Socket socket, Func<KernelPipe?> kernel)
{
    private const int BufferBytes = 64 << 10;

    /// <summary>Below it a receive and a send are fewer system calls than two splices.</summary>
    private const int SpliceFrom = 32 << 10;

    private readonly byte[] _buffer = new byte[BufferBytes];
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
                var head = HttpHead.Parse(_buffer.AsMemory(_start, length + 4));
                _start += length + 4;
                return head;
            }

            if (!await FillAsync(cancellation))
            {
                return null;
            }
        }
    }

    /// <summary>Passes a head and its body on.</summary>
    /// <param name="head">The last one read here, or in its place another that is to be sent.</param>
    /// <param name="hasBody">False where none follows, whatever the head says.</param>
    /// <returns>Bytes of body.</returns>
    public async Task<long> ForwardAsync(HttpHead head, bool hasBody, Socket to, double bytesPerSecond, CancellationToken cancellation)
    {
        var pace = new Pace(bytesPerSecond);
        if (!hasBody || head.IsChunked)
        {
            await to.SendAsync(head.Bytes, cancellation);
            return hasBody ? await CopyChunksAsync(to, pace, cancellation) : 0;
        }

        var together = (int)Math.Min(head.ContentLength, Math.Min(_end - _start, pace.MostBytes));
        await to.SendAsync(WithBody(head.Bytes, together), cancellation);
        await pace.WaitAsync(together, cancellation);
        await CopyAsync(head.ContentLength - together, to, pace, cancellation);
        return head.ContentLength;
    }

    /// <summary>Passes only the body on, of a request whose head went ahead.</summary>
    public async Task ForwardBodyAsync(HttpHead head, Socket to, double bytesPerSecond, CancellationToken cancellation)
    {
        var pace = new Pace(bytesPerSecond);
        if (head.IsChunked)
        {
            await CopyChunksAsync(to, pace, cancellation);
        }
        else
        {
            await CopyAsync(head.ContentLength, to, pace, cancellation);
        }
    }

    /// <summary>The head and what follows it in the buffer, in one piece where it lies there in one piece.</summary>
    private ReadOnlyMemory<byte> WithBody(ReadOnlyMemory<byte> head, int body)
    {
        var bodyFrom = _start;
        _start += body;
        if (body == 0)
        {
            return head;
        }

        if (bodyFrom >= head.Length && _buffer.AsSpan(bodyFrom - head.Length, head.Length) == head.Span)
        {
            return _buffer.AsMemory(bodyFrom - head.Length, head.Length + body);
        }

        var joined = new byte[head.Length + body];
        head.CopyTo(joined);
        _buffer.AsSpan(bodyFrom, body).CopyTo(joined.AsSpan(head.Length));
        return joined;
    }

    private async Task<long> CopyChunksAsync(Socket to, Pace pace, CancellationToken cancellation)
    {
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
            int count;
            if (_end == _start && length >= SpliceFrom && kernel() is { } pipe)
            {
                count = await pipe.MoveAsync(socket, to, Math.Min(length, pace.MostBytes), _buffer, cancellation);
            }
            else
            {
                if (_end == _start && !await FillAsync(cancellation))
                {
                    throw new IOException("a message ended early");
                }

                count = (int)Math.Min(length, Math.Min(_end - _start, pace.MostBytes));
                await to.SendAsync(_buffer.AsMemory(_start, count), cancellation);
                _start += count;
            }

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

        if (_end == _buffer.Length)
        {
            throw new IOException($"a head or chunk line over {BufferBytes} bytes");
        }

        var read = await socket.ReceiveAsync(_buffer.AsMemory(_end), cancellation);
        _end += read;
        return read > 0;
    }

    private sealed class Pace(double bytesPerSecond)
    {
        private readonly long _started = Stopwatch.GetTimestamp();
        private long _bytes;

        /// <summary>Half a millisecond's worth: a quarter of what is waited out.</summary>
        public int MostBytes { get; } = bytesPerSecond > 0 ? Math.Max(64 << 10, (int)(bytesPerSecond / 2000)) : int.MaxValue;

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
