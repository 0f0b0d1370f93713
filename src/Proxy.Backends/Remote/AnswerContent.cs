using System.Net;
using Proxy.S3.Streaming;

namespace Proxy.Backends.Remote;

/// <summary>The body of a forward's answer: counts what arrives, and fails when nothing does for too long.</summary>
/// <remarks>Around the answer's own content; its headers are the same. Read by one reader, whose own pauses do not count.</remarks>
internal sealed class AnswerContent : HttpContent
{
    private readonly HttpContent _inner;
    private readonly BackendCounters.Traffic _traffic;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;

    public AnswerContent(HttpContent inner, BackendCounters.Traffic traffic, TimeSpan patience, TimeProvider time)
    {
        (_inner, _traffic, _patience, _time) = (inner, traffic, patience, time);
        foreach (var (name, values) in inner.Headers.NonValidated)
        {
            Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values);
        }
    }

    protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
        => new AnswerStream(await _inner.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false), _traffic, _patience, _time);

    protected override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var body = await CreateContentReadStreamAsync(cancellationToken).ConfigureAwait(false);
        await body.CopyToAsync(stream, cancellationToken).ConfigureAwait(false);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }

    private sealed class AnswerStream(Stream inner, BackendCounters.Traffic traffic, TimeSpan patience, TimeProvider time) : ForwardOnlyStream
    {
        private readonly StallGuard _stall = new(patience, time);

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read;
            try
            {
                read = await _stall.ReadAsync(inner, buffer, cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException silent)
            {
                throw new IOException($"The backend sent no more of its answer for {_stall.Patience.TotalSeconds:0.#} s.", silent);
            }

            traffic.Received(read);
            return read;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _stall.Dispose();
                inner.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
