using Proxy.Cache.Captures;
using Proxy.S3.Streaming;

namespace Proxy.Server.Operations;

/// <summary>Shows every byte that is read through it to a capture, and counts it. Owns the body, not the capture.</summary>
internal sealed class CaptureStream(Stream inner, UploadCapture? capture) : ForwardOnlyStream
{
    public long BytesRead { get; private set; }

    public override long Position
    {
        get => BytesRead;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (capture is not null)
        {
            await capture.PaceAsync(cancellationToken);
        }

        var read = await inner.ReadAsync(buffer, cancellationToken);
        capture?.Append(buffer.Span[..read]);
        BytesRead += read;
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
