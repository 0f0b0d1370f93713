using System.Diagnostics;

namespace Proxy.Backends.Remote;

/// <summary>Counts every request to a backend.</summary>
/// <remarks>Around each of the pools of <see cref="RemoteHttp"/>. Thread-safe.</remarks>
/// <param name="countsBodies">Answers' bodies are counted here, by their declared length. False where who reads them counts.</param>
internal sealed class CountingHandler(HttpMessageHandler inner, BackendCounters counters, bool countsBodies, TimeProvider time) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var operation = request.Options.TryGetValue(RemoteBackend.OperationKey, out var named) ? named : "Unknown";
        using var span = BackendTrace.Start(operation, request);
        var sent = request.Content?.Headers.ContentLength ?? 0;
        var started = time.GetTimestamp();
        counters.Begin();
        var status = 0;
        try
        {
            var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            status = (int)response.StatusCode;
            span?.SetTag("http.response.status_code", status);
            if (countsBodies && request.Method != HttpMethod.Head && response.Content.Headers.ContentLength is { } length)
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
}
