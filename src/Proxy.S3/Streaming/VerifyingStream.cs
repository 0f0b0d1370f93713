using System.Security.Cryptography;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.S3.Streaming;

/// <summary>Hands on a body and checks what was declared of it: length, MD5, SHA-256, a checksum.</summary>
/// <remarks>
/// When the length is known, the last bytes are handed out only after every check passed. Used by one request; not thread-safe, but that it may be disposed while a read is
/// under way: a pool that is done with a request does not say when its last read has ended.
/// </remarks>
internal sealed class VerifyingStream(Stream body, AwsChunkedReader? chunks, long? length, DeclaredDigests digests) : ForwardOnlyStream
{
    private readonly IncrementalHash? _md5 = digests.Md5 is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.MD5);
    private readonly IncrementalHash? _sha256 = digests.Sha256 is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalChecksum? _checksum = digests.Algorithm is { } algorithm ? IncrementalChecksum.Create(algorithm) : null;
    private Use _use;
    private long _passed;
    private bool _ended;
    private S3Exception? _failure;

    private enum Use
    {
        Idle,
        Read,
        Over,
    }

    /// <summary>Known after the end.</summary>
    public ObjectChecksums? Checksums { get; private set; }

    public override long Length => length ?? throw new NotSupportedException();

    public override long Position
    {
        get => _passed;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_failure is not null)
        {
            throw _failure;
        }

        if (_ended || buffer.IsEmpty)
        {
            return 0;
        }

        if (Interlocked.CompareExchange(ref _use, Use.Read, Use.Idle) == Use.Over)
        {
            throw _failure = new S3Exception(S3ErrorCode.IncompleteBody);
        }

        try
        {
            var wanted = length is { } known && known - _passed < buffer.Length ? buffer[..(int)(known - _passed)] : buffer;
            var read = wanted.IsEmpty ? 0 : await ReadBodyAsync(wanted, cancellationToken).ConfigureAwait(false);
            if (read == 0 && length is { } promised && _passed < promised)
            {
                throw new S3Exception(S3ErrorCode.IncompleteBody);
            }

            Take(wanted.Span[..read]);
            if (read == 0 || _passed == length)
            {
                await EndAsync(cancellationToken).ConfigureAwait(false);
            }

            return read;
        }
        catch (S3Exception e)
        {
            // Asked again, the answer must not become a clean end.
            _failure = e;
            throw;
        }
        finally
        {
            if (Interlocked.CompareExchange(ref _use, Use.Idle, Use.Read) == Use.Over)
            {
                Release();
            }
        }
    }

    protected override void Dispose(bool disposing)
    {
        // A read under way still fills the buffer: it must not be the pool's before that has ended.
        if (disposing && Interlocked.Exchange(ref _use, Use.Over) == Use.Idle)
        {
            Release();
        }

        base.Dispose(disposing);
    }

    private void Release()
    {
        chunks?.Dispose();
        _md5?.Dispose();
        _sha256?.Dispose();
        _checksum?.Dispose();
    }

    private ValueTask<int> ReadBodyAsync(Memory<byte> buffer, CancellationToken cancellation)
        => chunks is null ? body.ReadAsync(buffer, cancellation) : chunks.ReadAsync(buffer, cancellation);

    private void Take(ReadOnlySpan<byte> bytes)
    {
        _passed += bytes.Length;
        _md5?.AppendData(bytes);
        _sha256?.AppendData(bytes);
        _checksum?.Append(bytes);
    }

    private async ValueTask EndAsync(CancellationToken cancellation)
    {
        // 1. The framing must end here too: the last chunk, its signature, the trailers.
        if (chunks is not null && _passed == length && await chunks.ReadAsync(new byte[1], cancellation).ConfigureAwait(false) != 0)
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, message: "The chunks hold more bytes than x-amz-decoded-content-length says.");
        }

        // 2. What the client declared of the bytes.
        CheckDigests();
        _ended = true;
    }

    private void CheckDigests()
    {
        Span<byte> value = stackalloc byte[ChecksumAlgorithms.MaxDigestLength];
        if (_md5 is not null && !value[.._md5.GetHashAndReset(value)].SequenceEqual(digests.Md5))
        {
            throw new S3Exception(S3ErrorCode.BadDigest, message: "The Content-MD5 you specified did not match what we received.");
        }

        if (_sha256 is not null && !value[.._sha256.GetHashAndReset(value)].SequenceEqual(digests.Sha256))
        {
            throw new S3Exception(S3ErrorCode.XAmzContentSha256Mismatch);
        }

        if (_checksum is null)
        {
            return;
        }

        var name = _checksum.Algorithm.ToS3Name();
        var actual = value[.._checksum.GetValueAndReset(value)];
        var expected = digests.Value;
        if (digests.InTrailer)
        {
            var header = _checksum.Algorithm.ToHeaderName();
            expected = chunks is null ? null : DeclaredDigests.ParseValue(_checksum.Algorithm, chunks.Trailers[header]);
        }

        if (expected is not null && !actual.SequenceEqual(expected))
        {
            throw new S3Exception(S3ErrorCode.BadDigest, message: $"The {name} you specified did not match the calculated checksum.");
        }

        Checksums = new ObjectChecksums(name, Convert.ToBase64String(actual), ObjectChecksums.FullObject);
    }
}
