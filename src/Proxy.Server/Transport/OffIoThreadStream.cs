using Proxy.S3.Streaming;

namespace Proxy.Server.Transport;

/// <summary>A request body whose reader goes on from the pool: digests and disk writes are not an event loop's work.</summary>
internal sealed class OffIoThreadStream(Stream inner) : ForwardOnlyStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        await IoThread.LeaveAsync();
        return read;
    }
}
