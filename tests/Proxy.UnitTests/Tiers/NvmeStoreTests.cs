using System.Collections.Frozen;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

public sealed class NvmeStoreTests
{
    public static TheoryData<NvmeEngine> Engines => [NvmeEngine.Faster, NvmeEngine.Plain];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task RoundTrip_AllKindsOfLengths_GiveTheSameBytes(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine);
        int[] lengths = [1, 2, 3, 200, 4095, 4096, 4097, 32767, 32768, 32769, 65536, 100_001, 524_287, (1 << 20) - 1, 1 << 20];
        for (var i = 0; i < lengths.Length; i++)
        {
            await store.PutAsync(i, lengths[i]);
        }

        for (var round = 0; round < 2; round++)
        {
            for (var i = 0; i < lengths.Length; i++)
            {
                foreach (var (offset, length) in new[] { (0, lengths[i]), (lengths[i] / 2, lengths[i]), (lengths[i] - 1, 1), (lengths[i] / 3, 5000) })
                {
                    using var lease = await store.Device.ReadAsync(TestBlocks.Id(i), offset, length, CancellationToken.None);
                    Assert.Equal(Math.Min(length, lengths[i] - offset), lease.Length);
                    Assert.True(TestBlocks.IsRight(i, offset, lease.Span, lengths[i]));
                }
            }

            // The first round may be served from memory, the second comes from disk.
            await store.FlushedAsync();
        }

        Assert.True(store.Now.Reads >= lengths.Length * 4);
        Assert.True(store.Now.ReadSeconds > 0);
        Assert.Equal(0, store.Now.Corrupt);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task RoundTrip_RecordsCutAtPageEnds_GiveTheSameBytesInEveryRange(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, capacityBytes: 1 << 30);
        const int Blocks = 40;
        const int Length = 1 << 20;
        for (var number = 0; number < Blocks; number++)
        {
            await store.PutAsync(number, Length);
        }

        await store.FlushedAsync();
        var index = store.Device.Store!.Index;
        var geometry = store.Device.Store.Ring.Geometry;
        var cut = 0;
        for (var number = 0; number < Blocks; number++)
        {
            Assert.True(index.TryGet(TestBlocks.Id(number), touch: false, out var location));
            var place = new RecordPlace(geometry, location.Address, Length);
            cut += place.IsSplit ? 1 : 0;
            var middle = place.IsSplit ? place.FirstChunks * RecordLayout.ChunkBytes : Length / 2;
            foreach (var (offset, length) in new[] { (0, Length), (0, middle), (middle - 1, 2), (middle, Length - middle), (middle - 40_000, 80_000), (Length - 1, 1) })
            {
                if (offset < 0 || offset + length > Length)
                {
                    continue;
                }

                using var lease = await store.Device.ReadAsync(TestBlocks.Id(number), offset, length, CancellationToken.None);
                Assert.Equal(length, lease.Length);
                Assert.True(TestBlocks.IsRight(number, offset, lease.Span, Length));
            }
        }

        Assert.True(cut > Blocks / 8, $"{cut} of {Blocks} are cut");

