using Proxy.Cache.Blocks;

namespace Proxy.UnitTests.Tiers;

public sealed class ColdSlotsTests
{
    private const int Half = NativePages.LargePageBytes / 2;
    private const nint Page = 10 * NativePages.LargePageBytes;

    public ColdSlotsTests() => Assert.SkipUnless(OperatingSystem.IsLinux(), "large pages are Linux's");

    [Fact]
    public void TryTake_HalfWhoseOtherHoldsMemory_GoesOutBeforeAPageIsBegun()
    {
        var slots = new ColdSlots(Half);
        Assert.True(slots.Put(Page, 2 * Half));
        Assert.False(slots.Put(Page + (3 * Half), Half));
        Assert.Equal(1, slots.Halves);
        Assert.Equal((Page + (3 * Half), true), Take(slots));
        Assert.Equal((Page, false), Take(slots));
        Assert.Equal((Page + Half, true), Take(slots));
        Assert.False(slots.TryTake(out _, out _));
    }

    [Fact]
    public void Put_HalvesOneAfterTheOther_AreAPage()
    {
        var slots = new ColdSlots(Half);
        Assert.False(slots.Put(Page + Half, Half));
        Assert.True(slots.Put(Page, Half));
        Assert.Equal(0, slots.Halves);
        Assert.Equal((Page, false), Take(slots));
    }

    [Fact]
    public void TryTakeOther_TakesItOut_AndNoOther()
    {
        var slots = new ColdSlots(Half);
        nint[] halves = [Page, Page + (2 * Half), Page + (5 * Half), Page + (7 * Half)];
        Assert.All(halves, half => Assert.False(slots.Put(half, Half)));
        Assert.True(slots.TryTakeOther(Page + (3 * Half)));
        Assert.False(slots.TryTakeOther(Page + (3 * Half)));
        Assert.False(slots.TryTakeOther(Page));
        Assert.Equal([Page, Page + (5 * Half), Page + (7 * Half)], new[] { Take(slots).Slot, Take(slots).Slot, Take(slots).Slot }.Order());
    }

    [Theory]
    [InlineData(64 << 10)]
    [InlineData(NativePages.LargePageBytes)]
    public void Put_SlotThatIsNotHalfAPage_IsOneByItself(int bytes)
    {
        var slots = new ColdSlots(bytes);
        Assert.False(slots.Put(Page, bytes));
        Assert.False(slots.TryTakeOther(Page ^ bytes));
        Assert.Equal((0, (Page, false)), (slots.Halves, Take(slots)));
        Assert.False(slots.TryTake(out _, out _));
    }

    private static (nint Slot, bool CompletesPage) Take(ColdSlots slots)
    {
        Assert.True(slots.TryTake(out var slot, out var completesPage));
        return (slot, completesPage);
    }
}
