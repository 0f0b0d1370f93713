using System.IO.Pipelines;

namespace Proxy.Server.Requests;

/// <summary>Ends what a client does not go on with: a body that sends nothing, an answer that nobody reads, for S3:StallTimeout.</summary>
/// <remarks>Kestrel's own minimum rates will not do: they credit a client with what it did quickly before, so one that stalls late is waited for for hours.</remarks>
internal static class Stall
{
    /// <summary>A flush that ends the connection when the client takes nothing of it in time; one that is done already costs nothing.</summary>
    /// <remarks>Waits for the flush even so: the bytes under it may be a leased block, which must not be given back while the socket holds it.</remarks>
    public static ValueTask<FlushResult> GuardAsync(ValueTask<FlushResult> flush, S3Request request)
        => flush.IsCompleted ? flush : WaitAsync(flush.AsTask(), request.StallTimeout, request.Http.Abort);

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
