using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Numerics;
using System.Security.Cryptography;
using Proxy.Bench.Report;

namespace Proxy.Bench.Http;

/// <summary>Reads a response's body from the connection, to its end; throws to refuse it.</summary>
internal delegate ValueTask BodyReader(ResponseHead head, S3Connection connection, CancellationToken cancellation);

/// <summary>Signed S3 requests over one connection, with the retries real clients make and no others.</summary>
/// <remarks>
/// Retried, at most nine times, with minio-go's back-off (200 ms unit, 1 s cap, full jitter): a broken connection, a short
/// body, 429, 500, 502, 503, 504. Every retry is counted by its reason in <see cref="RunReport"/>; the latency is what the caller waited, tries and pauses
/// included, and only the last answer is one of the operation's. One request at a time; not thread-safe.
/// </remarks>
internal sealed class S3Client(S3Target target, RunReport report, TimeProvider time) : IDisposable
{
    private const int Attempts = 10;
    private const int ChunkBytes = 64 << 10;

    private readonly RequestSigner _signer = new(target, time);
    private readonly byte[] _head = new byte[RequestSigner.HeadBytes];
    private readonly RequestHeader[] _headers = new RequestHeader[12];
    private S3Connection? _connection;

    public void Dispose() => _connection?.Dispose();

    /// <summary>Sends a request whose answer is small and returns it whatever its status.</summary>
    public async Task<S3Answer> SendAsync(S3Request request, CancellationToken cancellation)
    {
        var text = "";
        var head = await SendAsync(
            request,
            async (_, connection, token) => text = await connection.ReadTextAsync(token),
            cancellation);
        return new S3Answer(head, text);
    }

