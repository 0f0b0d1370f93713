using System.Globalization;
using System.Text;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;

namespace Proxy.S3.Streaming;

/// <summary>A body as STREAMING-UNSIGNED-PAYLOAD-TRAILER frames it: chunks without signatures, and one checksum behind them.</summary>
/// <remarks>
/// For forwards to a backend that is to keep the checksum the client sent in its trailer: the value is asked for only when the last byte of the body has been read.
/// Chunks are all of one size but for the last, so the framed length is known before (<see cref="EncodedLength"/>); nothing is copied or held back. Same framing as
/// <see cref="AwsChunkedEncoder"/>; change both. Read by one request; does not own <paramref name="body"/>.
/// </remarks>
/// <param name="length">Bytes of <paramref name="body"/>, exactly.</param>
/// <param name="trailerValue">Base64. Called once, after the last byte.</param>
public sealed class AwsChunkedStream(Stream body, long length, ChecksumAlgorithm trailer, Func<string> trailerValue) : ForwardOnlyStream
{
    /// <summary>64 KiB. S3 wants at least 8 KiB of every chunk but the last (API Reference, "Transferring payload in multiple chunks").</summary>
    private const int ChunkSize = 64 << 10;

    private long _left = length;
    private long _chunkLeft;
    private ReadOnlyMemory<byte> _framing;
    private bool _isInside;
    private bool _isFramed;

    /// <summary>Something has been read that cannot be read again.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>The Content-Length of such a body.</summary>
    public static long EncodedLength(long length, ChecksumAlgorithm trailer)
        => AwsChunkedEncoder.EncodedLength(length, ChunkSize, signed: false, [new(trailer.ToHeaderName(), new string('=', (trailer.DigestLength() + 2) / 3 * 4))]);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        HasBegun = true;
        if (_chunkLeft == 0 && _framing.IsEmpty && !_isFramed)
        {
            _framing = BeginChunk();
        }

        if (!_framing.IsEmpty)
        {
            var count = Math.Min(buffer.Length, _framing.Length);
            _framing[..count].CopyTo(buffer);
            _framing = _framing[count..];
            return count;
        }

        if (_isFramed)
        {
            return 0;
        }

        var read = await body.ReadAsync(buffer[..(int)Math.Min(buffer.Length, _chunkLeft)], cancellationToken).ConfigureAwait(false);
        if (read == 0)
        {
            throw new S3Exception(S3ErrorCode.IncompleteBody);
        }

        _chunkLeft -= read;
        _left -= read;
        return read;
    }

    /// <summary>The end of the chunk before and the head of the next; after the last byte the end of it all.</summary>
    private byte[] BeginChunk()
    {
        var end = _isInside ? "\r\n" : "";
        _isInside = true;
        if (_left > 0)
        {
            _chunkLeft = Math.Min(ChunkSize, _left);
            return Encoding.ASCII.GetBytes($"{end}{_chunkLeft.ToString("x", CultureInfo.InvariantCulture)}\r\n");
        }

        _isFramed = true;
        return Encoding.ASCII.GetBytes($"{end}0\r\n{trailer.ToHeaderName()}:{trailerValue()}\r\n\r\n");
    }
}
