using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>The table of contents: what a disk does to it, and what it says after a restart.</summary>
public sealed class NvmeContentsTests
{
    /// <summary>Of a slot's table in file <c>toc</c>, for the harness' ring: a page of headers and an entry for each 4 KiB of a segment.</summary>
    private const long ContentsPlaceBytes = 4096 + (SegmentBytes / 4096 * 32);

    private const long SegmentBytes = 2 << 20;

    /// <summary>A table that cannot be read costs the blocks of its segment their second chance, not the directory; nor does one of which no part can be written again.</summary>
    [Fact]
    public async Task Contents_OneTableCannotBeRead_TheRingTurnsOnAndARestartHasTheOthers()
    {
        using var directory = new TestDirectory();
        var faults = (DiskOperation operation, long offset) =>
        {
            // As a bad sector behaves under the page cache: whole pages can be written.
            if (offset / ContentsPlaceBytes == 3 && (operation == DiskOperation.ReadContents || (operation == DiskOperation.WriteContents && offset % 4096 != 0)))
            {
                throw new IOException("Input/output error", 5);
            }
        };
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster))
        {
            await store.FillAsync(20);
            store.Device.Faults = faults;
            for (var number = 20; number < 1000; number++)
            {
                await store.PutAsync(number);
            }

            await store.FlushedAsync();
            Assert.True(store.Now.SegmentsEvicted > 40, store.Now.ToString());
            Assert.Equal((NvmeState.Healthy, 0L), (store.Now.State, store.Now.Suspensions));
            Assert.True(store.Now.IoErrors > 0);
            Assert.Equal(20, await store.CountAsync(980, 1000));
        }

        await using var again = new NvmeHarness(directory.Path, NvmeEngine.Faster);
        again.Device.Faults = faults;
        await again.Device.Opened;
        await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
        Assert.True(again.Now.BlocksRecovered > 50, again.Now.ToString());
        Assert.Equal(0, again.Now.Suspensions);
        await again.PutAsync(2000);
        await again.FlushedAsync();
        Assert.True(await again.HasAsync(2000));
    }
}
