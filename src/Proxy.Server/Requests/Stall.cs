using System.IO.Pipelines;
using Proxy.Server.Transport;

namespace Proxy.Server.Requests;

/// <summary>Ends what a client does not go on with: a body that sends nothing, an answer that nobody reads, for S3:StallTimeout.</summary>
/// <remarks>Kestrel's own minimum rates will not do: they credit a client with what it did quickly before, so one that stalls late is waited for for hours.</remarks>
internal static class Stall
{
    /// <summary>What a client has one timeout for: two records of TLS. Of a whole block a slow one, which takes a little all the time, would not be done in it.</summary>
    private const int SliceBytes = 32 << 10;

    /// <summary>Writes all of it, and ends the connection when the client takes nothing of it in time.</summary>
    /// <remarks>Waits for a flush that is timed out even so: the bytes under it may be a leased block, which must not be given back while the socket holds it.</remarks>
    public static ValueTask<FlushResult> WriteAsync(S3Request request, ReadOnlyMemory<byte> bytes)
    {
        var writer = request.Response.BodyWriter;

        // On our own transport the loop sees what each client takes.
        return request.Http.Features.Get<IBlockOutput>() is not null ? writer.WriteAsync(bytes, request.Aborted) : WriteSlicesAsync(writer, bytes, request);
    }

    private static async ValueTask<FlushResult> WriteSlicesAsync(PipeWriter writer, ReadOnlyMemory<byte> bytes, S3Request request)
    {
        while (true)
        {
            var slice = bytes[..Math.Min(SliceBytes, bytes.Length)];
            var flush = writer.WriteAsync(slice, request.Aborted);
            var flushed = flush.IsCompleted ? await flush : await WaitAsync(flush.AsTask(), request.StallTimeout, request.Http.Abort);
            bytes = bytes[slice.Length..];
            if (bytes.IsEmpty || flushed.IsCompleted)
            {
                return flushed;
            }
        }
    }

    private static async ValueTask<FlushResult> WaitAsync(Task<FlushResult> flush, TimeSpan timeout, Action abort)
    {
        try
        {
            return await flush.WaitAsync(timeout, CancellationToken.None);
        }
        catch (TimeoutException)
        {
            abort();
            return await flush;
        }
    }
}
