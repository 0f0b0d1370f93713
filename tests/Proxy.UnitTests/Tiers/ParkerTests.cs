using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>One thread sleeps, any other wakes it: by the system's semaphore and by the portable one.</summary>
public sealed class ParkerTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Unpark_BeforeThePark_IsNotLost(bool isPortable)
    {
        using var parker = new Parker(isPortable);
        parker.Unpark();
        parker.Unpark();
        parker.Park();
        parker.Park();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Park_SleepsUntilItIsWoken_EachTime(bool isPortable)
    {
        const int Rounds = 2_000;
        using var parker = new Parker(isPortable);
        using var back = new Parker(isPortable);
        var (asked, answered) = (0, 0);
        var thread = new Thread(() =>
        {
            for (var round = 1; round <= Rounds; round++)
            {
                parker.Park();
                answered = Volatile.Read(ref asked);
                back.Unpark();
            }
        })
        { IsBackground = true };
        thread.Start();
        for (var round = 1; round <= Rounds; round++)
        {
            Volatile.Write(ref asked, round);
            parker.Unpark();
            back.Park();
            Assert.Equal(round, answered);
        }

        Assert.True(thread.Join(TimeSpan.FromSeconds(10)));
    }

    /// <summary>Without a wake nobody goes on.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Park_Unwoken_DoesNotEnd(bool isPortable)
    {
        using var parker = new Parker(isPortable);
        var thread = new Thread(parker.Park) { IsBackground = true };
        thread.Start();
        Assert.False(thread.Join(TimeSpan.FromMilliseconds(100)));
        parker.Unpark();
        Assert.True(thread.Join(TimeSpan.FromSeconds(10)));
    }
}
