using System.Buffers;

namespace Proxy.Server.Requests;

/// <summary>Sends an object body that comes as a stream: what passes by the cache.</summary>
internal static class StreamBody
{
    private const int BufferBytes = 256 << 10;

    /// <summary>Exactly <paramref name="length"/> bytes; an early end or an error of the source cuts the connection.</summary>
    public static async ValueTask WriteAsync(S3Request request, Stream content, long length)
    {
        var http = request.Http;
        var aborted = http.RequestAborted;
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(length, BufferBytes));
        try
        {
            await http.Response.StartAsync(aborted);
            for (var left = length; left > 0;)
            {
                var read = await content.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), aborted);
                if (read == 0)
                {
                    throw new IOException($"The body ended {left} bytes early.");
                }

                left -= read;
                var flushed = await Stall.WriteAsync(request, buffer.AsMemory(0, read));
                request.BytesSent += read;
                if (flushed.IsCompleted)
                {
                    return;
                }
            }
        }
        catch (Exception) when (!aborted.IsCancellationRequested)
        {
            http.Abort();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
