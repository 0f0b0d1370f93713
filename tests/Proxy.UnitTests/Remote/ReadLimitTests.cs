using Microsoft.Extensions.Time.Testing;
using Proxy.Backends.Remote;
using Proxy.S3.Errors;

namespace Proxy.UnitTests.Remote;

/// <summary>Whose turn it is while a backend says 503.</summary>
public sealed class ReadLimitTests
{
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Again_Refused_OldestGoesFirstWhoeverCameBackWhen()
    {
        using var limit = NewLimit();
        var first = await EnterAsync(limit);
        var second = await EnterAsync(limit);
        var third = await EnterAsync(limit);

        // Refused together, told in another order, and somebody new comes along.
        var thirdAgain = third.AgainAsync(default).AsTask();
        var newcomer = limit.EnterAsync(default).AsTask();
        var firstAgain = first.AgainAsync(default).AsTask();
        var secondAgain = second.AgainAsync(default).AsTask();
        Assert.Equal(0, limit.InUse);

        _time.Advance(LongestPause);
        await firstAgain;
        Assert.Equal([false, false, false], [secondAgain.IsCompleted, thirdAgain.IsCompleted, newcomer.IsCompleted]);

        // The scout is refused once more: it is the oldest still.
        firstAgain = first.AgainAsync(default).AsTask();
        _time.Advance(LongestPause);
        Assert.True(await firstAgain);
        Assert.Equal([false, false, false], [secondAgain.IsCompleted, thirdAgain.IsCompleted, newcomer.IsCompleted]);

        // It is let in, and the others follow at once.
        first.Answered();
        Assert.True(await secondAgain);
        Assert.True(await thirdAgain);
        (await newcomer).Dispose();
        first.Dispose();
        second.Dispose();
        third.Dispose();
        Assert.Equal(0, limit.InUse);
        Assert.True(limit.IsIdle);
    }

    [Fact]
    public async Task Again_ScoutIsNeverAnswered_TheNextFollowsAfterAnotherPause()
    {
        using var limit = NewLimit();
        var first = await EnterAsync(limit);
        var second = await EnterAsync(limit);
        var firstAgain = first.AgainAsync(default).AsTask();
        var secondAgain = second.AgainAsync(default).AsTask();
        _time.Advance(LongestPause);
        Assert.True(await firstAgain);
        Assert.False(secondAgain.IsCompleted);
        _time.Advance(LongestPause);
        Assert.True(await secondAgain);
    }

    /// <summary>Limiters count by the second, whatever RetryDelay says.</summary>
    [Fact]
    public async Task Again_FirstPauseIsAMinute_ScoutGoesWithinASecond()
    {
        using var limit = new ReadLimit(new BackendHealthOptions { MaxWait = TimeSpan.FromMinutes(10) }, _time, TimeSpan.FromMinutes(1));
        for (var i = 0; i < 20; i++)
        {
            var turn = await limit.EnterAsync(default);
            var again = turn.AgainAsync(default).AsTask();
            _time.Advance(LongestPause);
            Assert.True(await again.WaitAsync(TimeSpan.FromSeconds(10)));
            turn.Answered();
            turn.Dispose();
            _time.Advance(TimeSpan.FromSeconds(11)); // forgotten: the next refusal's pause is the first again
        }
    }

    [Fact]
    public async Task Answered_SentBeforeTheRefusal_IsNoNews()
    {
        using var limit = NewLimit();
        var first = await EnterAsync(limit);
        var second = await EnterAsync(limit);
        var firstAgain = first.AgainAsync(default).AsTask();
        second.Answered();
        Assert.False(firstAgain.IsCompleted);
        _time.Advance(LongestPause);
        Assert.True(await firstAgain);
    }

