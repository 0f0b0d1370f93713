using System.Diagnostics;
using System.Runtime.InteropServices;
using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>The tier against plain positional I/O past the page cache, in alternating slices: run by hand with <c>-explicit only -diagnostics</c>.</summary>
/// <remarks>A virtual disk's speed moves by half from one second to the next, so every slice of ours has one of theirs beside it and the medians of the pairs count.</remarks>
public sealed class NvmeFigures
{
    private const int BlockBytes = 1 << 20;
    private const int SliceBlocks = 512;
    private const long RingBytes = 4L << 30;
    private static readonly int Slices = int.Parse(Environment.GetEnvironmentVariable("NVME_SLICES") ?? "24");

    /// <summary>Both go round a ring of 4 GiB, so that a third of the slices write new extents and the others write over old ones.</summary>
    [Theory(Explicit = true)]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task Insert(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = new NvmeHarness(directory.Path, engine, RingBytes, 1L << 30, readThreads: 16);
        using var plain = DataFile.Open(directory.File("plain"), DirectIo.Auto);
        plain.Allocate(0, RingBytes);
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        var blocks = Enumerable.Range(0, SliceBlocks).Select(number => TestBlocks.Rent(store.Pool, number, BlockBytes)).ToArray();
        var pairs = new List<(double Ours, double Theirs)>();
        double cpuOurs = 0, cpuTheirs = 0;
        for (var slice = 0; slice < Slices; slice++)
        {
            var cpu = Process.GetCurrentProcess().TotalProcessorTime;
            var ours = await TimeAsync(() => InsertAsync(store, blocks, slice));
            cpuOurs += (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds;
            cpu = Process.GetCurrentProcess().TotalProcessorTime;
            var theirs = await TimeAsync(() => WriteAsync(plain, blocks, slice));
            cpuTheirs += (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds;
            pairs.Add((SliceBlocks * 1.048576 / ours, SliceBlocks * 1.048576 / theirs));
        }

        Array.ForEach(blocks, static block => block.Release());
        var gigabytes = Slices * SliceBlocks * 1.048576 / 1000;
        Say(engine, $"insert, CPU s/GB {cpuOurs / gigabytes:F2} against {cpuTheirs / gigabytes:F2}", pairs, "MB/s");
    }

    /// <summary>Reads of the tier against reads of the same file: the same extents, the same size, aligned, nothing checked.</summary>
    [Theory(Explicit = true)]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task Read(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = new NvmeHarness(directory.Path, engine, RingBytes, 512 << 20, readThreads: 16);
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        const int Blocks = 2048;
        for (var number = 0; number < Blocks; number++)
        {
            await store.PutAsync(number, BlockBytes);
        }

        await store.FlushedAsync();
        using var same = DataFile.Open(directory.File("data"), DirectIo.Auto);
        foreach (var (length, readers, each) in new[] { (BlockBytes, 1, 100), (BlockBytes, 8, 25), (16 << 10, 1, 1000), (16 << 10, 8, 400) })
        {
            var pairs = new List<(double Ours, double Theirs)>();
            for (var slice = 0; slice < Slices; slice++)
            {
                var ours = await TimeAsync(() => TierAsync(store, Blocks, readers, each, length, slice));
                var theirs = await TimeAsync(() => PlainAsync(same, Blocks, readers, each, length, slice));
                pairs.Add((readers * each / ours, readers * each / theirs));
            }

            Say(engine, $"read {length >> 10} KiB q{readers}", pairs, "op/s");
        }

        TestContext.Current.SendDiagnosticMessage("{0}: {1} corrupt", engine, store.Now.Corrupt);
    }

    /// <summary>What a block costs in the index, from a hundred thousand to ten million, at its fullest and just after it grew.</summary>
    [Fact(Explicit = true)]
    public void IndexMemory()
    {
        using var index = new BlockIndex();
        var (lowest, highest) = (double.MaxValue, 0.0);
        for (var number = 1; number <= 10_000_000; number++)
        {
            index.Set(TestBlocks.Id(number), (long)number << 20, BlockBytes);
            if (number % 10_000 == 0 && number >= 100_000)
            {
                var each = index.MemoryBytes / (double)number;
                (lowest, highest) = (Math.Min(lowest, each), Math.Max(highest, each));
            }
        }

        TestContext.Current.SendDiagnosticMessage("index: {0:F1} to {1:F1} bytes a block, {2:F1} at ten million", lowest, highest, index.MemoryBytes / 1e7);
        Assert.InRange(highest, 20, 64);
    }

    private static void Say(NvmeEngine engine, string what, List<(double Ours, double Theirs)> pairs, string unit)
    {
        var ratios = pairs.Select(pair => pair.Ours / pair.Theirs).Order().ToArray();
        TestContext.Current.SendDiagnosticMessage(
            "{0}: {1}: median {2:F0} against {3:F0} {4}; ratio median {5:F2}, quartiles {6:F2} {7:F2}, {8} pairs",
            engine, what, Median(pairs.Select(pair => pair.Ours)), Median(pairs.Select(pair => pair.Theirs)), unit, Median(ratios), ratios[ratios.Length / 4], ratios[ratios.Length * 3 / 4], ratios.Length);
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static async Task<double> TimeAsync(Func<Task> work)
    {
        var started = Stopwatch.GetTimestamp();
        await work();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>As fills and captures do: blocks that lie in memory are handed to the queue, as fast as it takes them, until all are on disk.</summary>
    private static async Task InsertAsync(NvmeHarness store, Block[] blocks, int slice)
    {
        for (var i = 0; i < blocks.Length; i++)
        {
            Assert.True(blocks[i].TryAcquire());
            while (!store.Device.TryWrite(TestBlocks.Id((slice * SliceBlocks) + i), new BlockLease(blocks[i])))
            {
                await Task.Delay(1);
                Assert.True(blocks[i].TryAcquire());
            }
        }

        while (store.Now.QueueBytes > 0)
        {
            // Nothing comes after this slice: its last page is not left to wait for more.
            store.Device.Store!.Log.Flush();
            await Task.Delay(1);
        }
    }

    /// <summary>The device's sequential write: two threads that take turns with a block each.</summary>
    private static Task WriteAsync(DataFile file, Block[] blocks, int slice)
    {
        var next = -1;
        return OnThreadsAsync(2, _ =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < blocks.Length;)
            {
                file.Write(blocks[i].Span, (((long)slice * SliceBlocks) + i) * BlockBytes % RingBytes);
            }
        });
    }

    private static Task TierAsync(NvmeHarness store, int blocks, int readers, int each, int length, int slice) => Task.WhenAll(Enumerable.Range(0, readers).Select(reader => Task.Run(async () =>
    {
        var random = new Random((slice * 100) + reader);
        for (var i = 0; i < each; i++)
        {
            using var lease = await store.Device.ReadAsync(TestBlocks.Id(random.Next(blocks)), length == BlockBytes ? 0 : random.Next(BlockBytes / length) * length, length, CancellationToken.None);
            if (lease.Length != length)
            {
                Assert.Fail("A miss.");
            }
        }
    })));

    private static unsafe Task PlainAsync(DataFile file, int blocks, int readers, int each, int length, int slice) => OnThreadsAsync(readers, reader =>
    {
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)length, DataFile.Alignment);
        var random = new Random((slice * 100) + reader);
        for (var i = 0; i < each; i++)
        {
            file.Read(new Span<byte>(memory, length), (long)random.Next(blocks * (BlockBytes / length)) * length);
        }

        NativeMemory.AlignedFree(memory);
    });

    private static Task OnThreadsAsync(int threads, Action<int> work) => Task.WhenAll(Enumerable.Range(0, threads).Select(thread => Task.Factory.StartNew(
        () => work(thread), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
}
