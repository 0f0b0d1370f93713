using System.Diagnostics;
using System.Runtime.InteropServices;
using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>A disk that takes a write and does not come back.</summary>
public sealed class NvmeHangTests
{
    public static TheoryData<NvmeEngine> Engines => [NvmeEngine.Faster, NvmeEngine.Plain];

    /// <summary>Its thread finds a log, and events to set, that are gone: with the process it would take everything.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Write_EndsAfterItsStoreWasClosed_HarmsNobody(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        var cache = directory.File("cache");
        using var gate = new ManualResetEventSlim();
        var (entered, left) = (0, 0);
        await using var store = await NvmeHarness.OpenAsync(cache, engine);
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Write)
            {
                Interlocked.Increment(ref entered);
                gate.Wait();
                Interlocked.Increment(ref left);
            }
        };
        try
        {
            await store.PutAsync(1);
            await store.UntilAsync(() => Volatile.Read(ref entered) > 0);
            store.Device.Faults = null;
            Directory.Delete(cache, recursive: true);
            await store.UntilAsync(() => File.Exists(Path.Combine(cache, "data")) && store.Now.State == NvmeState.Healthy);
        }
        finally
        {
            gate.Set();
        }

        await store.UntilAsync(() => Volatile.Read(ref left) == Volatile.Read(ref entered));
        await store.TakesBlocksAsync(2);
        Assert.Equal(1, store.Now.Suspensions);
    }

    /// <summary>Nobody reads, so no read tells: what waits is given up, uploads wait for nothing, and once the write is through the device is back.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Write_HangsWhileNobodyReads_StepsAsideAndGivesTheMemoryBack(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        using var gate = new ManualResetEventSlim();
        var hangs = true;
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, faults: (operation, offset) =>
        {
            // Not where the probe lies.
            if (operation == DiskOperation.Write && offset > 0 && Volatile.Read(ref hangs))
            {
                gate.Wait();
            }
        });
        try
        {
            store.Device.HungWrite = TimeSpan.FromMilliseconds(400);
            await store.PutAsync(6);
            await store.PutAsync(13);
            for (var number = 20; number < 60 && store.Now.State == NvmeState.Healthy; number++)
            {
                store.Device.TryWrite(TestBlocks.Id(number), new BlockLease(TestBlocks.Rent(store.Pool, number)));
                await Task.Delay(20);
            }

            await store.UntilAsync(() => store.Now.State == NvmeState.Suspended);
            Assert.Contains("hang", store.Now.Reason, StringComparison.Ordinal);
            await store.UntilAsync(() => store.Now.QueueBytes == 0 && store.Pool.RentedBlocks == 0);
            Assert.Equal(0, store.Device.Backlog);

            // The probe succeeds, the log still hangs.
            await Task.Delay(500, TestContext.Current.CancellationToken);
            Assert.Equal((NvmeState.Suspended, 1L), (store.Now.State, store.Now.Suspensions));
        }
        finally
        {
            Volatile.Write(ref hangs, false);
            gate.Set();
        }

        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        await store.TakesBlocksAsync(100);
    }

    [Fact]
    public async Task Idle_LongerThanAHungWriteTakes_StaysHealthy()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.FillAsync(5);
        store.Device.HungWrite = TimeSpan.FromMilliseconds(2000);
        await Task.Delay(3000, TestContext.Current.CancellationToken);
        Assert.Equal((NvmeState.Healthy, 0L), (store.Now.State, store.Now.Suspensions));
    }

    /// <summary>Until the directory is open what is written waits for it, and uploads with it: not for one that does not open.</summary>
    [Fact]
    public async Task Open_Hangs_StepsAsideAndComesBack()
    {
        using var directory = new TestDirectory();
        using var gate = new ManualResetEventSlim();
        await using var store = new NvmeHarness(directory.Path, NvmeEngine.Faster, faults: (operation, _) =>
        {
            if (operation == DiskOperation.ReadContents)
            {
                gate.Wait();
            }
        });
        try
        {
            store.Device.HungWrite = TimeSpan.FromMilliseconds(400);
            await store.UntilAsync(() => store.Now.State == NvmeState.Suspended);
            await store.Device.Opened.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        }
        finally
        {
            gate.Set();
        }

        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        await store.TakesBlocksAsync(1);
    }

    /// <summary>Where files are looked up over a network, that hangs as reads do: who reads is sent away all the same.</summary>
    [Fact]
    public async Task Look_AtTheFilesHangs_ReadersAreStillSentAway()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.FillAsync(20);
        using var gate = new ManualResetEventSlim();
        var looks = 0;
        store.Device.HungRead = TimeSpan.FromMilliseconds(100);
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Read)
            {
                gate.Wait();
            }
        };
        store.Device.Looks = () =>
        {
            Interlocked.Increment(ref looks);
            gate.Wait();
        };
        try
        {
            await store.UntilAsync(() => Volatile.Read(ref looks) > 0);
            Assert.False(await store.HasAsync(10).WaitAsync(TimeSpan.FromSeconds(20)));
            Assert.Equal(NvmeState.Suspended, store.Now.State);
            Assert.Equal(1, Volatile.Read(ref looks));
        }
        finally
        {
            store.BePatientWithReads();
            gate.Set();
            store.Device.Faults = null;
            store.Device.Looks = null;
        }

        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        Assert.Equal(20, await store.CountAsync(0, 20));
    }

    /// <summary>As many seconds as a stop has are not to be spent on each thread.</summary>
    [Fact]
    public async Task Close_AllReadsHang_WaitsForThemOnce()
    {
        using var directory = new TestDirectory();
        using var gate = new ManualResetEventSlim();
        var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.FillAsync(20);
        store.Device.HungRead = TimeSpan.FromMilliseconds(100);
        store.Device.Faults = (operation, offset) =>
        {
            if (operation == DiskOperation.Read && offset > 0)
            {
                gate.Wait();
            }
        };
        try
        {
            var readers = Enumerable.Range(10, store.Options.ReadThreads).Select(number => store.HasAsync(number)).ToArray();
            Assert.DoesNotContain(true, await Task.WhenAll(readers).WaitAsync(TimeSpan.FromSeconds(20)));
            var started = Stopwatch.GetTimestamp();
            await store.Device.DisposeAsync();
            Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 4, 14);
        }
        finally
        {
            gate.Set();
        }

        await Patience.UntilAsync(() => store.Pool.RentedBlocks == 0, () => $"{store.Pool.RentedBlocks} blocks are not given back");

        store.Pool.Dispose();
    }

    /// <summary>What one directory has queued, removed and not yet saved does not wait for another's disk.</summary>
    [Fact]
    public async Task Close_OneDirectoryHangs_TheOthersAreClosed()
    {
        using var directory = new TestDirectory();
        using var gate = new ManualResetEventSlim();
        var first = await NvmeHarness.OpenAsync(directory.File("first"), NvmeEngine.Faster);
        var second = await NvmeHarness.OpenAsync(directory.File("second"), NvmeEngine.Faster);
        await first.FillAsync(5);
        await second.FillAsync(5);
        first.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.WriteContents)
            {
                gate.Wait();
            }
        };
        await first.PutAsync(6);
        Task closing;
        try
        {
            closing = new NvmeStripes([first.Device, second.Device]).DisposeAsync().AsTask();
            await using var again = await NvmeHarness.OpenAsync(directory.File("second"), NvmeEngine.Faster);
            await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
            Assert.Equal(5, await again.CountAsync(0, 5));
            Assert.False(closing.IsCompleted);
        }
        finally
        {
            gate.Set();
        }

        await closing;
        first.Pool.Dispose();
        second.Pool.Dispose();
    }

    /// <summary>More writes than it has threads: one that went with the exception would be missing, as would the process.</summary>
    [Fact]
    public void PageWriter_WhoWasToldOfAWriteIsGone_WritesOn()
    {
        using var directory = new TestDirectory();
        using var ring = new RingFile(DataFile.Open(directory.File("data"), DirectIo.Off), RingGeometry.For(64 << 20, 1 << 20));
        using var done = new ManualResetEventSlim();
        var bytes = GC.AllocateArray<byte>(DataFile.Alignment, pinned: true);
        var source = Marshal.UnsafeAddrOfPinnedArrayElement(bytes, 0);
        using var writer = new PageWriter(ring);
        writer.Close();
        for (var i = 0; i < 8; i++)
        {
            writer.Write(source, i * DataFile.Alignment, DataFile.Alignment, () => throw new ObjectDisposedException("log"));
        }

        writer.Write(source, 8 * DataFile.Alignment, DataFile.Alignment, done.Set);
        Assert.True(done.Wait(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
    }
}
