using Proxy.Cache.Blocks;

namespace Proxy.UnitTests.Tiers;

/// <summary>What of the pool's large pages is resident is what the pool counts.</summary>
public sealed class LargePageTests
{
    public LargePageTests() => Assert.SkipUnless(NativePages.AreOfBlocks && File.Exists("/sys/kernel/mm/transparent_hugepage/enabled"), "this system has no large pages");

    /// <summary>A block's first write finds a whole large page; when the block's memory changes its size, the rest of that page goes too.</summary>
    [Fact]
    public unsafe void Rent_OtherSizesTakeTheMemoryOfHalfALargePage_NothingOfThePageStaysBehind()
    {
        using var pool = new BlockPool(8 << 20);
        var block = TestBlocks.Rent(pool, 1, 1 << 20);
        var page = (nint)block.Address & ~(nint)(NativePages.LargePageBytes - 1);
        block.Release();
        var parts = RentAll(pool, 64 << 10);
        Assert.Equal(0, ProcessPages.Resident(page, NativePages.LargePageBytes));
        parts.ForEach(part => part.Release());
    }

    /// <summary>The system makes large pages of what it finds within minutes; of one whose half is not the pool's just then it must not.</summary>
    [Fact]
    public unsafe void Rent_OtherSizesTakeOneHalfOfALargePage_ItIsNoneUntilThatIsTakenAgain()
    {
        using var pool = new BlockPool(8 << 20);
        var blocks = RentAll(pool, 1 << 20);
        var gone = blocks[3];
        var address = (nint)gone.Address;
        Assert.Contains("hg", ProcessPages.Flags(address));
        gone.Release();
        var parts = RentAll(pool, 64 << 10);
        Assert.Equal(16, parts.Count);
        Assert.Contains("nh", ProcessPages.Flags(address));
        Assert.Equal(NativePages.LargePageBytes / 2, ProcessPages.Resident(address & ~(nint)(NativePages.LargePageBytes - 1), NativePages.LargePageBytes));

        parts.ForEach(part => part.Release());
        var again = TestBlocks.Rent(pool, 1, 1 << 20);
        Assert.Equal(address, (nint)again.Address);
        Assert.Contains("hg", ProcessPages.Flags(address));
        blocks.Where(block => block != gone).Append(again).ToList().ForEach(block => block.Release());
    }

    /// <summary>Wherever the system makes large pages of whatever it finds (enabled: always), or a page is shared by what comes and goes apart.</summary>
    [Theory]
    [InlineData(4 << 10, "nh")]
    [InlineData(64 << 10, "nh")]
    [InlineData(768 << 10, "nh")]
    [InlineData(1 << 20, "hg")]
    [InlineData(1280 << 10, "nh")]
    [InlineData(2 << 20, "hg")]
    [InlineData(3 << 20, "nh")]
    [InlineData(4 << 20, "hg")]
    public unsafe void Rent_LiesInLargePages_OnlyWhereTheyAreGivenBackWhole(int length, string flag)
    {
        using var pool = new BlockPool(16 << 20);
        var block = TestBlocks.Rent(pool, 1, length);
        Assert.Contains(flag, ProcessPages.Flags((nint)block.Address));
        block.Release();
    }

    private static List<Block> RentAll(BlockPool pool, int length)
    {
        var blocks = new List<Block>();
        while (pool.TryRent(length, out var block))
        {
            block.Span.Fill(1);
            blocks.Add(block);
        }

        return blocks;
    }
}
