using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>A ring of another size than configured says so when it opens.</summary>
public sealed class NvmeShapeTests
{
    [Fact]
    public async Task Open_RingThatShrankOnce_SaysHowItBecomesWhole()
    {
        using var directory = new TestDirectory();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Plain, faults: (operation, offset) =>
        {
            if (operation == DiskOperation.Allocate && offset >= 40 << 20)
            {
                throw new IOException("No space left on device", Native.NoSpace);
            }
        }))
        {
            await store.UntilAsync(() => store.Now.CapacityBytes == 40 << 20);
        }

        var said = await SayAsync(directory.Path, new TierOptions { NvmeDirectories = [directory.Path], NvmeEngine = NvmeEngine.Plain, NvmeCapacityBytes = 64 << 20, FreeSpaceReserveBytes = 0 });
        Assert.Contains(said, line => line.Contains("holds 40 MiB, not the 64 MiB configured", StringComparison.Ordinal) && line.Contains("delete the file 'format'", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Open_BlocksTooLargeForWhatIsConfigured_SaysThatItTakesMore()
    {
        using var directory = new TestDirectory();
        var said = await SayAsync(directory.Path, new TierOptions { NvmeDirectories = [directory.Path], NvmeEngine = NvmeEngine.Plain, NvmeCapacityBytes = 64 << 20, MaxBlockBytes = 16 << 20, FreeSpaceReserveBytes = 1L << 49 });
        Assert.Contains(said, line => line.Contains("takes up to 256 MiB, more than the 64 MiB configured", StringComparison.Ordinal));
    }

    private static async Task<IReadOnlyCollection<string>> SayAsync(string directory, TierOptions options)
    {
        var said = new SaidLines<NvmeDevice>();
        using var pool = new BlockPool(64 << 20);
        await using (var device = new NvmeDevice(directory, options, pool, TimeProvider.System, said))
        {
            await device.Opened;
        }

        return said.Said;
    }
}
