using Proxy.S3.Auth;

namespace Proxy.Backends.Remote;

/// <summary>What the AWS SDK's requests, which are listings, need on their way to <see cref="CountingHandler"/>.</summary>
/// <remarks>
/// They are signed anew where everything else is signed, by the backend's clock: the SDK has one of its own, which learns nothing from the other requests and teaches
/// them nothing. Thread-safe.
/// </remarks>
internal sealed class SdkHandler(HttpMessageHandler inner, RemoteBackend backend) : DelegatingHandler(inner)
{
    /// <summary>No page of a thousand keys is longer, whatever their names.</summary>
    private const int MaxAnswerBytes = 64 << 20;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // The SDK makes the message itself: what it asks for has to be read off it.
        var operation = request.RequestUri!.Query.Contains("list-type=2", StringComparison.Ordinal) ? "ListObjectsV2" : "ListBuckets";
        request.Options.Set(RemoteBackend.OperationKey, operation);
        var response = await SignAndSendAsync(request, cancellationToken).ConfigureAwait(false);
        if (await backend.Clock.WasMisdatedAsync(response, cancellationToken).ConfigureAwait(false))
        {
            response.Dispose();
            response = await SignAndSendAsync(request, cancellationToken).ConfigureAwait(false);
        }

        // The SDK reads what came synchronously: on a thread of the socket engine it would wait for bytes that only this thread can bring, until the timeout, and every
        // other connection of the thread with it. So all of it is here before it begins, on another thread.
        await response.Content.LoadIntoBufferAsync(MaxAnswerBytes, cancellationToken).ConfigureAwait(false);
        backend.Counters.TrafficOf(operation).Received((await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false)).Length);
        if (!Thread.CurrentThread.IsThreadPoolThread)
        {
            await Task.Yield();
        }

        return response;
    }

    private async ValueTask<HttpResponseMessage> SignAndSendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var credential = await backend.GetCredentialAsync(cancellation).ConfigureAwait(false);
        var headers = request.Headers;
        headers.Remove("Authorization");
        headers.Remove("x-amz-date");
        headers.Remove("x-amz-content-sha256");
        headers.Remove("x-amz-security-token");
        List<KeyValuePair<string, string>> signed = [];
        foreach (var (name, value) in headers.NonValidated)
        {
            if (name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase))
            {
                signed.Add(new(name, value.ToString()));
            }
        }

        var signature = backend.Signer.Sign(request.Method.Method, request.RequestUri!.PathAndQuery, headers.Host ?? request.RequestUri.Authority, signed, PayloadHash.Empty, credential);
        RemoteBackend.Carry(request, signature);
        return await base.SendAsync(request, cancellation).ConfigureAwait(false);
    }
}
