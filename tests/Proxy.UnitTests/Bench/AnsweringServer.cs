using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Proxy.Bench.Http;

namespace Proxy.UnitTests.Bench;

/// <summary>Answers each request by its number, from 0, over all connections, or never; a client of the bench is tried against it.</summary>
internal sealed class AnsweringServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly Func<int, Answer?> _answer;
    private readonly Task _accepting;
    private int _requests = -1;

    public AnsweringServer(Func<int, Answer?> answer)
    {
        _answer = answer;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <param name="Status">As <c>200 OK</c>.</param>
    /// <param name="Length">What Content-Length says; the body may be shorter.</param>
    public sealed record Answer(string Status, byte[] Body, int Length, bool IsClosing = false, TimeSpan After = default);

    public S3Target Target => new(new Uri($"http://{_listener.LocalEndpoint}"), "key", "secret", "us-east-1", "a-bucket");

    public int Connections => _connections.Count;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        await Task.WhenAll(_connections);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(ServeAsync(await _listener.AcceptSocketAsync(_stop.Token)));
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var _ = socket;
        try
        {
            var buffer = new byte[8 << 10];
            while (await ReadHeadAsync(socket, buffer))
            {
                if (_answer(Interlocked.Increment(ref _requests)) is not { } answer)
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, _stop.Token);
                    return;
                }

                await Task.Delay(answer.After, _stop.Token);
                var head = $"HTTP/1.1 {answer.Status}\r\nContent-Length: {answer.Length}\r\n{(answer.IsClosing ? "Connection: close\r\n" : "")}\r\n";
                await socket.SendAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. answer.Body], _stop.Token);
                if (answer.IsClosing || answer.Body.Length < answer.Length)
                {
                    socket.Shutdown(SocketShutdown.Send);
                    return;
                }
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException)
        {
            // The client is gone, or the test is over.
        }
    }

    private async Task<bool> ReadHeadAsync(Socket socket, byte[] buffer)
    {
        for (var length = 0; ;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(length), _stop.Token);
            length += read;
            if (read == 0 || buffer.AsSpan(0, length).EndsWith("\r\n\r\n"u8))
            {
                return read > 0;
            }
        }
    }
}
