namespace Proxy.Server.Requests;

/// <summary>Work that may take longer than a client waits in silence: 200 and white space meanwhile, as S3 does, and then the result or an Error.</summary>
/// <remarks>
/// Who waits here has checked all that can be checked before: from the first white space on a refusal goes out under 200. <see cref="XmlAnswer"/> and <see cref="ErrorWriter"/>
/// go on with an answer that has begun so.
/// </remarks>
internal static class LateAnswer
{
    /// <value>2 s: under the shortest read timeouts that people set, 5 s. What is quicker is answered with its own status and length.</value>
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(2);

    // Strict parsers take no white space before the declaration.
    private static readonly byte[] Declaration = [.. "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n "u8];

    /// <param name="work">Ends when the request is aborted.</param>
    public static async ValueTask<T> WaitAsync<T>(S3Request request, Task<T> work, TimeProvider time)
    {
        while (true)
        {
            using var tick = new CancellationTokenSource();
            if (await Task.WhenAny(work, Task.Delay(Every, time, tick.Token)) == work)
            {
                await tick.CancelAsync();
                return await work;
            }

            try
            {
                await GiveSpaceAsync(request);
            }
            catch
            {
                await Task.WhenAny(work); // what it uses is not to be disposed under it
                throw;
            }
        }
    }

    /// <summary>What of a document is still to be sent.</summary>
    public static ReadOnlyMemory<byte> WithoutDeclaration(ReadOnlyMemory<byte> document)
        => document.Span.StartsWith("<?xml"u8) && document.Span.IndexOf("?>"u8) is var end and >= 0 ? document[(end + 2)..] : document;

    private static async ValueTask GiveSpaceAsync(S3Request request)
    {
        var response = request.Response;
        var isFirst = !request.IsKeptWaiting;
        if (isFirst)
        {
            request.IsKeptWaiting = true;
            request.MarkFirstByte();
            response.StatusCode = StatusCodes.Status200OK;
            response.ContentType = "application/xml";
        }

        ReadOnlyMemory<byte> piece = isFirst ? Declaration : Declaration.AsMemory(Declaration.Length - 1);
        request.BytesSent += piece.Length;
        await Stall.WriteAsync(request, piece);
    }
}
