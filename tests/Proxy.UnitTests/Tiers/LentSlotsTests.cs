using Proxy.Cache.Blocks;

namespace Proxy.UnitTests.Tiers;

public sealed class LentSlotsTests
{
    private const int Half = NativePages.LargePageBytes / 2;
    private const nint Page = 10 * NativePages.LargePageBytes;

    [Fact]
    public void Add_BothHalvesOfAPage_GoBackTogether()
    {
        var slots = new LentSlots(Half, mostWaiting: 4);
        Assert.Equal(default, slots.Add(Page + Half, wasLent: true));
        Assert.True(slots.AnyWaiting);
        Assert.Equal((Page, 2 * Half), slots.Add(Page, wasLent: true));
        Assert.False(slots.AnyWaiting);
    }

    /// <summary>The page is as good as whole when its other half was never lent.</summary>
    [Fact]
    public void Add_OtherHalfWasNotLent_GoesBackWithIt()
    {
        var slots = new LentSlots(Half, mostWaiting: 4);
        Assert.Equal(default, slots.Add(Page, wasLent: false));
        Assert.Equal(default, slots.Add(Page, wasLent: true));
        Assert.Equal((Page, 2 * Half), slots.Add(Page + Half, wasLent: false));
    }

    [Fact]
    public void Add_MoreThanMayWait_TheOldestGoesBackAlone()
    {
        var slots = new LentSlots(Half, mostWaiting: 2);
        Assert.Equal(default, slots.Add(Page, wasLent: true));
        Assert.Equal(default, slots.Add(Page + (2 * Half), wasLent: true));
        Assert.Equal((Page, Half), slots.Add(Page + (4 * Half), wasLent: true));
        Assert.Equal((Page + (2 * Half), Half), slots.TakeWaiting());
        Assert.Equal((Page + (4 * Half), Half), slots.TakeWaiting());
        Assert.Equal(default, slots.TakeWaiting());
    }

    [Theory]
    [InlineData(64 << 10)]
    [InlineData(NativePages.LargePageBytes)]
    [InlineData(NativePages.LargePageBytes + Half)]
    public void Add_SlotThatIsNotHalfAPage_GoesBackAtOnce(int bytes)
    {
        var slots = new LentSlots(bytes, mostWaiting: 4);
        Assert.Equal((Page, bytes), slots.Add(Page, wasLent: true));
        Assert.Equal(default, slots.Add(Page, wasLent: false));
        Assert.False(slots.AnyWaiting);
    }
}
