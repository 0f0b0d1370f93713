using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Primitives;
using Proxy.Cache;
using Proxy.S3.Objects;
using Proxy.Server.Telemetry;
using Proxy.Server.Transport;

namespace Proxy.Server.Requests;

/// <summary>Writes the answer to an object read: head from <see cref="ObjectInfo"/>, body piece by piece from the cache.</summary>
internal static class ObjectResponse
{
    /// <summary>Of an object that was stored without one: S3's.</summary>
    public const string DefaultContentType = "binary/octet-stream";

    private static readonly StringValues AcceptRanges = "bytes";

    public static void WriteHead(HttpResponse response, ObjectInfo info, ByteSpan span, bool isPartial, CacheOutcome outcome)
    {
        isPartial &= span.Length > 0; // partNumber=1 of an empty object: there is no range to name
        response.StatusCode = isPartial ? StatusCodes.Status206PartialContent : StatusCodes.Status200OK;
        var headers = response.Headers;
        headers.ContentLength = span.Length;
        headers.ETag = info.ETag;
        headers.LastModified = info.LastModifiedHeader;
        headers.AcceptRanges = AcceptRanges;
        headers.ContentType = info.ContentType ?? DefaultContentType;
        headers["X-Cache"] = XCache.Header(outcome);
        if (isPartial)
        {
            headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {span.Offset}-{span.End - 1}/{info.Size}");
        }

        var further = info.Headers;
        for (var i = 0; i < further.Count; i++)
        {
            // Not Append: it passes over an empty value, which x-amz-meta-* may well have.
            var (name, value) = further[i];
            headers[name] = headers.TryGetValue(name, out var before) ? StringValues.Concat(before, value) : value;
        }
    }

    /// <summary>Sends the body; an error after the head ends the connection, so that no client takes a short body for a whole one.</summary>
    public static async ValueTask WriteBodyAsync(S3Request request, ObjectRead read)
    {
        var http = request.Http;
        var response = http.Response;
        var aborted = http.RequestAborted;
        var direct = http.Features.Get<IBlockOutput>();
        var left = read.Span.Length;
        try
        {
            await response.StartAsync(aborted);
            var writer = response.BodyWriter;
            while (left > 0)
            {
                // A flush that had to wait for the socket comes back on the loop's thread. What lies in memory is sent from there; for the rest it is left, but before the first
                // piece: whoever came here has judged what that takes, and a change of threads is a fifth of 64 KiB from NVMe.
                if (!read.TryReadNext(out var piece))
                {
                    if (left < read.Span.Length)
                    {
                        await IoThread.LeaveAsync();
                    }

                    piece = await read.ReadNextAsync(aborted);
                }

                if (piece.IsEmpty || piece.Length > left)
                {
                    throw new IOException($"The body gave {read.Span.Length - left + piece.Length} of {read.Span.Length} bytes.");
                }

                left -= piece.Length;
                IoThread.EndTurn(Stopwatch.GetTimestamp());
                var flushed = direct is null ? await Stall.WriteAsync(request, piece) : await SendAsync(direct, writer, piece);
                request.BytesSent += piece.Length;
                if (flushed.IsCompleted && left > 0)
                {
                    return; // the client went away
                }
            }
        }
        catch (Exception) when (!aborted.IsCancellationRequested)
        {
            http.Abort();
            throw;
        }
    }

    private static async ValueTask<System.IO.Pipelines.FlushResult> SendAsync(IBlockOutput direct, System.IO.Pipelines.PipeWriter writer, ReadOnlyMemory<byte> piece)
    {
        direct.Attach(piece);
        try
        {
            writer.GetMemory(1);
            writer.Advance(piece.Length);
            return await writer.FlushAsync();
        }
        finally
        {
            direct.Detach();
        }
    }
}
