using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Proxy.FunctionalTests.Faults;

/// <summary>Answers every request with the same bytes, such as no web server would send, on connections that stay.</summary>
/// <remarks>Neither signatures nor requests are looked at; the answer to a HEAD ends with its head.</remarks>
internal sealed class RawBackend : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly byte[] _head;
    private readonly byte[] _body;
    private readonly Task _serving;

    /// <param name="head">Status line and headers with all their line ends, but for Content-Length.</param>
    public RawBackend(string head, byte[] body)
    {
        _head = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{head}Content-Length: {body.Length}\r\n\r\n"));
        _body = body;
        _listener.Start();
        _serving = ServeAsync();
    }

    public string Url => $"http://{_listener.LocalEndpoint}";

    /// <summary>Of the requests that came.</summary>
    public ConcurrentQueue<string> Heads { get; } = new();

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _serving;
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                _ = AnswerAsync(await _listener.AcceptTcpClientAsync());
            }
        }
        catch (Exception stopped) when (stopped is SocketException or InvalidOperationException)
        {
            // The test is over, while it waited for somebody or between two of them.
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using (client)
        {
            var stream = client.GetStream();
            using var reader = new StreamReader(stream, Encoding.ASCII);
            try
            {
                while (await reader.ReadLineAsync() is { } line)
                {
                    var head = new StringBuilder();
                    var length = 0;
                    for (; !string.IsNullOrEmpty(line); line = await reader.ReadLineAsync())
                    {
                        head.AppendLine(line);
                        length = line.StartsWith("Content-Length: ", StringComparison.OrdinalIgnoreCase) ? int.Parse(line["Content-Length: ".Length..], CultureInfo.InvariantCulture) : length;
                    }

                    if (length > 0)
                    {
                        await reader.ReadBlockAsync(new char[length], 0, length);
                    }

                    Heads.Enqueue(head.ToString());
                    await stream.WriteAsync(_head);
                    if (!Heads.Last().StartsWith("HEAD", StringComparison.Ordinal))
                    {
                        await stream.WriteAsync(_body);
                    }
                }
            }
            catch (IOException)
            {
                // The proxy closed it.
            }
        }
    }
}
