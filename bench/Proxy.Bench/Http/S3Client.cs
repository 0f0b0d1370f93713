using System.Buffers;
using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Proxy.Bench.Report;

namespace Proxy.Bench.Http;

/// <summary>Reads a response's body from the connection, to its end; throws to refuse it.</summary>
internal delegate ValueTask BodyReader(ResponseHead head, S3Connection connection, CancellationToken cancellation);

/// <summary>Signed S3 requests over one connection, with the retries real clients make and no others.</summary>
/// <remarks>
/// Retried, at most nine times, with minio-go's back-off (200 ms unit, 1 s cap, full jitter): a broken connection, a short
/// body, 429, 500, 502, 503, 504. Every retry is counted by its reason in <see cref="RunReport"/>. One request at a time; not thread-safe.
/// </remarks>
internal sealed class S3Client(S3Target target, RunReport report, TimeProvider time) : IDisposable
{
    private const int Attempts = 10;
    private const int ChunkBytes = 64 << 10;

    private readonly RequestSigner _signer = new(target, time);
    private readonly StringBuilder _head = new(1024);
    private readonly byte[] _headBytes = new byte[16 << 10];
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
        for (var attempt = 1; ; attempt++)
        {
            string reason;
            try
            {
                var started = Stopwatch.GetTimestamp();
                var head = await SendOnceAsync(request, reader, cancellation);
                report.Record(request.Operation, Stopwatch.GetElapsedTime(started), head["X-Cache"]);
                if (head.Status is not (429 or 500 or 502 or 503 or 504) || attempt == Attempts)
                {
                    return head;
                }

                reason = head.Status.ToString(System.Globalization.CultureInfo.InvariantCulture);
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
        var hasBody = request.Method is "PUT" or "POST";
        var isStreaming = hasBody && request.Signing == PayloadSigning.Streaming;
        var payloadHash = !hasBody ? RequestSigner.EmptyPayload : request.Signing switch
        {
            PayloadSigning.Streaming => RequestSigner.StreamingPayload,
            PayloadSigning.Unsigned => "UNSIGNED-PAYLOAD",
            _ => Convert.ToHexStringLower(SHA256.HashData(body.Span)),
        };
        KeyValuePair<string, string>[] amz = isStreaming
            ? [new("x-amz-decoded-content-length", body.Length.ToString(System.Globalization.CultureInfo.InvariantCulture))]
            : [];
        var plain = new StringBuilder();
        if (hasBody)
        {
            // An empty streaming body goes out bare: minio-go sends Content-Length 0 with the streaming hash header.
            var length = isStreaming && body.Length > 0 ? EncodedLength(body.Length) : body.Length;
            plain.Append("Content-Length: ").Append(length).Append("\r\nContent-Type: application/octet-stream\r\n");
        }

        if (request.Range is { } range)
        {
            plain.Append("Range: ").Append(range).Append("\r\n");
        }

        if (request.IfMatch is { } tag)
        {
            plain.Append("If-Match: ").Append(tag).Append("\r\n");
        }

        if (request.IfNoneMatch)
        {
            plain.Append("If-None-Match: *\r\n");
        }

        _head.Clear();
        var path = request.Key is null ? $"/{target.Bucket}" : $"/{target.Bucket}/{RequestSigner.EncodePath(request.Key)}";
        var signature = _signer.WriteHead(_head, request.Method, path, request.Query, payloadHash, amz, plain.ToString());
        var headLength = Encoding.ASCII.GetBytes(_head.ToString(), _headBytes);
        await connection.SendAsync(_headBytes.AsMemory(0, headLength), cancellation);
        if (isStreaming && body.Length > 0)
        {
            await SendChunksAsync(connection, signature, body, cancellation);
        }
        else if (body.Length > 0)
        {
            await connection.SendAsync(body, cancellation);
        }
    }

    private static async Task SendChunksAsync(
        S3Connection connection, RequestSignature seed, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes + 128);
        try
        {
            var previous = seed.Hex;
            for (var offset = 0; offset <= body.Length;)
            {
                var length = Math.Min(ChunkBytes, body.Length - offset);
                previous = RequestSigner.SignChunk(seed, previous, body.Span.Slice(offset, length));
                var written = Encoding.ASCII.GetBytes($"{length:x};chunk-signature={previous}\r\n", buffer);
                body.Span.Slice(offset, length).CopyTo(buffer.AsSpan(written));
                written += length;
                buffer[written++] = (byte)'\r';
                buffer[written++] = (byte)'\n';
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

    // Same framing as SendChunksAsync; change both.
    private static long EncodedLength(int length)
    {
        const int fixedBytes = 17 + 64 + 2 + 2;    // ";chunk-signature=", the signature, two line ends
        var (whole, rest) = Math.DivRem(length, ChunkBytes);
        long total = (long)whole * (5 + fixedBytes + ChunkBytes);      // 10000 hex
        if (rest > 0)
        {
            total += $"{rest:x}".Length + fixedBytes + rest;
        }

        return total + 1 + fixedBytes;
    }
}
