using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>The transport without a server above it, and clients to connect to it.</summary>
public abstract class BareTransport : IAsyncLifetime
{
    private protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly SocketTransport _transport = new(backlog: 512, stallTimeout: TimeSpan.FromSeconds(2), keepAlive: TimeSpan.FromHours(1), zeroCopy: true, NullLoggerFactory.Instance);

    private protected IConnectionListener Listener { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(SocketTransport.IsSupported, "the transport is 64-bit Linux's");
        Listener = await _transport.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
    }

    public async ValueTask DisposeAsync()
    {
        if (Listener is not null)
        {
            await Listener.DisposeAsync();
        }

        _transport.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static ValueTask<FlushResult> FlushOnceAsync(SocketOutput output, ReadOnlyMemory<byte> block)
    {
        output.Attach(block);
        output.GetMemory(1);
        output.Advance(block.Length);
        return output.FlushAsync();
    }

    private protected static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Set between a read that is pending and its await: the pool may begin a reader late, but once it runs its await is not far.</summary>
    private protected static async Task SoonAfterAsync(TaskCompletionSource waits)
    {
        await waits.Task.WaitAsync(Patience);
        await Task.Delay(50);
    }

    private protected static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes)..];
        }
    }

    private protected static async Task<byte[]> ReceiveAsync(Socket socket, int length)
    {
        var bytes = new byte[length];
        for (var at = 0; at < length;)
        {
            var received = await socket.ReceiveAsync(bytes.AsMemory(at));
            Assert.NotEqual(0, received);
            at += received;
        }

        return bytes;
    }

    private protected static byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private protected async Task<Pair> ConnectAsync(int? receiveBufferBytes = null)
    {
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBufferBytes is { } bytes)
        {
            client.ReceiveBufferSize = bytes;
        }

        var accepting = Listener.AcceptAsync();
        await client.ConnectAsync(Listener.EndPoint);
        return new Pair(client, (SocketConnection)(await accepting)!);
    }

    private protected sealed record Pair(Socket Client, SocketConnection Server) : IAsyncDisposable
    {
        public SocketInput Input => Server.Input;

        public SocketOutput Output => Server.Output;

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Server.DisposeAsync();
        }
    }
}