    /// <summary>Sends a request and hands the body of a 2xx answer to <paramref name="reader"/>; other bodies are read and dropped.</summary>
    public async Task<ResponseHead> SendAsync(S3Request request, BodyReader reader, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        for (var attempt = 1; ; attempt++)
        {
            string reason;
            try
            {
                var head = await SendOnceAsync(request, reader, cancellation);
                if (head.Status is not (429 or 500 or 502 or 503 or 504) || attempt == Attempts)
                {
                    report.Record(request.Operation, Stopwatch.GetElapsedTime(started), head.CacheOutcome);
                    return head;
                }

                reason = head.Status.ToString(CultureInfo.InvariantCulture);
            }
            catch (Exception error) when (error is IOException or SocketException && attempt < Attempts)
            {
                _connection?.Dispose();
                _connection = null;
                reason = error is BrokenResponseException ? error.Message.Split(':')[0] : "connection reset or refused";
            }

            report.CountRetry($"{request.Operation}: {reason}");
            await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(1, Math.Min(1000, 200 << Math.Min(attempt, 4)))), time, cancellation);
        }
    }

    private async Task<ResponseHead> SendOnceAsync(S3Request request, BodyReader reader, CancellationToken cancellation)
    {
        if (_connection is not { IsReusable: true })
        {
            _connection?.Dispose();
            _connection = null;
            _connection = await S3Connection.OpenAsync(target, cancellation);
        }

        var connection = _connection;
        await WriteAsync(connection, request, cancellation);
        var head = await connection.ReadHeadAsync(request.Method == "HEAD", cancellation);
        if (head.Status / 100 == 2)
        {
            await reader(head, connection, cancellation);
        }
        else
        {
            var text = await connection.ReadTextAsync(cancellation);
            report.NoteRefusal(request.Operation, head.Status, text);
        }

        return head;
    }

    private async Task WriteAsync(S3Connection connection, S3Request request, CancellationToken cancellation)
    {
        var body = request.Body;
        var isFramed = request.HasBody && body.Length > 0;
        await connection.SendAsync(_head.AsMemory(0, WriteHead(request)), cancellation);
        if (isFramed && request.Signing == PayloadSigning.Streaming)
        {
            await SendChunksAsync(connection, body, cancellation);
        }
        else if (isFramed && request.Signing == PayloadSigning.Trailer)
        {
            await TrailerBody.SendAsync(connection, body, cancellation);
        }
        else if (body.Length > 0)
        {
            await connection.SendAsync(body, cancellation);
        }
    }

    /// <summary>The headers the real client sends, sorted, and among the signed ones those that it signs.</summary>
    /// <remarks>
    /// aws-sdk-cpp signs whatever it sends but User-Agent (AWSAuthV4Signer.cpp). minio-go does too, but never Content-Length, which Go keeps apart, and
    /// not Content-Type where it signs chunks (ignoredStreamingHeaders). So Range, If-Match and If-None-Match are signed by both.
    /// </remarks>
    private int WriteHead(S3Request request)
    {
        var length = request.Body.Length;
        var signing = request.HasBody ? request.Signing : PayloadSigning.Sha256;
        var isTrailer = signing == PayloadSigning.Trailer && length > 0;
        var payloadHash = !request.HasBody ? RequestSigner.EmptyPayload : signing switch
        {
            PayloadSigning.Streaming => RequestSigner.StreamingPayload,
            PayloadSigning.Trailer when isTrailer => RequestSigner.TrailerPayload,
            PayloadSigning.Unsigned => RequestSigner.UnsignedPayload,
            _ => Convert.ToHexStringLower(SHA256.HashData(request.Body.Span)),
        };

        var headers = new HeaderList(_headers);
        if (isTrailer)
        {
            headers.Add("content-encoding", "aws-chunked");
        }

        if (request.HasBody && !isTrailer)
        {
            // An empty streaming body goes out bare: minio-go sends Content-Length 0 with the streaming hash header.
            var sent = signing == PayloadSigning.Streaming && length > 0 ? EncodedLength(length) : length;
            headers.Add("content-length", sent.ToString(CultureInfo.InvariantCulture), signing != PayloadSigning.Streaming);
        }

        headers.Add("content-md5", request.ContentMd5);
        if (request.HasBody)
        {
            headers.Add("content-type", "application/octet-stream", signing != PayloadSigning.Streaming);
        }

        headers.Add("if-match", request.IfMatch);
        headers.Add("if-none-match", request.IfNoneMatch ? "*" : null);
        headers.Add("range", request.Range);
        headers.Add("transfer-encoding", isTrailer ? "chunked" : null);
        if (signing == PayloadSigning.Streaming || isTrailer)
        {
            headers.Add("x-amz-decoded-content-length", length.ToString(CultureInfo.InvariantCulture));
        }

        headers.Add("x-amz-trailer", isTrailer ? TrailerBody.TrailerName : null);
        return _signer.WriteHead(_head, request.Method, request.Key, request.Query, payloadHash, headers.Written);
    }

    private async Task SendChunksAsync(S3Connection connection, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes + 128);
        try
        {
            for (var offset = 0; offset <= body.Length;)
            {
                var length = Math.Min(ChunkBytes, body.Length - offset);
                var written = WriteChunk(buffer, body.Span.Slice(offset, length));
                await connection.SendAsync(buffer.AsMemory(0, written), cancellation);
                if (length == 0)
                {
                    return;
                }

                offset += length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private int WriteChunk(Span<byte> into, ReadOnlySpan<byte> chunk)
    {
        _signer.SignChunk(chunk);
        _ = Utf8Formatter.TryFormat(chunk.Length, into, out var written, new StandardFormat('x'));
        ";chunk-signature="u8.CopyTo(into[written..]);
        _signer.Signature.CopyTo(into[(written + 17)..]);
        written += 17 + RequestSigner.SignatureBytes;
        "\r\n"u8.CopyTo(into[written..]);
        chunk.CopyTo(into[(written + 2)..]);
        written += 2 + chunk.Length;
        "\r\n"u8.CopyTo(into[written..]);
        return written + 2;
    }

    // Same framing as SendChunksAsync; change both.
    private static long EncodedLength(int length)
    {
        const int fixedBytes = 17 + 64 + 2 + 2;    // ";chunk-signature=", the signature, two line ends
        var (whole, rest) = Math.DivRem(length, ChunkBytes);
        long total = (long)whole * (5 + fixedBytes + ChunkBytes);      // 10000 hex
        if (rest > 0)
        {
            total += HexDigits(rest) + fixedBytes + rest;
        }

        return total + 1 + fixedBytes;

        static int HexDigits(int number) => (BitOperations.Log2((uint)number) / 4) + 1;
    }

    private ref struct HeaderList(Span<RequestHeader> into)
    {
        private readonly Span<RequestHeader> _into = into;
        private int _count;

        public readonly ReadOnlySpan<RequestHeader> Written => _into[.._count];

        /// <summary>Nothing without a value.</summary>
        public void Add(string name, string? value, bool isSigned = true)
        {
            if (value is not null)
            {
                _into[_count++] = new RequestHeader(name, value, isSigned);
            }
        }
    }
}
