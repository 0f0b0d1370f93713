using Amazon.Runtime;
using Polly;
using Polly.Retry;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Remote;

/// <summary>How a remote backend is asked: a turn under the read limit, an endpoint that answers, a deadline, tries again, a hedge.</summary>
/// <remarks>
/// Between <see cref="RemoteObjectStore"/> and whoever sends for it. Idempotent reads only: they are tried again, on another endpoint if there is one, until
/// the first byte of a body is out or <see cref="RemoteOptions.ReadTimeout"/> is over. Every answer and failure is told to the limit and to the backend's health, but for
/// keys of ours that are not to be had. Thread-safe.
/// </remarks>
internal sealed class RemoteCalls
{
    private static readonly ResiliencePropertyKey<Effort> EffortKey = new("Proxy.Effort");
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    /// <summary>A deadline's timer may fire a millisecond early: what is left then is no time for another try, and would still be a request.</summary>
    private static readonly TimeSpan WorthATry = TimeSpan.FromMilliseconds(10);

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
            DelayGenerator = args => ValueTask.FromResult<TimeSpan?>(Pause(args.AttemptNumber)),
            ShouldHandle = args => ValueTask.FromResult(
                args.Outcome.Exception is S3Exception { Code: var code } && ReferenceEquals(code, S3ErrorCode.SlowDown) && backend.IsReachable
                && args.Context.Properties.TryGetValue(EffortKey, out var effort) && !effort.WasThrottled
                && args.AttemptNumber + 1 < backend.Options.ReadAttempts && effort.Turn.TimeLeft > WorthATry),
            OnRetry = _ =>
            {
                backend.Counters.Retried();
                return ValueTask.CompletedTask;
            },
        }).Build();
    }

    /// <summary>Asks until there is an answer, no try is left or the time is over.</summary>
    /// <param name="id">The object read; null for a list.</param>
    /// <param name="bucket">The backend's own name of the bucket.</param>
    /// <param name="ask">One try.</param>
    /// <param name="hedged">A second try may be started beside a slow first one; whichever answers first is taken.</param>
    /// <exception cref="S3Exception">What the backend said, or SlowDown 503 when it cannot be reached.</exception>
    public async ValueTask<T> AskAsync<T>(
        ReadTurn turn, ObjectId? id, string bucket, Func<ReadTry, CancellationToken, Task<T>> ask, CancellationToken cancellation, bool hedged = false)
        where T : class
    {
        var effort = new Effort(turn);
        var context = ResilienceContextPool.Shared.Get(cancellation);
        context.Properties.Set(EffortKey, effort);
        try
        {
            var answer = await _retries.ExecuteAsync(
                async at => await AskUnthrottledAsync(() => hedged ? _hedges.AskAsync(TryAsync, at.CancellationToken) : TryAsync(at.CancellationToken), effort, at.CancellationToken)
                    .ConfigureAwait(false),
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

    /// <summary>Full jitter, also where the longest pause is reached: reads that failed together do not come back together.</summary>
    private TimeSpan Pause(int retriesBefore)
        => TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * Math.Min(LongestPause.TotalMilliseconds, _backend.Options.RetryDelay.TotalMilliseconds * Math.Pow(2, retriesBefore)));

    /// <summary>
    /// A backend that says "not so fast" is asked again in the read's next turn, for as long as turns are waited for: the client sees a slow read instead of an
    /// error. Anything else has its number of tries.
    /// </summary>
    private async ValueTask<T> AskUnthrottledAsync<T>(Func<Task<T>> ask, Effort effort, CancellationToken cancellation)
    {
        while (true)
        {
            effort.Tries++;
            try
            {
                return await ask().ConfigureAwait(false);
            }
            catch (S3Exception) when (effort.WasThrottled && _backend.IsReachable)
            {
                if (!await effort.Turn.AgainAsync(cancellation).ConfigureAwait(false))
                {
                    throw;
                }

                _backend.Counters.Retried();
            }
        }
    }

    private async Task<T> TryOnceAsync<T>(
        ObjectId? id, string bucket, Func<ReadTry, CancellationToken, Task<T>> ask, Effort effort, CancellationToken cancellation)
    {
        effort.WasThrottled = false;

        // Before the backend's time runs: who gives out keys too late, or none, is not the backend.
        var credential = await _backend.GetCredentialAsync(effort.Turn.TimeLeft, cancellation).ConfigureAwait(false);
        if (!_backend.TryPickEndpoint(out var endpoint))
        {
            throw SdkErrors.SlowDown(id is { } known ? $"/{bucket}/{known.Key}" : $"/{bucket}", "The backend cannot be reached.", null);
        }

        // What is left of the whole: a try that gets less than its own time says nothing of the backend when it ends.
        var patience = _backend.Options.ResponseTimeout;
        var isShort = effort.Turn.TimeLeft < patience;
        using var deadline = new CancellationTokenSource(isShort ? effort.Turn.TimeLeft : patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        var at = new ReadTry(endpoint, credential);
        try
        {
            var answer = await ask(at, either.Token).ConfigureAwait(false);
            _backend.ReportReached(endpoint);
            _limit.Succeeded();
            effort.Turn.Answered();
            return answer;
        }
        catch (Exception failure) when (!cancellation.IsCancellationRequested)
        {
            // What it failed with comes first: of a listing an earlier page may have been answered.
            var status = failure is AmazonServiceException said && (int)said.StatusCode is > 0 and var told ? told : at.Status;
            var isLate = status == 0 && deadline.IsCancellationRequested && !ConnectFailures.IsOne(failure);
            var cause = isLate ? new BackendSilentException(patience, failure) : failure;
            if (status != 0)
            {
                _backend.ReportReached(endpoint);
            }
            else if (isLate ? !isShort : ConnectFailures.IsOne(failure))
            {
                _backend.ReportUnreachable(endpoint, cause);
            }

            if (status is 429 or 503)
            {
                effort.WasThrottled = true;
            }
            else if (status != 0)
            {
                effort.Turn.Answered();
            }
            else if (isLate && !isShort)
            {
                _limit.Throttled(); // no answer in time: as good a sign of too much as being told
            }

            if (failure is AmazonServiceException refused && _backend.Keys.Judge(refused.StatusCode, refused.ErrorCode, $"/{bucket}") is { } refusal)
            {
                throw refusal;
            }

            throw SdkErrors.Translate(cause, id, bucket, status);
        }
    }

    /// <summary>One read over all its tries. Written by one try at a time, but for hedges, where either word will do.</summary>
    private sealed class Effort(ReadTurn turn)
    {
        public ReadTurn Turn { get; } = turn;

        public int Tries { get; set; }

        /// <summary>The last try was told 503 or 429.</summary>
        public bool WasThrottled { get; set; }
    }
}
