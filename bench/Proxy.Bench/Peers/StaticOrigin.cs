using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Peers;

/// <summary>Serves a dataset's objects over plain HTTP without signatures: what peers that cannot sign fill their caches from.</summary>
/// <remarks>Inside the bench's own process; nothing is asked of it once the peers are warm, which <see cref="Requests"/> shows. Thread-safe.</remarks>
internal sealed class StaticOrigin : IAsyncDisposable
{
    private readonly Dictionary<string, DatasetObject> _objects;
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private long _requests;

    public StaticOrigin(IPEndPoint listen, string bucket, IEnumerable<DatasetObject> objects)
    {
        _objects = objects.ToDictionary(item => $"/{bucket}/{item.Key}");
        _listener = new TcpListener(listen);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Answered since the start.</summary>
    public long Requests => Interlocked.Read(ref _requests);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptSocketAsync(_stop.Token);
                connections.Add(ServeAsync(socket));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        socket.NoDelay = true;
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            // Sequential and ASCII: a proxy's requests.
            using var reader = new StreamReader(stream, Encoding.ASCII, false, 8 << 10, leaveOpen: true);
            while (await reader.ReadLineAsync(_stop.Token) is { Length: > 0 } line)
            {
                string? range = null;
                while (await reader.ReadLineAsync(_stop.Token) is { Length: > 0 } header)
                {
                    range = header.StartsWith("Range:", StringComparison.OrdinalIgnoreCase) ? header[6..].Trim() : range;
                }

                Interlocked.Increment(ref _requests);
                var words = line.Split(' ');
                await AnswerAsync(stream, words[0], words[1], range);
            }
        }
        catch (Exception error) when (error is IOException or OperationCanceledException or IndexOutOfRangeException)
        {
            // The peer went away, or the run is over.
        }
    }

    private async Task AnswerAsync(NetworkStream stream, string method, string path, string? range)
    {
        if (!_objects.TryGetValue(path, out var item))
        {
            await stream.WriteAsync("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), _stop.Token);
            return;
        }

        var (start, end) = (0L, item.Size - 1);
        if (range is not null)
        {
            var bounds = range["bytes=".Length..].Split('-');
            start = long.Parse(bounds[0], CultureInfo.InvariantCulture);
            end = bounds[1].Length == 0 ? end : Math.Min(end, long.Parse(bounds[1], CultureInfo.InvariantCulture));
        }

        var head = new StringBuilder(range is null ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 206 Partial Content\r\n");
        if (range is not null)
        {
            head.Append(CultureInfo.InvariantCulture, $"Content-Range: bytes {start}-{end}/{item.Size}\r\n");
        }

        // No Cache-Control: how long to keep it is the peers' own configuration.
        head.Append(CultureInfo.InvariantCulture, $"Content-Length: {end - start + 1}\r\nAccept-Ranges: bytes\r\nContent-Type: application/octet-stream\r\n")
            .Append(CultureInfo.InvariantCulture, $"ETag: \"{item.Content.Choose(7, long.MaxValue):x32}\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n");
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head.ToString()), _stop.Token);
        if (method == "HEAD")
        {
            return;
        }

        var buffer = new byte[256 << 10];
        for (var offset = start; offset <= end;)
        {
            var length = (int)Math.Min(buffer.Length, end - offset + 1);
            item.Content.Fill(buffer.AsSpan(0, length), offset);
            await stream.WriteAsync(buffer.AsMemory(0, length), _stop.Token);
            offset += length;
        }
    }
}