    [Fact]
    public async Task Refused_AllThatWereUnderWay_LowerTheLimitOnceAndScoutsNeverDo()
    {
        using var limit = NewLimit();
        var turns = new List<ReadTurn>();
        for (var i = 0; i < 8; i++)
        {
            turns.Add(await EnterAsync(limit));
        }

        var again = turns.ConvertAll(turn => turn.AgainAsync(default).AsTask());
        Assert.Equal(4, limit.Current);
        for (var i = 0; i < 5; i++)
        {
            _time.Advance(LongestPause);
            await again[0];
            again[0] = turns[0].AgainAsync(default).AsTask();
        }

        Assert.Equal(4, limit.Current);
    }

    [Fact]
    public async Task Again_WaitedLongEnough_IsOver()
    {
        using var limit = NewLimit(maxWait: TimeSpan.FromSeconds(3));
        var turn = await EnterAsync(limit);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.True(await AdvanceAsync(turn.AgainAsync(default).AsTask()));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(await turn.AgainAsync(default));
        turn.Dispose();
        Assert.Equal(0, limit.InUse);
    }

    [Fact]
    public async Task RefuseAll_EndsEveryWait()
    {
        using var limit = NewLimit();
        var turn = await EnterAsync(limit);
        var again = turn.AgainAsync(default).AsTask();
        var newcomer = limit.EnterAsync(default).AsTask();
        limit.RefuseAll("gone");
        Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => again)).Code);
        Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => newcomer)).Code);
        turn.Dispose();
        Assert.True(limit.IsIdle);
    }

    /// <summary>A limiter that counts by the second, and many more readers than it lets in: everybody gets through, in the order in which they came.</summary>
    [Theory]
    [InlineData(200, 64)]
    [InlineData(200, 128)]
    [InlineData(50, 64)]
    public async Task Load_LimiterCountsByTheSecond_NobodyWaitsLongerThanTheRateAsks(int perSecond, int readers)
    {
        using var limit = NewLimit(most: 128, least: 4);
        var reads = 15 * perSecond;
        var started = _time.GetTimestamp();
        TimeSpan Now() => _time.GetElapsedTime(started);
        var window = (Second: -1L, Used: 0);
        var longest = TimeSpan.Zero;
        var refused = 0;
        var failed = 0;
        var next = -1;
        var (entered, busy) = (0, readers);
        var answers = new List<TaskCompletionSource>();
        var running = new List<Task>();
        for (var reader = 0; reader < readers; reader++)
        {
            running.Add(ReadAsync());
        }

        while (!running.TrueForAll(task => task.IsCompleted))
        {
            // The readers do what there is to do before time goes on, however busy the machine is.
            for (var i = 0; i < 2 || Volatile.Read(ref busy) > 0 || Volatile.Read(ref entered) != limit.InUse || ThreadPool.PendingWorkItemCount > 0; i++)
            {
                await Task.Yield();
            }

            _time.Advance(TimeSpan.FromMilliseconds(1));
            TaskCompletionSource[] due;
            lock (running)
            {
                // Whom the time that has passed lets in is asking already, on another thread.
                due = [.. answers];
                answers.Clear();
            }

            foreach (var answer in due)
            {
                answer.SetResult();
            }

            Assert.True(Now() < TimeSpan.FromSeconds((2.0 * reads / perSecond) + 10), "half of what the limiter allows was left unused");
        }

        await Task.WhenAll(running);
        Assert.Equal(0, failed);
        Assert.True(refused > 0, "the limit was never reached: nothing was tested");
        Assert.True(longest.TotalSeconds < 3 + (2.0 * readers / perSecond), $"somebody waited {longest.TotalSeconds:0.0} s");

        async Task ReadAsync()
        {
            while (Interlocked.Increment(ref next) < reads)
            {
                var asked = Now();
                var turn = await IdleAsync(limit.EnterAsync(default).AsTask());
                Interlocked.Increment(ref entered);
                while (true)
                {
                    await IdleAsync(AnswerAsync());
                    bool isLetIn;
                    lock (running)
                    {
                        var second = (long)Now().TotalSeconds;
                        window = window.Second == second ? (second, window.Used + 1) : (second, 1);
                        isLetIn = window.Used <= perSecond;
                        refused += isLetIn ? 0 : 1;
                    }

                    if (isLetIn)
                    {
                        limit.Succeeded();
                        turn.Answered();
                        break;
                    }

                    Interlocked.Decrement(ref entered);
                    if (!await IdleAsync(turn.AgainAsync(default).AsTask()))
                    {
                        Interlocked.Increment(ref failed);
                        Interlocked.Decrement(ref busy);
                        return;
                    }

                    Interlocked.Increment(ref entered);
                }

                Interlocked.Decrement(ref entered);
                turn.Dispose();
                lock (running)
                {
                    longest = Now() - asked > longest ? Now() - asked : longest;
                }
            }

            Interlocked.Decrement(ref busy);
        }

        // In the next millisecond.
        async Task<bool> AnswerAsync()
        {
            var answer = new TaskCompletionSource();
            lock (running)
            {
                answers.Add(answer);
            }

            await answer.Task;
            return true;
        }

        async Task<T> IdleAsync<T>(Task<T> wait)
        {
            Interlocked.Decrement(ref busy);
            var result = await wait;
            Interlocked.Increment(ref busy);
            return result;
        }
    }

    /// <summary>They may never come to an end: half of the turns are for the others, whatever the limit falls to.</summary>
    [Fact]
    public async Task AtReadersPace_HaveHalfOfTheTurns_AlsoOnceTheLimitFell()
    {
        using var limit = NewLimit(most: 4, least: 2);
        var slow = new[] { await limit.EnterAsync(default, atReadersPace: true), await limit.EnterAsync(default, atReadersPace: true) };
        var third = limit.EnterAsync(default, atReadersPace: true).AsTask();
        Assert.False(third.IsCompleted);

        // Nobody queues behind those.
        var quick = new[] { await EnterAsync(limit), await EnterAsync(limit) };
        var fifth = limit.EnterAsync(default).AsTask();
        Assert.Equal((false, 4), (fifth.IsCompleted, limit.InUse));

        // 4 falls to 2, of which the slow two have one.
        limit.Throttled();
        quick[0].Dispose();
        Assert.False(fifth.IsCompleted);
        quick[1].Dispose();
        (await fifth).Dispose();
        Assert.False(third.IsCompleted);
        slow[0].Dispose();
        Assert.False(third.IsCompleted);
        slow[1].Dispose();
        (await third).Dispose();
        Assert.True(limit.IsIdle);
    }

    /// <summary>The oldest goes first, of whichever kind.</summary>
    [Fact]
    public async Task AtReadersPace_WithTurnsLeftForIt_WaitsByItsAge()
    {
        using var limit = NewLimit(most: 1);
        var first = await EnterAsync(limit);
        var slow = limit.EnterAsync(default, atReadersPace: true).AsTask();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        var quick = limit.EnterAsync(default).AsTask();
        first.Dispose();
        var second = await slow;
        Assert.False(quick.IsCompleted);
        second.Dispose();
        (await quick).Dispose();
        Assert.True(limit.IsIdle);
    }

    private ReadLimit NewLimit(int most = 8, int least = 1, TimeSpan? maxWait = null)
        => new(new BackendHealthOptions { MaxConcurrency = most, MinConcurrency = least, MaxWait = maxWait ?? TimeSpan.FromMinutes(1) }, _time);

    private async Task<ReadTurn> EnterAsync(ReadLimit limit)
    {
        var turn = await limit.EnterAsync(default);
        _time.Advance(TimeSpan.FromMilliseconds(1)); // the next one is younger
        return turn;
    }

    private async Task<bool> AdvanceAsync(Task<bool> again)
    {
        _time.Advance(TimeSpan.FromMilliseconds(200));
        return await again;
    }
}
