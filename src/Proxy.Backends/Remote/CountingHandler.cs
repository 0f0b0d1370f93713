using System.Diagnostics;

namespace Proxy.Backends.Remote;

/// <summary>Counts every request to a backend, and hands the raw answer to the SDK call that asked for it.</summary>
/// <remarks>The outermost handler of <see cref="RemoteHttp"/>; SDK calls and forwards both pass it. Thread-safe.</remarks>
internal sealed class CountingHandler(HttpMessageHandler inner, BackendCounters counters, TimeProvider time) : DelegatingHandler(inner)
{
    // The SDK builds the request message itself and shows no handle to it; its call flows with the execution context.
    private static readonly AsyncLocal<SdkCall?> Current = new();

    /// <summary>Every SDK call made in this asynchronous method from here on is this one.</summary>
    public static SdkCall Enter(string operation, bool takesAnswer)
    {
        var call = new SdkCall(operation, takesAnswer);
        Current.Value = call;
        return call;
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var call = request.Options.TryGetValue(RemoteBackend.OperationKey, out var operation) ? null : Current.Value;
        operation ??= call?.Operation ?? "Unknown";
        if (call?.PutRightAsync is { } putRightAsync)
        {
            await putRightAsync(request).ConfigureAwait(false);
        }

        using var span = BackendTrace.Start(operation, request);
        var sent = request.Content?.Headers.ContentLength ?? 0;
        var started = time.GetTimestamp();
        counters.Begin();
        var status = 0;
        try
        {
            var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            status = (int)response.StatusCode;
            await LeaveSocketThreadAsync();
            span?.SetTag("http.response.status_code", status);
            if (call is not null)
            {
                call.Response = response;
                if (call.TakesAnswer && response.IsSuccessStatusCode)
                {
                    return new HttpResponseMessage(response.StatusCode) { Content = new ByteArrayContent([]), RequestMessage = request };
                }
            }
            else if (request.Method != HttpMethod.Head && response.Content.Headers.ContentLength is { } length)
            {
                counters.Received(length);
            }

            return response;
        }
        catch (Exception failure) when (span is not null)
        {
            span.SetStatus(ActivityStatusCode.Error, failure.Message);
            throw;
        }
        finally
        {
            counters.End(operation, status, time.GetElapsedTime(started), sent);
        }
    }

    /// <summary>
    /// Socket completions run on the socket engine's own threads, and the SDK reads error documents and listings synchronously: on such a thread it would wait for
    /// bytes that only this thread can bring, until the timeout, and every other connection of the thread with it.
    /// </summary>
    private static async ValueTask LeaveSocketThreadAsync()
    {
        if (!Thread.CurrentThread.IsThreadPoolThread)
        {
            await Task.Yield();
        }
    }

    /// <summary>One SDK call: what the handler learns of its answer.</summary>
    internal sealed class SdkCall(string operation, bool takesAnswer)
    {
        public string Operation { get; } = operation;

        /// <summary>
        /// The caller owns a good answer, headers and body, and the SDK gets an empty one in its place: it would check a whole body's MD5 against an ETag
        /// that need not be one, and fail on it.
        /// </summary>
        public bool TakesAnswer { get; } = takesAnswer;

        /// <summary>Changes the SDK's request before it leaves; null leaves it.</summary>
        public Func<HttpRequestMessage, Task>? PutRightAsync { get; set; }

        /// <summary>Null until response headers came.</summary>
        public HttpResponseMessage? Response { get; set; }
    }
}
