using System.Diagnostics;
using Proxy.Server.Transport;

namespace Proxy.UnitTests.Server.Transport;

public sealed class SocketReadinessTests
{
    private SocketReadiness _readiness;

    [Fact]
    public void TryWake_OfAWait_IsToldOnce()
    {
        Assert.True(_readiness.TryWait());
        Assert.True(_readiness.TryWake());
        Assert.False(_readiness.TryWake());
        Assert.True(_readiness.IsReady);
    }

    [Fact]
    public void Event_BetweenTryAndWait_IsNotLost()
    {
        _readiness.Clear();
        Assert.False(_readiness.TryWake());
        Assert.False(_readiness.TryWait());
        Assert.True(_readiness.IsReady);
    }

    [Fact]
    public void TryCancelWait_LeavesNothingForTheEvent()
    {
        Assert.False(_readiness.TryCancelWait());
        Assert.True(_readiness.TryWait());
        Assert.True(_readiness.TryCancelWait());
        Assert.False(_readiness.TryCancelWait());
        Assert.False(_readiness.TryWake());
        Assert.True(_readiness.IsReady);
    }

    /// <summary>Whoever waits goes on exactly once for each wait, whatever comes in what order: an event, a cancellation, both at once.</summary>
    [Fact]
    public async Task EveryWait_EndsOnce_UnderEventsAndCancellations()
    {
        const int Waits = 200_000;
        var started = Stopwatch.GetTimestamp();
        var (pending, goneOn, isOver) = (new SemaphoreSlim(0), 0, false);
        var events = Task.Run(() =>
        {
            while (!Volatile.Read(ref isOver))
            {
                if (_readiness.TryWake())
                {
                    Interlocked.Increment(ref goneOn);
                    pending.Release();
                }
            }
        });
        var cancellations = Task.Run(() =>
        {
            while (!Volatile.Read(ref isOver))
            {
                if (_readiness.TryCancelWait())
                {
                    Interlocked.Increment(ref goneOn);
                    pending.Release();
                }
            }
        });
        var waits = 0;
        for (var i = 0; i < Waits && Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(3); i++)
        {
            _readiness.Clear();
            if (_readiness.TryWait())
            {
                waits++;
                Assert.True(await pending.WaitAsync(TimeSpan.FromSeconds(30)), $"wait {i} never ended");
            }
        }

        Volatile.Write(ref isOver, true);
        await Task.WhenAll(events, cancellations);
        Assert.InRange(waits, 1, Waits);
        Assert.Equal(waits, goneOn);
        Assert.Equal(0, pending.CurrentCount);
    }
}
