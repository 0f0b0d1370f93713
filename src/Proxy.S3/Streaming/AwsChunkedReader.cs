using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth;
using Proxy.S3.Errors;

namespace Proxy.S3.Streaming;

/// <summary>Takes the aws-chunked framing off a body, and checks the chunk signatures and the trailers, while it is read.</summary>
/// <remarks>
/// Between the server's body and <see cref="VerifyingStream"/>. A chunk may be larger than memory: its bytes are handed on as they come and its signature is checked at
/// its end, so a reader may use nothing for good before the end of the stream. Holds one buffer of 64 KiB. Used by one request; not thread-safe.
/// </remarks>
internal sealed class AwsChunkedReader : IDisposable
{
    private const int BufferSize = 64 << 10;

    // A length of at most 16 digits and a signature are 97 bytes.
    private const int MaxChunkHeaderBytes = 256;

    // The longest checksum trailer has 110 bytes, a trailer signature 88.
    private const int MaxTrailerLineBytes = 1024;
    private const int MaxTrailerBytes = 4096;

    // Reads this large go past our buffer into the caller's.
    private const int DirectReadBytes = 16 << 10;

    private readonly Stream _body;
    private readonly ChunkSigner? _signer;
    private readonly IncrementalHash? _chunkHash;
    private readonly bool _hasTrailers;
    private readonly bool _trailersAreSigned;
    private readonly string[] _trailerNames;
    private readonly Dictionary<string, string> _trailers = new(StringComparer.Ordinal);
    private readonly byte[] _signature = new byte[64];
    private byte[] _buffer;
    private int _start;
    private int _end;
    private long _decodedLeft;
    private long _chunkLeft;
    private int _trailerBytes;
    private bool _signatureSeen;
    private State _state;

    /// <param name="signer">Null: signatures in the framing are not looked at.</param>
    /// <param name="trailerNames">Lower case; each must come, and no other.</param>
    public AwsChunkedReader(Stream body, long decodedLength, PayloadMode mode, ChunkSigner? signer, string[] trailerNames)
    {
        _body = body;
        _decodedLeft = decodedLength;
        _signer = signer;
        _chunkHash = signer is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        _hasTrailers = mode is PayloadMode.StreamingSignedTrailer or PayloadMode.StreamingUnsignedTrailer;
        _trailersAreSigned = mode is PayloadMode.StreamingSignedTrailer;
        _trailerNames = trailerNames;
        _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    }

    private enum State
    {
        ChunkHeader,
        Data,
        AfterData,
        Trailers,
        Rest,
        End,
    }

    /// <summary>Complete after the end.</summary>
    public IReadOnlyDictionary<string, string> Trailers => _trailers;

