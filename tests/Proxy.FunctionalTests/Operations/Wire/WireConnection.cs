using System.Buffers;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Proxy.FunctionalTests.Operations.Wire;

/// <summary>One HTTP/1.1 connection, byte for byte as written here: nothing normalises a path, adds a header or repeats a request.</summary>
/// <remarks>Used by one test at a time. Every wait is bounded, so a server that does not answer fails a test instead of hanging it.</remarks>
internal sealed class WireConnection : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Socket _socket;
    private readonly Stream _stream;
    private readonly byte[] _buffer = new byte[64 << 10];
    private int _start;
    private int _end;

    private WireConnection(Socket socket, Stream stream)
    {
        _socket = socket;
        _stream = stream;
    }

    /// <param name="receiveBufferBytes">A small one, to be a client that stops reading; null is the kernel's own.</param>
    public static async Task<WireConnection> OpenAsync(Uri endpoint, int? receiveBufferBytes = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBufferBytes is { } bytes)
        {
            socket.ReceiveBufferSize = bytes;
        }

        await socket.ConnectAsync(endpoint.Host, endpoint.Port);
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        if (endpoint.Scheme == Uri.UriSchemeHttps)
        {
            // The certificate is one a test has just made itself, so only that it is the name asked for can be checked.
            var tls = new SslStream(stream, leaveInnerStreamOpen: false, static (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch));
            await tls.AuthenticateAsClientAsync(endpoint.Host);
            stream = tls;
        }

        return new WireConnection(socket, stream);
    }

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        using var timeout = new CancellationTokenSource(Patience);
        await _stream.WriteAsync(bytes, timeout.Token);
    }

    public Task WriteAsync(string text) => WriteAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>Ends it as a vanished client would: with a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        _socket.Close();
    }

    /// <summary>Reads one answer; of an interim one (100 Continue) only its head.</summary>
    /// <exception cref="IOException">The server closed the connection before the answer was whole.</exception>
    public async Task<Answer> ReadAnswerAsync(bool bodiless = false)
    {
        var status = int.Parse((await ReadLineAsync()).Split(' ')[1], CultureInfo.InvariantCulture);
        var headers = new List<KeyValuePair<string, string>>();
        while (await ReadLineAsync() is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            headers.Add(new(line[..colon], line[(colon + 1)..].Trim()));
        }

        var answer = new Answer(status, headers, []);
        if (bodiless || status is < 200 or 204 or 304)
        {
            return answer;
        }

        return answer with { Body = answer.Header("Transfer-Encoding") == "chunked" ? await ReadChunksAsync() : await ReadAsync(int.Parse(answer.Header("Content-Length")!, CultureInfo.InvariantCulture)) };
    }

    /// <summary>Waits until the server has sent something; takes nothing of it.</summary>
    public async Task HasBegunAsync() => Assert.True(_start < _end || await FillAsync(), "closed without a byte");

    /// <summary>Whether the server closes the connection without sending more.</summary>
    public async Task<bool> IsClosedByServerAsync()
    {
        try
        {
            return _start == _end && !await FillAsync();
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>Exactly this many bytes.</summary>
    public async Task<byte[]> ReadAsync(int length)
    {
        var bytes = new byte[length];
        for (var at = 0; at < length;)
        {
            if (_start == _end && !await FillAsync())
            {
                throw new EndOfStreamException($"closed after {at} of {length} bytes");
            }

            var piece = Math.Min(length - at, _end - _start);
            _buffer.AsSpan(_start, piece).CopyTo(bytes.AsSpan(at));
            _start += piece;
            at += piece;
        }

        return bytes;
    }

    public async ValueTask DisposeAsync() => await _stream.DisposeAsync();

    private async Task<byte[]> ReadChunksAsync()
    {
        var body = new ArrayBufferWriter<byte>();
        while (int.Parse((await ReadLineAsync()).Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture) is > 0 and var length)
        {
            body.Write(await ReadAsync(length));
            await ReadLineAsync();
        }

        while (await ReadLineAsync() is { Length: > 0 })
        {
        }

        return body.WrittenSpan.ToArray();
    }

    private async Task<string> ReadLineAsync()
    {
        var line = new List<byte>();
        while (true)
        {
            if (_start == _end && !await FillAsync())
            {
                throw new EndOfStreamException($"closed within a line: '{Encoding.UTF8.GetString([.. line])}'");
            }

            var next = _buffer[_start++];
            if (next == '\n')
            {
                return Encoding.UTF8.GetString([.. line]).TrimEnd('\r');
            }

            line.Add(next);
        }
    }

    private async Task<bool> FillAsync()
    {
        using var timeout = new CancellationTokenSource(Patience);
        _start = 0;
        _end = 0;
        _end = await _stream.ReadAsync(_buffer, timeout.Token);
        return _end > 0;
    }
}
