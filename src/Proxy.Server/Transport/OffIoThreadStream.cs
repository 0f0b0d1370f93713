using Proxy.S3.Streaming;

namespace Proxy.Server.Transport;

/// <summary>A request body whose reader goes on from the pool: digests and disk writes are not an event loop's work.</summary>
/// <param name="mayStay">For a body so small that it is no trouble to a loop where nobody else waits.</param>
internal sealed class OffIoThreadStream(Stream inner, bool mayStay) : ForwardOnlyStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        await IoThread.LeaveAsync(unlessQuiet: mayStay);
        return read;
    }
}
