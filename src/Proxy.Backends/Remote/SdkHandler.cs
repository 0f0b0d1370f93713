namespace Proxy.Backends.Remote;

/// <summary>What the AWS SDK's requests, which are listings, need on their way to <see cref="CountingHandler"/>.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class SdkHandler(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // The SDK makes the message itself: what it asks for has to be read off it.
        var operation = request.RequestUri!.Query.Contains("list-type=2", StringComparison.Ordinal) ? "ListObjectsV2" : "ListBuckets";
        request.Options.Set(RemoteBackend.OperationKey, operation);
        var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);

        // Socket completions run on the socket engine's own threads, and the SDK reads what came synchronously: on such a thread it would wait for
        // bytes that only this thread can bring, until the timeout, and every other connection of the thread with it.
        if (!Thread.CurrentThread.IsThreadPoolThread)
        {
            await Task.Yield();
        }

        return response;
    }
}
