using System.Diagnostics;

namespace Proxy.Backends.Remote;

/// <summary>Counts every request to a backend.</summary>
/// <remarks>Around each of the pools of <see cref="RemoteHttp"/>. Bodies are counted by who reads and sends them. Thread-safe.</remarks>
internal sealed class CountingHandler(HttpMessageHandler inner, BackendCounters counters, TimeProvider time) : DelegatingHandler(inner)
{
    public static string OperationOf(HttpRequestMessage request) => request.Options.TryGetValue(RemoteBackend.OperationKey, out var named) ? named : "Unknown";

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var operation = OperationOf(request);
        using var span = BackendTrace.Start(operation, request);
        var started = time.GetTimestamp();
        counters.Begin();
        var status = 0;
        try
        {
            var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            status = (int)response.StatusCode;
            span?.SetTag("http.response.status_code", status);
            return response;
        }
        catch (Exception failure) when (span is not null)
        {
            span.SetStatus(ActivityStatusCode.Error, failure.Message);
            throw;
        }
        finally
        {
            counters.End(operation, status, time.GetElapsedTime(started));
        }
    }
}
