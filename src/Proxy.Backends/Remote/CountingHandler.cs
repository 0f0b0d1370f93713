using System.Net.Http.Headers;

namespace Proxy.Backends.Remote;

/// <summary>Counts every request to a backend, and hands the raw response headers to the SDK call that asked for them.</summary>
/// <remarks>The outermost handler of <see cref="RemoteHttp"/>; SDK calls and forwards both pass it. Thread-safe.</remarks>
internal sealed class CountingHandler(HttpMessageHandler inner, BackendCounters counters, TimeProvider time) : DelegatingHandler(inner)
{
    /// <summary>The operation's name, set by whoever builds the request message.</summary>
    public static readonly HttpRequestOptionsKey<string> Operation = new("Proxy.Operation");

    // The SDK builds the request message itself and shows no handle to it; its call flows with the execution context.
    private static readonly AsyncLocal<SdkCall?> Current = new();

    /// <summary>Every SDK call made in this asynchronous flow from here on is this one.</summary>
    public static SdkCall Enter(string operation)
    {
        var call = new SdkCall(operation);
        Current.Value = call;
        return call;
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var call = request.Options.TryGetValue(Operation, out var operation) ? null : Current.Value;
        operation ??= call?.Operation ?? "Unknown";
        var sent = request.Content?.Headers.ContentLength ?? 0;
        var started = time.GetTimestamp();
        counters.Begin();
        var status = 0;
        try
        {
            var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            status = (int)response.StatusCode;
            if (call is not null)
            {
                call.Status = status;
                call.Headers = response.Headers.NonValidated;
                call.ContentHeaders = response.Content.Headers.NonValidated;
            }
            else if (request.Method != HttpMethod.Head && response.Content.Headers.ContentLength is { } length)
            {
                counters.Received(length);
            }

            return response;
        }
        finally
        {
            counters.End(operation, status, time.GetElapsedTime(started), sent);
        }
    }

    /// <summary>One SDK call: what the handler learns of its answer.</summary>
    internal sealed class SdkCall(string operation)
    {
        public string Operation { get; } = operation;

        /// <summary>0 until an answer came.</summary>
        public int Status { get; set; }

        /// <summary>As they stood on the wire, in order.</summary>
        public HttpHeadersNonValidated Headers { get; set; }

        public HttpHeadersNonValidated ContentHeaders { get; set; }
    }
}
