using System.Buffers;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Proxy.Bench.Http;

/// <summary>The server closed, or answered what is not HTTP, where bytes were due: what clients call a reset or a short body.</summary>
internal sealed class BrokenResponseException(string message) : IOException(message);

/// <summary>One keep-alive HTTP/1.1 connection: send a request, read its head, read its body to the end, repeat.</summary>
/// <remarks>
/// Raw rather than HttpClient so that the bytes on the wire are the ones the real clients send, a short body is seen as one,
/// and a response can be read into the caller's own buffer. Used by one request at a time; not thread-safe.
/// </remarks>
internal sealed class S3Connection : IDisposable
{
    private const int BufferBytes = 32 << 10;

    private readonly Socket _socket;
    private readonly Stream _stream;
    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _start;
    private int _end;
    private long _remaining;
    private bool _chunked;
    private bool _lastChunkSeen;
    private bool _closing;

    private S3Connection(Socket socket, Stream stream)
    {
        _socket = socket;
        _stream = stream;
    }

    /// <summary>False once the server asked to close, or a response was left half-read.</summary>
    public bool IsReusable { get; private set; } = true;

    public static async Task<S3Connection> OpenAsync(S3Target target, CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(target.Address, cancellation);
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (target.IsSecure)
            {
                var secure = new SslStream(stream);
                await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = target.Endpoint.Host }, cancellation);
                stream = secure;
            }

            return new S3Connection(socket, stream);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _stream.Dispose();
        _socket.Dispose();
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
        => await _stream.WriteAsync(bytes, cancellation);

    /// <param name="bodiless">The request was a HEAD: whatever Content-Length says, no body follows.</param>
    public async ValueTask<ResponseHead> ReadHeadAsync(bool bodiless, CancellationToken cancellation)
    {
        IsReusable = false;
        while (true)
        {
            var head = await ReadOneHeadAsync(cancellation);
            if (head.Status / 100 == 1)
            {
                continue;
            }

            var hasBody = !bodiless && head.Status is not (204 or 304);
            _chunked = hasBody && head.IsChunked;
            _lastChunkSeen = false;
            _remaining = hasBody ? head.ContentLength ?? 0 : 0;
            _closing = head.IsClosing;
            IsReusable = !_closing && !_chunked && _remaining == 0;
            return head;
        }
    }

    /// <summary>Reads some of the body; 0 is its end.</summary>
    /// <exception cref="BrokenResponseException">The connection ended before the body did.</exception>
    public async ValueTask<int> ReadBodyAsync(Memory<byte> into, CancellationToken cancellation)
    {
        if (_chunked && _remaining == 0 && !_lastChunkSeen)
        {
            await NextChunkAsync(cancellation);
        }

        if (_remaining == 0)
        {
            IsReusable = !_closing;
            return 0;
        }

        var want = (int)Math.Min(into.Length, _remaining);
        int read;
        if (_end > _start)
        {
            read = Math.Min(want, _end - _start);
            _buffer.AsMemory(_start, read).CopyTo(into);
            _start += read;
        }
        else
        {
            read = await _stream.ReadAsync(into[..want], cancellation);
            if (read == 0)
            {
                throw new BrokenResponseException($"short body: {_remaining} bytes were still to come");
            }
        }

        _remaining -= read;
        if (_remaining == 0)
        {
            if (_chunked)
            {
                await ReadLineAsync(cancellation);
            }
            else
            {
                IsReusable = !_closing;
            }
        }

        return read;
    }

    /// <summary>The rest of the body as text; for answers known to be small.</summary>
    public async ValueTask<string> ReadTextAsync(CancellationToken cancellation)
    {
        var text = new ArrayBufferWriter<byte>();
        int read;
        while ((read = await ReadBodyAsync(text.GetMemory(4096), cancellation)) > 0)
        {
            text.Advance(read);
        }

        return Encoding.UTF8.GetString(text.WrittenSpan);
    }

    private async ValueTask NextChunkAsync(CancellationToken cancellation)
    {
        var line = await ReadLineAsync(cancellation);
        var digits = line.Split(';')[0].Trim();
        if (!long.TryParse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out _remaining))
        {
            throw new BrokenResponseException($"not a chunk size: {digits}");
        }

        if (_remaining == 0)
        {
            _lastChunkSeen = true;
            while ((await ReadLineAsync(cancellation)).Length > 0)
            {
                // Trailers are of no interest here.
            }
        }
    }

    private async ValueTask<string> ReadLineAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8);
            if (length >= 0)
            {
                var line = Encoding.ASCII.GetString(_buffer, _start, length);
                _start += length + 2;
                return line;
            }

            await FillAsync(cancellation);
        }
    }

    private async ValueTask<ResponseHead> ReadOneHeadAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n\r\n"u8);
            if (length >= 0)
            {
                var head = ResponseHead.Parse(_buffer.AsSpan(_start, length));
                _start += length + 4;
                return head;
            }

            await FillAsync(cancellation);
        }
    }

    private async ValueTask FillAsync(CancellationToken cancellation)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            throw new BrokenResponseException($"a response head or chunk line over {BufferBytes} bytes");
        }

        var read = await _stream.ReadAsync(_buffer.AsMemory(_end), cancellation);
        if (read == 0)
        {
            throw new BrokenResponseException("connection closed before an answer");
        }

        _end += read;
    }
}
