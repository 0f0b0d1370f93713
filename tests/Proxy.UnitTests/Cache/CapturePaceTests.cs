using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Proxy.Cache;
using Proxy.Cache.Captures;
using Proxy.Cache.Fills;
using Proxy.Cache.Tiers;
using Proxy.UnitTests.Tiers;
using static Proxy.UnitTests.Tiers.TierStacks;

namespace Proxy.UnitTests.Cache;

public sealed class CapturePaceTests
{
    /// <summary>Who uploads faster than the disk takes it waits for it: a tenth of the time, and where memory runs out a burst of a second.</summary>
    [Fact]
    public async Task Capture_WhileTheDiskIsBehind_WaitsATenthAtMost_AndASecondWhereMemoryRunsOut()
    {
        using var directory = new TestDirectory();
        var format = await HoldOpeningAsync(directory);
        await using var tiers = TierStack.Open(Options(directory.Path), TimeProvider.System, NullLoggerFactory.Instance);
        var counters = new CacheCounters();
        var time = new FakeTimeProvider();
        var begun = time.GetTimestamp();
        var step = TimeSpan.FromMilliseconds(10); // of the upload, and what the last wait may be late by
        using var capture = new BlockCapture(tiers, new FillBudget(64 << 20), counters, 512 << 10, time);
        Assert.True(capture.PaceAsync(TestContext.Current.CancellationToken).AsTask().IsCompletedSuccessfully);
        var number = 0;
        try
        {
            FallBehind(1.0 / 16);
            await SendAsync(TimeSpan.FromMilliseconds(600));
            Assert.InRange(Waited(), Elapsed() / 15, (Elapsed() * 0.1) + step);
            FallBehind(1.0 / 8);
            await SendAsync(TimeSpan.FromSeconds(1));
            Assert.InRange(Waited(), Elapsed() / 3, (Elapsed() * 0.75) + step);
            await SendAsync(TimeSpan.FromSeconds(2.5));
            Assert.InRange(Waited(), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1) + step);
            await SendAsync(TimeSpan.FromSeconds(20));
            Assert.InRange(Waited(), Elapsed() / 11, (Elapsed() * 0.1) + step);
        }
        finally
        {
            await File.WriteAllTextAsync(format, "", TestContext.Current.CancellationToken);
        }

        await UntilAsync(() => tiers.Backlog < 1.0 / 16, tiers);
        time.Advance(step);
        Assert.True(capture.PaceAsync(TestContext.Current.CancellationToken).AsTask().IsCompletedSuccessfully);

        TimeSpan Waited() => TimeSpan.FromTicks(Interlocked.Read(ref counters.CaptureWaitTicks));

        TimeSpan Elapsed() => time.GetElapsedTime(begun);

        void FallBehind(double share)
        {
            for (; tiers.Backlog <= share; number++)
            {
                Assert.InRange(number, 0, 24);
                tiers.Publish(TestBlocks.Id(number), TestBlocks.Rent(tiers.Pool, number, 512 << 10), Admission.Always);
            }
        }

        async Task SendAsync(TimeSpan until)
        {
            while (Elapsed() < until)
            {
                time.Advance(step);
                var pace = capture.PaceAsync(TestContext.Current.CancellationToken).AsTask();
                while (!pace.IsCompleted)
                {
                    // Time goes on when the wait that it ended has been counted; a wait that had not begun yet ends with the next step.
                    var before = Waited();
                    time.Advance(TimeSpan.FromMilliseconds(2));
                    for (var looks = 0; looks < 100 && Waited() == before && !pace.IsCompleted; looks++)
                    {
                        await Task.Delay(1, TestContext.Current.CancellationToken);
                    }
                }
            }
        }
    }
}
