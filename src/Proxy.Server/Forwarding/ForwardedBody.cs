using Proxy.S3.Errors;
using Proxy.S3.Streaming;

namespace Proxy.Server.Forwarding;

/// <summary>The decoded body of an upload on its way into the backend's request: remembers why it failed, and never gives its end away early.</summary>
/// <remarks>
/// The last bytes leave only after the inner stream has shown its end, which is where its checks fail if they do. The backend is then short of
/// bytes it was promised (or of the last chunk) and stores nothing. Read by one request; does not own the inner stream.
/// </remarks>
internal sealed class ForwardedBody(Stream inner, long? length) : ForwardOnlyStream
{
    private readonly byte[] _beyond = new byte[1];
    private long _left = length ?? long.MaxValue;

    /// <summary>What the body's own checks said; null when they said nothing.</summary>
    public S3Exception? Rejection { get; private set; }

    /// <summary>Something has been read that cannot be read again.</summary>
    public bool IsTouched { get; private set; }

    /// <summary>Reading from the client failed; null when it did not.</summary>
    public Exception? ClientFailure { get; private set; }

    /// <summary>An empty body has no last bytes to hold back: it is checked before the request leaves.</summary>
    public async ValueTask CheckEmptyAsync(CancellationToken cancellation)
    {
        if (_left == 0)
        {
            await SeeEndAsync(cancellation);
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // A zero-byte read asks whether there is something; the copier goes on to a real read either way.
        if (buffer.IsEmpty || _left == 0)
        {
            return 0;
        }

        IsTouched = true;
        try
        {
            var read = await inner.ReadAsync(buffer[..(int)Math.Min(buffer.Length, _left)], cancellationToken);
            if (read == 0)
            {
                return length is null ? 0 : throw new S3Exception(S3ErrorCode.IncompleteBody);
            }

            if (length is not null)
            {
                _left -= read;
                if (_left == 0)
                {
                    await SeeEndAsync(cancellationToken);
                }
            }

            return read;
        }
        catch (S3Exception rejection)
        {
            Rejection = rejection;
            throw;
        }
        catch (Exception failure)
        {
            ClientFailure ??= failure;
            throw;
        }
    }

    private async ValueTask SeeEndAsync(CancellationToken cancellation)
    {
        if (await inner.ReadAsync(_beyond, cancellation) != 0)
        {
            throw new S3Exception(S3ErrorCode.IncompleteBody, message: "The body is longer than was declared.");
        }
    }
}
