using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

public sealed class NvmeFaultTests
{
    public static TheoryData<NvmeEngine> Engines => [NvmeEngine.Faster, NvmeEngine.Plain];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Write_EveryWriteFails_StepsAsideAndComesBack(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine);
        await store.FillAsync(50);
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Write)
            {
                throw new IOException("Input/output error", 5);
            }
        };
        for (var number = 50; number < 100 && store.Now.State != NvmeState.Suspended; number++)
        {
            await store.PutAsync(number);
            await Task.Delay(20);
        }

        await store.UntilAsync(() => store.Now.State == NvmeState.Suspended);
        Assert.Contains("Input/output error", store.Now.Reason, StringComparison.Ordinal);
        Assert.False(await store.HasAsync(0));
        await store.FlushedAsync();

        store.Device.Faults = null;
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        var missing = new List<int>();
        for (var number = 0; number < 50; number++)
        {
            if (!await store.HasAsync(number))
            {
                missing.Add(number);
            }
        }

        Assert.True(missing.Count == 0, string.Join(",", missing) + store.Now);
        for (var number = 100; number < 150; number++)
        {
            await store.PutAsync(number);
        }

        await store.FlushedAsync();
        Assert.Equal(50, await store.CountAsync(100, 150));
        await store.CountAsync(50, 100);
        Assert.Equal(0, store.Now.Corrupt);
    }

    [Fact]
    public async Task Read_EveryReadFails_StepsAsideAndComesBack()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.FillAsync(10);
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Read)
            {
                throw new IOException("Input/output error", 5);
            }
        };
        Assert.Equal(0, await store.CountAsync(0, 10));
        Assert.Equal((NvmeState.Suspended, 3L), (store.Now.State, store.Now.IoErrors));
        store.Device.Faults = null;
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);

        // What could not be read is forgotten: while it is listed, nobody brings it from elsewhere.
        Assert.Equal(7, await store.CountAsync(0, 10));
        Assert.Equal(1, store.Now.Suspensions);
    }

    [Fact]
    public async Task Read_Hangs_ReadersAreSentAwayAndNothingIsLost()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.FillAsync(20);
        using var gate = new ManualResetEventSlim();
        store.Device.HungRead = TimeSpan.FromMilliseconds(200);
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Read)
            {
                gate.Wait();
            }
        };

        // More readers than I/O threads: the queued ones must not wait for the hung ones either.
        var readers = Enumerable.Range(0, 20).Select(number => store.HasAsync(number)).ToArray();
        Assert.DoesNotContain(true, await Task.WhenAll(readers).WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.True(store.Now.Suspensions > 0);

        store.BePatientWithReads();
        gate.Set();
        store.Device.Faults = null;
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        Assert.Equal(20, await store.CountAsync(0, 20));
    }

    [Fact]
    public async Task Read_TenTimesSlowerThanUsual_StepsAside()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.PutAsync(1);
        await store.FlushedAsync();
        for (var i = 0; i < 300; i++)
        {
            Assert.True(await store.HasAsync(1, 0, 100));
        }

        using var never = new ManualResetEventSlim();
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Read)
            {
                never.Wait(1100);
            }
        };
        for (var i = 0; i < 10 && store.Now.State != NvmeState.Suspended; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => store.HasAsync(1, 0, 100)));
        }

        Assert.Equal(NvmeState.Suspended, store.Now.State);
        store.Device.Faults = null;
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        Assert.True(await store.HasAsync(1));
    }

    /// <summary>The probe waits for the hanging disk too: that must not keep the one who gives hung reads up.</summary>
    [Fact]
    public async Task Probe_Hangs_AReadThatWasLetInBeforeIsStillSentAway()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.PutAsync(1);
        await store.FlushedAsync();
        using var gate = new ManualResetEventSlim();
        var probes = 0;
        store.Device.HungRead = TimeSpan.FromMilliseconds(100);
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Write)
            {
                Interlocked.Increment(ref probes);
            }

            gate.Wait();
        };
        try
        {
            Assert.False(await store.HasAsync(1).WaitAsync(TimeSpan.FromSeconds(20)));
            await store.UntilAsync(() => Volatile.Read(ref probes) > 0);

            // Past the door, as one that came through it a moment before it was shut.
            using var lease = await store.Device.Store!.ReadAsync(TestBlocks.Id(1), 0, 1).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.False(lease.HasValue);
        }
        finally
        {
            store.BePatientWithReads();
            gate.Set();
            store.Device.Faults = null;
        }

        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        Assert.True(await store.HasAsync(1));
    }

    /// <summary>Where the probe lies the device answers, everywhere else it hangs, and no thread is left: whoever came in by then is sent away, and nobody is let in.</summary>
    [Fact]
    public async Task Read_AllThreadsHangAndTheProbeDoesNot_TheDeviceStaysAside()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.FillAsync(20);
        using var gate = new ManualResetEventSlim();
        var probes = 0;
        store.Device.HungRead = TimeSpan.FromMilliseconds(100);
        store.Device.Faults = (operation, offset) =>
        {
            if (operation == DiskOperation.Read && offset > 0)
            {
                gate.Wait();
            }
            else if (operation == DiskOperation.Write && offset == 0)
            {
                Interlocked.Increment(ref probes);
            }
        };
        try
        {
            var readers = Enumerable.Range(10, store.Options.ReadThreads).Select(number => store.HasAsync(number)).ToArray();
            Assert.DoesNotContain(true, await Task.WhenAll(readers).WaitAsync(TimeSpan.FromSeconds(20)));
            await store.UntilAsync(() => Volatile.Read(ref probes) > 3);
            Assert.Equal(NvmeState.Suspended, store.Now.State);

            // Past the door, as one that came through it a moment before it was shut.
            using var lease = await store.Device.Store!.ReadAsync(TestBlocks.Id(15), 0, 1).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.False(lease.HasValue);
        }
        finally
        {
            store.BePatientWithReads();
            gate.Set();
            store.Device.Faults = null;
        }

        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        Assert.Equal(20, await store.CountAsync(0, 20));
    }

    /// <summary>No space, a quota that is spent, and the largest file that the file system has (16 TiB on ext4).</summary>
    [Theory]
    [InlineData(28)]
    [InlineData(122)]
    [InlineData(27)]
    public async Task Open_DiskTooSmall_GoesOnWithASmallerRing(int errno)
    {
        using var directory = new TestDirectory();
        var limit = 24L << 20;

        // From the first operation on: space is reserved as soon as the directory is open.
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, faults: (operation, offset) =>
        {
            if (operation == DiskOperation.Allocate && offset >= limit)
            {
                throw new IOException("No more of it", errno);
            }
        });
        await store.FillAsync(500);
        Assert.Equal(limit, store.Now.CapacityBytes);
        Assert.Equal(limit, new FileInfo(directory.File("data")).Length);
        Assert.Equal(NvmeState.Healthy, store.Now.State);
        Assert.True(await store.CountAsync(470, 500) >= 28);
    }

    [Fact]
    public async Task Open_FreeSpaceBelowTheReserve_StepsAsideWithANextStep()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, reserveBytes: 1L << 49);
        await store.UntilAsync(() => store.Now.State == NvmeState.Suspended);
        Assert.Contains("MiB are free", store.Now.Reason, StringComparison.Ordinal);
        Assert.True(new FileInfo(directory.File("data")).Length == 0);
    }

    [Fact]
    public async Task Directory_VanishesAndReturns_StartsColdAndWorks()
    {
        using var directory = new TestDirectory();
        var cache = directory.File("cache");
        await using var store = await NvmeHarness.OpenAsync(cache, NvmeEngine.Faster);
        await store.PutAsync(1);
        await store.FlushedAsync();
        Directory.Delete(cache, recursive: true);
        await File.WriteAllTextAsync(cache, "in the way");
        await store.UntilAsync(() => store.Now.State == NvmeState.Suspended);
        Assert.False(await store.HasAsync(1));
        File.Delete(cache);
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        Assert.False(await store.HasAsync(1));
        await store.TakesBlocksAsync(2);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task BitFlips_AnywhereInAnyFile_AreNeverServed(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, engine))
        {
            for (var number = 0; number < 200; number++)
            {
                await store.PutAsync(number);
            }
        }

        var random = new Random(11);
        foreach (var (file, flips) in new[] { ("data", 60), ("toc", 5), ("toc", 40), ("format", 2) })
        {
            Flip(directory.File(file), flips, random);
            await using var store = await NvmeHarness.OpenAsync(directory.Path, engine);
            await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
            var found = await store.CountAsync(0, 200);
            TestContext.Current.SendDiagnosticMessage("{0} flips in {1}: {2} of 200 served, {3} found damaged", flips, file, found, store.Now.Corrupt);
            Assert.True(file != "data" || store.Now.Corrupt > 20);
            var another = random.NextInt64(1_000_000, 1_000_000_000);
            await store.PutAsync(another);
            Assert.True(await store.HasAsync(another));
        }
    }

    [Fact]
    public async Task Files_TruncatedOrDeleted_AreNeverServedWrong()
    {
        using var directory = new TestDirectory();

        // Of eight segments of 2 MiB, each with 20 KiB in the table of contents, both cuts leave the first three whole and a part of the next.
        foreach (var (file, length, left) in new[] { ("data", 7 << 20, (1, 99)), ("toc", (64 << 10) + 200, (1, 99)), ("toc", 0, (0, 0)), ("data", 0, (0, 0)) })
        {
            await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster))
            {
                for (var number = 0; number < 100; number++)
                {
                    if (!await store.HasAsync(number))
                    {
                        await store.PutAsync(number);
                    }
                }
            }

            CutOrDelete(directory.File(file), length);
            await using var again = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
            await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
            var found = await again.CountAsync(0, 100);
            TestContext.Current.SendDiagnosticMessage("{0} cut to {1}: {2} of 100 served, {3} found damaged", file, length, found, again.Now.Corrupt);
            Assert.InRange(found, left.Item1, left.Item2);
            await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
            await again.TakesBlocksAsync(500);
        }
    }

    /// <param name="length">None: it is deleted.</param>
    private static void CutOrDelete(string path, int length)
    {
        if (length == 0)
        {
            File.Delete(path);
            return;
        }

        using var file = File.OpenWrite(path);
        Assert.True(file.Length > length);
        file.SetLength(length);
    }

    private static void Flip(string path, int count, Random random)
    {
        using var file = new FileStream(path, FileMode.Open);
        for (var i = 0; i < count; i++)
        {
            file.Position = random.NextInt64(Math.Min(file.Length, 16 << 20));
            var value = file.ReadByte();
            file.Position--;
            file.WriteByte((byte)(value ^ (1 << random.Next(8))));
        }
    }
}