        // A page loses less than a chunk, a segment less than a block.
        Assert.True(store.Now.UsedBytes < 1.06 * Blocks * Length, store.Now.ToString());
    }

    [Fact]
    public async Task Read_SmallRange_ReadsOnlyItsChunks()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await store.PutAsync(1, 1 << 20);
        await store.FlushedAsync();
        var file = store.Device.Store!.Ring.File;
        var before = file.BytesRead;
        using (var lease = await store.Device.ReadAsync(TestBlocks.Id(1), 300_000, 16_384, CancellationToken.None))
        {
            Assert.True(TestBlocks.IsRight(1, 300_000, lease.Span, 1 << 20));
        }

        // 300,000 … 316,384 lies in two chunks: both with their checksums, out to the sectors.
        Assert.InRange(file.BytesRead - before, 2 * RecordLayout.Stride, 40 << 10);
    }

    [Fact]
    public async Task Read_BeforeFlush_IsServedFromMemory()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        using var gate = new ManualResetEventSlim();
        store.Device.Faults = (operation, _) =>
        {
            // Not before it was read, however long that takes.
            if (operation == DiskOperation.Write)
            {
                gate.Wait();
            }
        };
        try
        {
            await store.PutAsync(5);
            Assert.True(await store.HasAsync(5));
            Assert.Equal(0, store.Now.Reads);
        }
        finally
        {
            gate.Set();
            store.Device.Faults = null;
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Ring_TurnedOverManyTimes_KeepsTheNewestAndWhatIsRead(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, capacityBytes: 32 << 20);
        const int Hot = 10;
        for (var number = 0; number < 1500; number++)
        {
            await store.PutAsync(number);
            if (number % 5 == 0 && number >= Hot)
            {
                // Read often: they must survive by re-insertion. The others are written once and go.
                await store.HasAsync((number / 5) % Hot);
            }
        }

        await store.FlushedAsync();
        var now = store.Now;
        Assert.True(now.SegmentsEvicted > 60, now.ToString());
        Assert.True(now.BlocksReinserted > 0, now.ToString());
        Assert.Equal(0, now.Corrupt);
        Assert.InRange(new FileInfo(directory.File("data")).Length, 1, 32 << 20);
        Assert.True(await store.CountAsync(0, Hot) >= Hot - 2);
        Assert.Equal(0, await store.CountAsync(100, 600));
        Assert.True(await store.CountAsync(1440, 1500) >= 55);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Ring_TurnedOver_TheThreadThatKeepsWhatIsReadAllocatesNextToNothing(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, capacityBytes: 32 << 20);
        long allocated = 0;
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Read && Thread.CurrentThread.Name == "nvme-upkeep")
            {
                Volatile.Write(ref allocated, GC.GetAllocatedBytesForCurrentThread());
            }
        };
        long next = 0;
        await TurnOverAsync(segments: 10);
        var (before, now) = (Volatile.Read(ref allocated), store.Now);
        await TurnOverAsync(segments: 20);
        var segments = store.Now.SegmentsEvicted - now.SegmentsEvicted;
        Assert.True(store.Now.BlocksReinserted > now.BlocksReinserted, store.Now.ToString());

        // Its list of a segment's blocks; one of the blocks themselves is half a megabyte.
        Assert.InRange((Volatile.Read(ref allocated) - before) / segments, 0, 64 << 10);
        store.Device.Faults = null;

        async Task TurnOverAsync(int segments)
        {
            var until = store.Now.SegmentsEvicted + segments;
            for (; store.Now.SegmentsEvicted < until; next++)
            {
                await store.PutAsync(next);

                // Every fifth, when it has long been on disk.
                await store.HasAsync(Math.Max(0, next - 60 - (next % 5)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Soak_WritersReadersRemovers_NeverAWrongByte(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, capacityBytes: 32 << 20);
        var seconds = double.TryParse(Environment.GetEnvironmentVariable("PROXY_SOAK_SECONDS"), out var asked) ? asked : 2;
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        long next = 0, hits = 0;
        var writers = Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            while (!end.IsCancellationRequested)
            {
                await store.PutAsync(Interlocked.Increment(ref next));
            }
        }));
        var readers = Enumerable.Range(0, 6).Select(seed => Task.Run(async () =>
        {
            var random = new Random(seed);
            while (!end.IsCancellationRequested)
            {
                // Just written, about to be evicted, or anything.
                var newest = Volatile.Read(ref next);
                var number = Math.Max(0, newest - (random.Next(3) switch { 0 => random.Next(20), 1 => 180 + random.Next(60), _ => random.Next(300) }));
                var offset = random.Next(2) == 0 ? 0 : random.Next(TestBlocks.Length(number));
                if (await store.HasAsync(number, offset, random.Next(2) == 0 ? 0 : 1 + random.Next(40_000)))
                {
                    Interlocked.Increment(ref hits);
                }
                else
                {
                    await Task.Yield();
                }

                if (random.Next(200) == 0)
                {
                    store.Device.Remove(TestBlocks.Id(number));
                }
            }
        }));
        await Task.WhenAll(writers.Concat(readers));
        var now = store.Now;
        TestContext.Current.SendDiagnosticMessage("soak {0}: {1} blocks written, {2} hits, {3} segments evicted, {4} reinserted", engine, next, hits, now.SegmentsEvicted, now.BlocksReinserted);
        Assert.True(hits > 100 && now.SegmentsEvicted > 5, now.ToString());
        Assert.Equal(0, now.Corrupt);
    }

    [Fact]
    public async Task Write_NothingFollows_IsOnDiskWithoutWaitingForItsPageToFill()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        var fastest = TimeSpan.MaxValue;
        for (var number = 0; number < 10; number++)
        {
            await store.PutAsync(number);
            var started = System.Diagnostics.Stopwatch.GetTimestamp();
            await store.FlushedAsync();
            var took = System.Diagnostics.Stopwatch.GetElapsedTime(started);
            fastest = took < fastest ? took : fastest;
        }

        Assert.True(fastest < TimeSpan.FromMilliseconds(500), fastest.ToString());
    }

    [Fact]
    public async Task TryWrite_QueueFull_RefusesAndNeverBlocks()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, memoryBytes: 16 << 20);
        using var gate = new ManualResetEventSlim();
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Write)
            {
                gate.Wait();
            }
        };
        var refused = 0;
        for (var number = 0; number < 200 && store.Pool.TryRent(1 << 20, out var block); number++)
        {
            refused += store.Device.TryWrite(TestBlocks.Id(number), new(block)) ? 0 : 1;
            Assert.True(store.Now.QueueBytes <= 4 << 20);
        }

        gate.Set();
        Assert.True(refused > 0);
        Assert.Equal(refused, store.Now.WritesDropped);
    }

    [Fact]
    public void Index_RandomOperations_AgreeWithADictionary()
    {
        using var index = new BlockIndex();
        var model = new Dictionary<long, (long Address, int Length)>();
        var random = new Random(3);
        long address = 64;
        for (var i = 0; i < 200_000; i++)
        {
            var number = random.Next(20_000);
            switch (random.Next(4))
            {
                case 0 or 1:
                    address += 64;
                    Assert.Equal(model.TryGetValue(number, out var before) ? before.Address : -1, index.Set(TestBlocks.Id(number), address, i + 1));
                    model[number] = (address, i + 1);
                    break;
                case 2:
                    Assert.Equal(model.Remove(number), index.Remove(TestBlocks.Id(number), out _));
                    break;
                default:
                    Assert.Equal(model.TryGetValue(number, out var expected), index.TryGet(TestBlocks.Id(number), touch: true, out var location));
                    Assert.Equal(expected, (location.Address, location.Length));
                    break;
            }
        }

        Assert.Equal(model.Count, index.Count);

        // What lies below the begin is not found, and its slots serve newer blocks without growth.
        index.BeginAddress = address + 1;
        Assert.All(model.Keys, number => Assert.False(index.TryGet(TestBlocks.Id(number), touch: false, out _)));
        var bytes = index.MemoryBytes;
        for (var number = 100_000; number < 110_000; number++)
        {
            index.Set(TestBlocks.Id(number), address += 64, 1);
        }

        Assert.Equal(bytes, index.MemoryBytes);
    }

    [Fact]
    public void Index_AMillionBlocks_StaysUnder64BytesEach()
    {
        using var index = new BlockIndex();
        for (var number = 0L; number < 1_000_000; number++)
        {
            index.Set(TestBlocks.Id(number), number << 12, 4096);
        }

        TestContext.Current.SendDiagnosticMessage("index: {0:F1} B per block", index.MemoryBytes / 1e6);
        Assert.Equal(1_000_000, index.Count);
        Assert.True(index.MemoryBytes / 1e6 < 64);
    }

    /// <summary>Of eight segments three are always free: what turns is full, however much that is of it.</summary>
    [Theory]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task HasRoom_SmallestRingTurned_HasNone(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, capacityBytes: 16 << 20);
        Assert.True(store.Device.HasRoom(TestBlocks.Id(0)));
        for (var number = 0; number < 300; number++)
        {
            await store.PutAsync(number);
            Assert.False(store.Now.SegmentsEvicted > 0 && store.Device.HasRoom(TestBlocks.Id(0)), $"{store.Now}");
        }

        Assert.True(store.Now.SegmentsEvicted > 5);
    }

    /// <summary>More is pinned than the ring holds: what is new gets in, and once it is there the disk is left alone.</summary>
    [Fact]
    public async Task Pins_MoreThanTheRingHolds_TheDiskIsNotWrittenForEver()
    {
        const int Blocks = 150;
        const long RingBytes = 24 << 20;
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, faults: (operation, offset) =>
        {
            if (operation == DiskOperation.Allocate && offset >= RingBytes)
            {
                throw new IOException("No space left on device", Native.NoSpace);
            }
        });
        store.Options.Pins.Replace(Enumerable.Range(0, Blocks).Select(number => TestBlocks.Id(number).Content).ToFrozenSet());
        for (var number = 0; number < Blocks; number++)
        {
            // All of one size: what leaves a segment fills another.
            await store.PutAsync(number, 256 << 10);
        }

        await store.FlushedAsync();
        Assert.Equal(RingBytes, store.Now.CapacityBytes);
        Assert.True(store.Device.Contains(TestBlocks.Id(Blocks - 1)));
        for (var (attempt, before) = (0, -1L); before != store.Now.WrittenBytes; attempt++)
        {
            Assert.True(attempt < 50, $"Still writing: {store.Now}");
            before = store.Now.WrittenBytes;
            await Task.Delay(200);
        }
    }
}