    /// <returns>0 only at the end, when the framing was complete and every signature fitted.</returns>
    public async ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellation)
    {
        var copied = 0;
        while (true)
        {
            switch (_state)
            {
                case State.Data when _chunkLeft == 0:
                    CheckChunkSignature();
                    _state = State.AfterData;
                    continue;

                case State.Data:
                    var wanted = (int)Math.Min(_chunkLeft, destination.Length - copied);
                    if (wanted == 0)
                    {
                        return copied;
                    }

                    var buffered = Math.Min(wanted, _end - _start);
                    if (buffered > 0)
                    {
                        var bytes = _buffer.AsSpan(_start, buffered);
                        bytes.CopyTo(destination.Span[copied..]);
                        Passed(bytes);
                        _start += buffered;
                        copied += buffered;
                        continue;
                    }

                    if (copied > 0)
                    {
                        return copied;
                    }

                    if (wanted >= DirectReadBytes)
                    {
                        var read = await _body.ReadAsync(destination[..wanted], cancellation).ConfigureAwait(false);
                        if (read == 0)
                        {
                            throw new S3Exception(S3ErrorCode.IncompleteBody);
                        }

                        Passed(destination.Span[..read]);
                        return read;
                    }

                    break;

                case State.ChunkHeader or State.AfterData or State.Trailers:
                    if (TryTakeLine(out var line))
                    {
                        TakeLine(line);
                        continue;
                    }

                    if (copied > 0)
                    {
                        return copied;
                    }

                    break;

                case State.Rest:
                    SkipLineEnds();
                    break;

                default:
                    return copied;
            }

            if (!await FillAsync(cancellation).ConfigureAwait(false))
            {
                EndOfBody();
            }
        }
    }

    public void Dispose()
    {
        // Null first: a second call must not return the buffer again.
        var buffer = _buffer;
        _buffer = [];
        _start = _end = 0;
        _state = State.End;
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        _chunkHash?.Dispose();
    }

    private void Passed(ReadOnlySpan<byte> data)
    {
        _chunkHash?.AppendData(data);
        _chunkLeft -= data.Length;
        _decodedLeft -= data.Length;
    }

    private void TakeLine(ReadOnlySpan<byte> line)
    {
        switch (_state)
        {
            case State.ChunkHeader:
                TakeChunkHeader(line);
                break;
            case State.AfterData:
                if (!line.IsEmpty)
                {
                    throw BadFraming();
                }

                _state = State.ChunkHeader;
                break;
            default:
                TakeTrailer(line);
                break;
        }
    }

    // <hex length>[;chunk-signature=<64 hex>]
    private void TakeChunkHeader(ReadOnlySpan<byte> line)
    {
        var semicolon = line.IndexOf((byte)';');
        var digits = semicolon < 0 ? line : line[..semicolon];
        if (digits.Length is 0 or > 16 || !Utf8Parser.TryParse(digits, out ulong length, out var used, 'x') || used != digits.Length || length > long.MaxValue)
        {
            throw BadFraming();
        }

        if ((long)length > _decodedLeft)
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, message: "The chunks hold more bytes than x-amz-decoded-content-length says.");
        }

        if (_signer is not null)
        {
            var extension = semicolon < 0 ? default : line[(semicolon + 1)..];
            if (!extension.StartsWith("chunk-signature="u8) || extension.Length != 16 + _signature.Length)
            {
                throw BadSignature();
            }

            extension[16..].CopyTo(_signature);
        }

        _chunkLeft = (long)length;
        if (length > 0)
        {
            _state = State.Data;
            return;
        }

        CheckChunkSignature();
        if (_decodedLeft > 0)
        {
            throw new S3Exception(S3ErrorCode.IncompleteBody);
        }

        _state = _hasTrailers ? State.Trailers : State.Rest;
    }

    private void CheckChunkSignature()
    {
        if (_signer is null)
        {
            return;
        }

        Span<byte> hash = stackalloc byte[32];
        _chunkHash!.GetHashAndReset(hash);
        if (!ChunkSigner.Matches(_signer.SignChunk(hash), _signature))
        {
            throw BadSignature();
        }
    }

    // name:value, ended by a blank line; with signatures, by x-amz-trailer-signature:<64 hex>. minio-go ends a trailer with a lone LF and puts a blank line
    // before the signature.
    private void TakeTrailer(ReadOnlySpan<byte> line)
    {
        _trailerBytes += line.Length + 1;
        if (_trailerBytes > MaxTrailerBytes)
        {
            throw BadTrailer();
        }

        if (line.IsEmpty)
        {
            if (!_trailersAreSigned || _signatureSeen)
            {
                EndTrailers();
            }

            return;
        }

        var colon = line.IndexOf((byte)':');
        if (colon <= 0 || _signatureSeen || !Ascii.IsValid(line))
        {
            throw BadTrailer();
        }

        var name = Encoding.ASCII.GetString(line[..colon]).Trim().ToLowerInvariant();
        var value = Encoding.ASCII.GetString(line[(colon + 1)..]).Trim();
        if (_trailersAreSigned && name == "x-amz-trailer-signature")
        {
            CheckTrailerSignature(value);
            _signatureSeen = true;
            return;
        }

        if (!_trailerNames.Contains(name) || !_trailers.TryAdd(name, value))
        {
            throw BadTrailer();
        }
    }

    private void CheckTrailerSignature(string signature)
    {
        if (_signer is null)
        {
            return;
        }

        foreach (var (name, value) in _trailers)
        {
            _chunkHash!.AppendData(Encoding.ASCII.GetBytes($"{name}:{value}\n"));
        }

        Span<byte> hash = stackalloc byte[32];
        _chunkHash!.GetHashAndReset(hash);
        if (!ChunkSigner.Matches(_signer.SignTrailer(hash), Encoding.ASCII.GetBytes(signature)))
        {
            throw BadSignature();
        }
    }

    private void EndTrailers()
    {
        if (_trailers.Count != _trailerNames.Length)
        {
            throw BadTrailer();
        }

        _state = State.Rest;
    }

    // The blank line after the last chunk, and whatever line ends a client adds; nothing else may follow.
    private void SkipLineEnds()
    {
        _trailerBytes += _end - _start;
        if (_buffer.AsSpan(_start, _end - _start).ContainsAnyExcept((byte)'\r', (byte)'\n') || _trailerBytes > MaxTrailerBytes)
        {
            throw BadFraming();
        }

        _start = _end;
    }

    private void EndOfBody()
    {
        if (_state == State.Trailers && (!_trailersAreSigned || _signatureSeen) && _start == _end)
        {
            EndTrailers();
        }

        if (_state != State.Rest)
        {
            throw new S3Exception(S3ErrorCode.IncompleteBody);
        }

        _state = State.End;
    }

    private bool TryTakeLine(out ReadOnlySpan<byte> line)
    {
        var buffered = _buffer.AsSpan(_start, _end - _start);
        var limit = _state == State.Trailers ? MaxTrailerLineBytes : MaxChunkHeaderBytes;
        var newLine = buffered.IndexOf((byte)'\n');
        if ((newLine < 0 ? buffered.Length : newLine) > limit)
        {
            throw _state == State.Trailers ? BadTrailer() : BadFraming();
        }

        line = default;
        if (newLine < 0)
        {
            return false;
        }

        line = buffered[..newLine];
        if (line.EndsWith("\r"u8))
        {
            line = line[..^1];
        }
        else if (_state != State.Trailers)
        {
            throw BadFraming();
        }

        _start += newLine + 1;
        return true;
    }

    private async ValueTask<bool> FillAsync(CancellationToken cancellation)
    {
        if (_start > 0)
        {
            // At most a piece of a line is left when more is needed.
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        var read = await _body.ReadAsync(_buffer.AsMemory(_end), cancellation).ConfigureAwait(false);
        _end += read;
        return read > 0;
    }

    private static S3Exception BadFraming() => new(S3ErrorCode.InvalidRequest, message: "The aws-chunked framing of the body is malformed.");

    private static S3Exception BadTrailer() => new(S3ErrorCode.MalformedTrailerError);

    private static S3Exception BadSignature() => new(S3ErrorCode.SignatureDoesNotMatch);
}
