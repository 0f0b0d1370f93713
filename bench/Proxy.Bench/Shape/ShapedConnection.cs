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
    private readonly PeerSigner? _signer = owner.SignsAs is { } target ? new PeerSigner(target) : null;
    private KernelPipe? _kernel;
    private bool _hasNoKernel;

    /// <summary>Cuts both ends; any thread.</summary>
    public void Abort()
    {
        client.Dispose();
        _server.Dispose();
    }

    /// <summary>Once it does not run any more.</summary>
    public void Dispose()
    {
        Abort();
        _kernel?.Dispose();
    }

    public async Task RunAsync(CancellationToken cancellation)
    {
        client.NoDelay = true;
        await _server.ConnectAsync(server, cancellation);
        var (near, far) = (new HttpPipe(client, Kernel), new HttpPipe(_server, Kernel));
        while (await near.TryReadHeadAsync(cancellation) is { } request)
        {
            var watched = owner.Watch(request);
            if (owner.Refuses())
            {
                await RefuseAsync(cancellation);
                return;
            }

            if (await ForwardAsync(near, far, _signer?.Sign(request) ?? request, cancellation) is not { } answer)
            {
                throw new IOException("no answer");
            }

            if (owner.Profile.FirstByte > TimeSpan.Zero)
            {
                await Task.Delay(owner.Profile.FirstByte, cancellation);
            }

            var hasBody = !request.IsHead && answer.Status is not (204 or 304);
            var bytes = await far.ForwardAsync(answer, hasBody, client, owner.Profile.BytesPerSecond, cancellation);
            owner.CountBytes(bytes);
            watched?.Add(bytes);
            if (answer.IsClosing)
            {
                return;
            }
        }
    }

    /// <returns>The head of the answer.</returns>
    private async Task<HttpHead?> ForwardAsync(HttpPipe near, HttpPipe far, HttpHead request, CancellationToken cancellation)
    {
        if (!request.ExpectsContinue)
        {
            await near.ForwardAsync(request, hasBody: true, _server, owner.Profile.BytesPerSecond, cancellation);
            return await far.TryReadHeadAsync(cancellation);
        }

        await _server.SendAsync(request.Bytes, cancellation);
        var answer = await far.TryReadHeadAsync(cancellation);
        if (answer is not { Status: 100 })
        {
            return answer;
        }

        await client.SendAsync(answer.Value.Bytes, cancellation);
        await near.ForwardBodyAsync(request, _server, owner.Profile.BytesPerSecond, cancellation);
        return await far.TryReadHeadAsync(cancellation);
    }

    private async Task RefuseAsync(CancellationToken cancellation)
    {
        await Task.Delay(owner.Profile.FirstByte, cancellation);
        await client.SendAsync(SlowDown, cancellation);
        client.Shutdown(SocketShutdown.Send);
        // Read to its end what is still coming: closing on it would reset the connection before the answer is seen.
        while (await client.ReceiveAsync(new byte[64 << 10], cancellation) > 0)
        {
        }
    }

    private KernelPipe? Kernel()
    {
        if (_kernel is null && !_hasNoKernel)
        {
            _kernel = KernelPipe.TryCreate();
            _hasNoKernel = _kernel is null;
        }

        return _kernel;
    }
}
