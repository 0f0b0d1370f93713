using Amazon.Runtime;
using Polly;
using Polly.Retry;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Remote;

/// <summary>How a remote backend is asked: a turn under the read limit, an endpoint that answers, a deadline, tries again, a hedge.</summary>
/// <remarks>
/// Between <see cref="RemoteObjectStore"/> and whoever sends for it. Idempotent reads only: they are tried again, on another endpoint if there is one, until
/// the first byte of a body is out. Every answer and failure is told to the limit and to the backend's health. Thread-safe.
/// </remarks>
internal sealed class RemoteCalls
{
    private static readonly ResiliencePropertyKey<Effort> EffortKey = new("Proxy.Effort");

    private readonly RemoteBackend _backend;
    private readonly ReadLimit _limit;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _retries;
    private readonly HedgedReads _hedges;

    public RemoteCalls(RemoteBackend backend, ReadLimit limit, TimeProvider time)
    {
        _backend = backend;
        _limit = limit;
        _time = time;
        _hedges = new HedgedReads(backend, limit, time);
        _retries = new ResiliencePipelineBuilder { TimeProvider = time }.AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = int.MaxValue, // ShouldHandle ends it
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = backend.Options.RetryDelay,
            MaxDelay = TimeSpan.FromSeconds(1),
            ShouldHandle = args => ValueTask.FromResult(
                args.Outcome.Exception is S3Exception { Code: var code } && ReferenceEquals(code, S3ErrorCode.SlowDown) && backend.IsReachable
                && args.Context.Properties.TryGetValue(EffortKey, out var effort) && MayTryAgain(effort, args.AttemptNumber)),
            OnRetry = _ =>
            {
                backend.Counters.Retried();
                return ValueTask.CompletedTask;
            },
        }).Build();
    }

    /// <summary>Waits for a turn under the read limit; disposing it gives it back.</summary>
    /// <exception cref="S3Exception">SlowDown 503 when no turn came in time.</exception>
    public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellation)
    {
        try
        {
            return await _limit.EnterAsync(cancellation).ConfigureAwait(false);
        }
        catch (S3Exception)
        {
            _backend.Counters.RefusedAdmission();
            throw;
        }
    }

    /// <summary>Asks until there is an answer or no try is left.</summary>
    /// <param name="id">The object read; null for a list.</param>
    /// <param name="bucket">The backend's own name of the bucket.</param>
    /// <param name="ask">One try.</param>
    /// <param name="hedged">A second try may be started beside a slow first one; whichever answers first is taken.</param>
    /// <exception cref="S3Exception">What the backend said, or SlowDown 503 when it cannot be reached.</exception>
    public async ValueTask<T> AskAsync<T>(
        ObjectId? id, string bucket, Func<ReadTry, CancellationToken, Task<T>> ask, CancellationToken cancellation, bool hedged = false)
        where T : class
    {
        var effort = new Effort(_time.GetTimestamp());
        var context = ResilienceContextPool.Shared.Get(cancellation);
        context.Properties.Set(EffortKey, effort);
        try
        {
            var answer = await _retries.ExecuteAsync(
                async at =>
                {
                    effort.Tries++;
                    return await (hedged ? _hedges.AskAsync(TryAsync, at.CancellationToken) : TryAsync(at.CancellationToken)).ConfigureAwait(false);
                },
                context).ConfigureAwait(false);
            if (effort.Tries > 1)
            {
                _backend.Counters.FailureAbsorbed();
            }

            return answer;
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }

        Task<T> TryAsync(CancellationToken token) => TryOnceAsync(id, bucket, ask, effort, token);
    }

    /// <summary>
    /// A backend that says "not so fast" is asked again for as long as a turn would be waited for: the request keeps its turn meanwhile, so that
    /// the others wait behind it and the client sees a slow read instead of an error. Anything else has its number of tries.
    /// </summary>
    private bool MayTryAgain(Effort effort, int retriesBefore)
        => effort.WasThrottled ? _time.GetElapsedTime(effort.Started) < _backend.Options.Health.MaxWait : retriesBefore + 1 < _backend.Options.ReadAttempts;

    private async Task<T> TryOnceAsync<T>(
        ObjectId? id, string bucket, Func<ReadTry, CancellationToken, Task<T>> ask, Effort effort, CancellationToken cancellation)
    {
        effort.WasThrottled = false;
        if (!_backend.TryPickEndpoint(out var endpoint))
        {
            throw SdkErrors.SlowDown(id is { } known ? $"/{bucket}/{known.Key}" : $"/{bucket}", "The backend cannot be reached.", null);
        }

        using var deadline = new CancellationTokenSource(_backend.Options.ResponseTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        var at = new ReadTry(endpoint);
        try
        {
            var answer = await ask(at, either.Token).ConfigureAwait(false);
            _backend.ReportReached(endpoint);
            _limit.Succeeded();
            return answer;
        }
        catch (Exception failure) when (!cancellation.IsCancellationRequested)
        {
            var status = at.Status != 0 ? at.Status : failure is AmazonServiceException said ? (int)said.StatusCode : 0;
            if (status != 0)
            {
                _backend.ReportReached(endpoint);
            }
            else if (deadline.IsCancellationRequested || ConnectFailures.IsOne(failure))
            {
                _backend.ReportUnreachable(endpoint, failure);
            }

            if (status is 429 or 503)
            {
                effort.WasThrottled = true;
                _limit.Throttled();
            }
            else if (deadline.IsCancellationRequested)
            {
                _limit.Throttled(); // no answer in time: as good a sign of too much as being told
            }

            if (failure is AmazonServiceException refused && _backend.Keys.Judge(refused.StatusCode, refused.ErrorCode, told: null, $"/{bucket}") is { } refusal)
            {
                throw refusal;
            }

            throw SdkErrors.Translate(failure, id, bucket, status);
        }
    }

    /// <summary>One read over all its tries. Written by one try at a time, but for hedges, where either word will do.</summary>
    private sealed class Effort(long started)
    {
        public long Started { get; } = started;

        public int Tries { get; set; }

        /// <summary>The last try was told 503 or 429.</summary>
        public bool WasThrottled { get; set; }
    }
}
