using System.Net;

namespace Proxy.Backends.Remote;

/// <summary>A forward's body on its way to the backend: tells the clock whose move it is, and counts what has gone out.</summary>
/// <remarks>Around the content that YARP made; its headers are the same.</remarks>
internal sealed class WatchedContent : HttpContent
{
    private readonly HttpContent _inner;
    private readonly AnswerClock _clock;
    private readonly BackendCounters.Traffic _traffic;

    public WatchedContent(HttpContent inner, AnswerClock clock, BackendCounters.Traffic traffic)
    {
        (_inner, _clock, _traffic) = (inner, clock, traffic);
        foreach (var (name, values) in inner.Headers.NonValidated)
        {
            Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await _inner.CopyToAsync(new WatchedStream(stream, _clock, _traffic), context, cancellationToken).ConfigureAwait(false);
        _clock.Start();
    }

    protected override bool TryComputeLength(out long length)
    {
        // Only where the content itself does not say: then the request goes out chunked.
        length = 0;
        return false;
    }

    private sealed class WatchedStream(Stream inner, AnswerClock clock, BackendCounters.Traffic traffic) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await WaitAsync(inner.WriteAsync(buffer, cancellationToken)).ConfigureAwait(false);
            traffic.Sent(buffer.Length);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
            => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override Task FlushAsync(CancellationToken cancellationToken) => WaitAsync(new ValueTask(inner.FlushAsync(cancellationToken))).AsTask();

        public override void Flush() => inner.Flush();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("Bodies are sent asynchronously.");

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        private async ValueTask WaitAsync(ValueTask writing)
        {
            if (writing.IsCompleted)
            {
                await writing.ConfigureAwait(false);
                return;
            }

            clock.Start();
            await writing.ConfigureAwait(false);
            clock.Stop();
        }
    }
}
