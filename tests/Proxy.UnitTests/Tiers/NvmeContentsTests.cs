using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>The table of contents: what a disk does to it, and what it says after a restart.</summary>
public sealed class NvmeContentsTests
{
    /// <summary>Of a slot's table in file <c>toc</c>, for the harness' ring: a page of headers and an entry for each 4 KiB of a segment.</summary>
    private const long ContentsPlaceBytes = 4096 + (SegmentBytes / 4096 * 32);

    private const long SegmentBytes = 2 << 20;

    private const long ShrunkBytes = 24 << 20;

    /// <summary>A table that cannot be read costs the blocks of its segment their second chance, not the directory; nor does one of which no part can be written again.</summary>
    [Fact]
    public async Task Contents_OneTableCannotBeRead_TheRingTurnsOnAndARestartHasTheOthers()
    {
        using var directory = new TestDirectory();
        Action<DiskOperation, long> faults = (operation, offset) =>
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

        await using var again = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, faults: faults);
        await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
        Assert.True(again.Now.BlocksRecovered > 50, again.Now.ToString());
        Assert.Equal(0, again.Now.Suspensions);
        Assert.True(again.Now.IoErrors > 0);
        await again.TakesBlocksAsync(2000);
    }

    /// <summary>Whoever fills the disk once the ring has its space takes nothing from it.</summary>
    [Fact]
    public async Task Disk_FilledByOthersOnceTheRingIsReserved_StaysHealthyAndARestartHasEverything()
    {
        using var directory = new TestDirectory();
        var reserved = new bool[64];
        var isFull = false;
        Action<DiskOperation, long> faults = (operation, offset) =>
        {
            if (operation == DiskOperation.AllocateContents)
            {
                reserved[offset / ContentsPlaceBytes] = true;
            }

            // As a sparse file has it: what was neither reserved nor written needs space.
            if (Volatile.Read(ref isFull) && (operation is DiskOperation.Allocate or DiskOperation.AllocateContents || (operation == DiskOperation.WriteContents && !reserved[offset / ContentsPlaceBytes])))
            {
                throw new IOException("No space left on device", Native.NoSpace);
            }
        };
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, faults: faults))
        {
            await store.UntilAsync(() => new FileInfo(directory.File("data")).Length == store.Now.CapacityBytes);
            Volatile.Write(ref isFull, true);
            await store.FillAsync(100);
            Assert.Equal((NvmeState.Healthy, 0L, 0L), (store.Now.State, store.Now.Suspensions, store.Now.IoErrors));
        }

        await using var again = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
        Assert.Equal(100, await again.CountAsync(0, 100));
    }

    /// <summary>More blocks than space was reserved for: they are served while the process runs.</summary>
    [Theory]
    [InlineData(28)]
    [InlineData(122)]
    public async Task Disk_FullBeyondTheReservedTable_TheRestIsServedAndNotFoundAfterARestart(int errno)
    {
        using var directory = new TestDirectory();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster))
        {
            store.Device.Faults = (operation, _) =>
            {
                if (operation == DiskOperation.WriteContents)
                {
                    throw new IOException("No space left on device", errno);
                }
            };
            await store.FillAsync(100);
            await store.UntilAsync(() => store.Now.IoErrors > 0);
            Assert.Equal((NvmeState.Healthy, 0L), (store.Now.State, store.Now.Suspensions));
            Assert.Equal(100, await store.CountAsync(0, 100));
        }

        await using var again = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        Assert.Equal(0, await again.CountAsync(0, 100));
        await again.TakesBlocksAsync(1);
    }

    /// <summary>A ring that shrank, and a disk so full that its new shape cannot be written at first: without it a restart takes the tables for another ring's.</summary>
    [Fact]
    public async Task Shrink_ShapeCannotBeSavedAtFirst_IsSavedLaterAndARestartHasTheBlocks()
    {
        using var directory = new TestDirectory();
        int there;
        Action<DiskOperation, long> faults = (operation, offset) =>
        {
            if (operation == DiskOperation.Allocate && offset == 0)
            {
                Directory.CreateDirectory(directory.File("format.new"));
            }
            else if (operation == DiskOperation.Allocate && offset >= ShrunkBytes)
            {
                throw new IOException("No space left on device", Native.NoSpace);
            }
        };
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, faults: faults))
        {
            await store.FillAsync(300);
            Assert.Equal((ShrunkBytes, NvmeState.Healthy), (store.Now.CapacityBytes, store.Now.State));
            Directory.Delete(directory.File("format.new"));
            await store.UntilAsync(() => File.ReadAllText(directory.File("format")).TrimEnd().EndsWith($" {ShrunkBytes / SegmentBytes}", StringComparison.Ordinal));
            there = await store.CountAsync(0, 300);
        }

        await using var again = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
        Assert.Equal(ShrunkBytes, again.Now.CapacityBytes);
        var found = await again.CountAsync(0, 300);
        Assert.True(found > there / 2, $"{found} of {there}");
    }

    /// <summary>Its shape was never written: a restart takes it for the ring configured, of which it knows the first lap only, and finds the log at the end of what space there is.</summary>
    [Theory]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task Shrink_ShapeIsNeverSaved_ARestartShrinksItAgain(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        Action<DiskOperation, long> faults = (operation, offset) =>
        {
            if (operation == DiskOperation.Allocate && offset == 0)
            {
                Directory.CreateDirectory(directory.File("format.new"));
            }
            else if (operation == DiskOperation.Allocate && offset >= ShrunkBytes)
            {
                throw new IOException("No space left on device", Native.NoSpace);
            }
        };
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, engine, faults: faults))
        {
            // A little more than a lap: the end of the first one is still there.
            for (var number = 0; store.Now.SegmentsEvicted < 4; number++)
            {
                await store.PutAsync(number);
            }

            await store.FlushedAsync();
            Assert.Equal((ShrunkBytes, NvmeState.Healthy), (store.Now.CapacityBytes, store.Now.State));
        }

        Directory.Delete(directory.File("format.new"));
        await using var again = await NvmeHarness.OpenAsync(directory.Path, engine, faults: faults);
        await again.UntilAsync(() => again.Now.CapacityBytes == ShrunkBytes);
        await again.CountAsync(0, 300);
        for (var number = 300; number < 600; number++)
        {
            await again.PutAsync(number);
        }

        await again.FlushedAsync();
        Assert.Equal((NvmeState.Healthy, 0L), (again.Now.State, again.Now.Suspensions));
        Assert.Equal(20, await again.CountAsync(580, 600));
    }

    /// <summary>Of a directory that may not be written any more: closing gives back what it holds.</summary>
    [Fact]
    public async Task Remove_TablesMayNotBeWrittenAnyMore_ClosesAndLetsTheDirectoryGo()
    {
        using var directory = new TestDirectory();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster))
        {
            await store.FillAsync(60);
        }

        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster))
        {
            await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
            store.Device.Faults = (operation, _) =>
            {
                if (operation == DiskOperation.WriteContents)
                {
                    throw new UnauthorizedAccessException("Operation not permitted");
                }
            };
            await RemoveAsync(store, 0, 60, 1);
        }

        await using var again = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await again.TakesBlocksAsync(100);
    }

    /// <summary>Blocks of the segment that is being written, of segments written long ago, and of both after a first restart.</summary>
    [Theory]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task Remove_ThenReopen_TheyStayGoneAndOthersStay(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, engine))
        {
            await store.FillAsync(80);

            // Some entries are on disk by now, some only in memory.
            await store.UntilAsync(() => new FileInfo(directory.File("toc")).Length > 0);
            await RemoveAsync(store, 0, 80, 4);
        }

        await using (var store = await NvmeHarness.OpenAsync(directory.Path, engine))
        {
            await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
            Assert.Equal(Numbers(80).Where(number => number % 4 != 0), Contained(store, 80));
            Assert.Equal(60, await store.CountAsync(0, 80));

            // Again: one taken away, one of those brought back.
            await RemoveAsync(store, 1, 80, 4);
            await store.PutAsync(4);
        }

        await using var last = await NvmeHarness.OpenAsync(directory.Path, engine);
        await last.UntilAsync(() => last.Now.State == NvmeState.Healthy);
        Assert.Equal(Numbers(80).Where(number => number % 4 is 2 or 3 || number == 4), Contained(last, 80));
        Assert.Equal(41, await last.CountAsync(0, 80));
    }

    /// <summary>A purge in the first moments of a process: the directory is not open yet, or its blocks are only coming back.</summary>
    [Theory]
    [InlineData(NvmeState.Opening)]
    [InlineData(NvmeState.Recovering)]
    public async Task Remove_BeforeItIsKnownWhatIsThere_HoldsAtOnceAndAfterARestart(NvmeState state)
    {
        using var directory = new TestDirectory();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster))
        {
            await store.FillAsync(40);
        }

        // The log's end is looked for in two headers of each slot; then tables are read.
        using var gate = new ManualResetEventSlim();
        var (reads, free) = (0, state == NvmeState.Opening ? 0 : 2 * (64 << 20) / SegmentBytes);
        await using (var store = new NvmeHarness(directory.Path, NvmeEngine.Faster, faults: (operation, _) =>
        {
            if (operation == DiskOperation.ReadContents && Interlocked.Increment(ref reads) > free)
            {
                gate.Wait();
            }
        }))
        {
            try
            {
                await store.UntilAsync(() => Volatile.Read(ref reads) > free && store.Now.State == state);
                store.Device.Remove(TestBlocks.Id(3));
                store.Device.Remove(TestBlocks.Id(30));
            }
            finally
            {
                gate.Set();
            }

            await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
            Assert.Equal(Numbers(40).Where(number => number is not (3 or 30)), Contained(store, 40));
        }

        await using var again = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
        Assert.Equal(Numbers(40).Where(number => number is not (3 or 30)), Contained(again, 40));
    }

    private static IEnumerable<int> Numbers(int count) => Enumerable.Range(0, count);

    private static IEnumerable<int> Contained(NvmeHarness store, int count) => [.. Numbers(count).Where(number => store.Device.Contains(TestBlocks.Id(number)))];

    private static async Task RemoveAsync(NvmeHarness store, int from, int until, int step)
    {
        for (var number = from; number < until; number += step)
        {
            store.Device.Remove(TestBlocks.Id(number));
            Assert.False(await store.HasAsync(number));
        }
    }
}
