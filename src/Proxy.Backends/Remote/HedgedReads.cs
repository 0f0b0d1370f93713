using Proxy.S3.Errors;

namespace Proxy.Backends.Remote;

/// <summary>Asks a late read a second time beside the first; the first good answer wins and the other is taken back.</summary>
/// <remarks>
/// Between <see cref="RemoteObjectStore"/>, which knows how to ask once, and <see cref="HedgeBudget"/>, which knows when and how often. Not while the
/// backend says that it gets too much. Thread-safe.
/// </remarks>
internal sealed class HedgedReads(RemoteBackend backend, ReadLimit limit, TimeProvider time)
{
    private readonly HedgeBudget _budget = new(backend.Options.Health.HedgePercent);

    /// <param name="askOnce">Idempotent. May run twice at once; an answer nobody wants is disposed if it can be.</param>
    /// <returns>The first good answer, or what the last of both threw.</returns>
    public async Task<T> AskAsync<T>(Func<CancellationToken, Task<T>> askOnce, CancellationToken cancellation)
        where T : class
    {
        var started = time.GetTimestamp();
        using var stopFirst = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var stopSecond = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var first = askOnce(stopFirst.Token);
        if (_budget.Delay() is not { } delay || limit.IsLowered || await IsDoneWithinAsync(first, delay, cancellation).ConfigureAwait(false)
            || cancellation.IsCancellationRequested || !_budget.TryTake())
        {
            var only = await first.ConfigureAwait(false);
            _budget.Answered(time.GetElapsedTime(started));
            return only;
        }

        backend.Counters.Hedged();
        var second = askOnce(stopSecond.Token);
        var winner = await Task.WhenAny(first, second).ConfigureAwait(false);
        if (!winner.IsCompletedSuccessfully)
        {
            winner = winner == first ? second : first;
        }

        try
        {
            var answer = await winner.ConfigureAwait(false);
            _budget.Answered(time.GetElapsedTime(started));
            return answer;
        }
        finally
        {
            backend.Counters.HedgeEnded(won: winner == second && second.IsCompletedSuccessfully);
            var loser = winner == first ? second : first;
            await (loser == first ? stopFirst : stopSecond).CancelAsync().ConfigureAwait(false);
            _ = DiscardAsync(loser);
        }
    }

    private async ValueTask<bool> IsDoneWithinAsync(Task task, TimeSpan delay, CancellationToken cancellation)
    {
        // Goes on where the answer came in: nothing is handed to another thread while no second try is needed.
        await task.WaitAsync(delay, time, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return task.IsCompleted;
    }

    private static async Task DiscardAsync<T>(Task<T> loser)
    {
        try
        {
            if (await loser.ConfigureAwait(false) is IAsyncDisposable answer)
            {
                await answer.DisposeAsync().ConfigureAwait(false);
            }
        }
        catch (Exception lost) when (lost is OperationCanceledException or S3Exception)
        {
            // It was not waited for.
        }
    }
}
