namespace Proxy.Backends.Remote;

/// <summary>Ends a forward whose backend keeps silent, and counts its bytes both ways.</summary>
/// <remarks>
/// Between YARP, whose one timeout is for whoever makes no progress, and the pool. A client that is slow to send its body keeps its request alive for as long as it is let; a backend
/// that has the request and says nothing does not. Thread-safe.
/// </remarks>
internal sealed class SilenceHandler(HttpMessageHandler inner, RemoteOptions options, BackendCounters counters, TimeProvider time) : DelegatingHandler(inner)
{
    /// <exception cref="BackendSilentException">The backend kept silent for its whole time.</exception>
    /// <exception cref="TimeoutException">The turn that the request was sent in was over before.</exception>
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var operation = CountingHandler.OperationOf(request);
        var traffic = counters.TrafficOf(operation);
        var patience = ForwardPatience.Of(operation, request.Content is null ? 0 : request.Content.Headers.ContentLength, options);
        var timeLeft = request.Options.TryGetValue(ReadTurn.Key, out var turn) ? turn.TimeLeft : TimeSpan.MaxValue;
        using var clock = new AnswerClock(timeLeft < patience.Head ? timeLeft : patience.Head, headIsAll: request.Content is null, time, cancellationToken);
        request.Options.Set(AnswerClock.Key, clock);
        if (request.Content is { } body)
        {
            request.Content = new WatchedContent(body, clock, traffic);
        }

        HttpResponseMessage response;
        try
        {
            response = await base.SendAsync(request, clock.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (clock.Token.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw timeLeft < patience.Head ? new TimeoutException("The backend did not answer within the read's time.", failure) : new BackendSilentException(patience.Head, failure);
        }

        if (request.Method != HttpMethod.Head)
        {
            response.Content = new AnswerContent(response.Content, traffic, patience.Body, time);
        }

        return response;
    }
}
