using System.Diagnostics;
using System.Runtime.InteropServices;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>The tier against plain positional I/O on a file of its own, alternating: run by hand with <c>-explicit only -diagnostics</c>.</summary>
public sealed class NvmeFigures
{
    private const int Blocks = 2048;
    private const int BlockBytes = 1 << 20;

    [Theory(Explicit = true)]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task Figures(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = new NvmeHarness(directory.Path, engine, 8L << 30, 512 << 20, readThreads: 16);
        using var plain = DataFile.Open(directory.File("plain"), DirectIo.Auto);
        plain.Allocate(0, (long)Blocks * BlockBytes);
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);

        var inserted = await TimeAsync(async () =>
        {
            for (var number = 0; number < Blocks; number++)
            {
                while (!store.Pool.TryRent(BlockBytes, out var block) || !store.Device.TryWrite(TestBlocks.Id(number), new(block)))
                {
                    await Task.Delay(1);
                }
            }

            await store.FlushedAsync();
        });
        var written = await TimeAsync(() => PlainAsync(plain, 2, Blocks / 2, BlockBytes, write: true));
        Say(engine, "insert 1 MiB", Blocks * 1.048576 / inserted, Blocks * 1.048576 / written, "MB/s");
        foreach (var (length, readers, each) in new[] { (BlockBytes, 1, 200), (BlockBytes, 8, 100), (16 << 10, 1, 2000), (16 << 10, 8, 1000) })
        {
            for (var round = 0; round < 2; round++)
            {
                var allocated = GC.GetTotalAllocatedBytes();
                var ours = await TimeAsync(() => TierAsync(store, readers, each, length));
                allocated = GC.GetTotalAllocatedBytes() - allocated;
                var theirs = await TimeAsync(() => PlainAsync(plain, readers, each, length, write: false));
                Say(engine, $"read {length >> 10} KiB q{readers} ({allocated / (readers * each)} B allocated each)", readers * each / ours, readers * each / theirs, "op/s");
            }
        }

        Say(engine, "misses", store.Now.Misses, store.Now.Corrupt, "(corrupt)");
    }

    private static void Say(NvmeEngine engine, string what, double ours, double theirs, string unit) =>
        TestContext.Current.SendDiagnosticMessage("{0}: {1}: {2:F0} against {3:F0} {4}, ratio {5:F2}", engine, what, ours, theirs, unit, ours / theirs);

    private static async Task<double> TimeAsync(Func<Task> work)
    {
        var started = Stopwatch.GetTimestamp();
        await work();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static Task TierAsync(NvmeHarness store, int readers, int each, int length) => Task.WhenAll(Enumerable.Range(0, readers).Select(seed => Task.Run(async () =>
    {
        var random = new Random(seed);
        for (var i = 0; i < each; i++)
        {
            using var lease = await store.Device.ReadAsync(TestBlocks.Id(random.Next(Blocks)), length == BlockBytes ? 0 : random.Next(BlockBytes / length) * length, length, CancellationToken.None);
            if (lease.Length != length)
            {
                Assert.Fail("A miss.");
            }
        }
    })));

    /// <summary>Blocking positional I/O on a thread per client, into aligned memory of its own: nothing checked, nothing copied.</summary>
    private static unsafe Task PlainAsync(DataFile file, int clients, int each, int length, bool write) => Task.WhenAll(Enumerable.Range(0, clients).Select(seed => Task.Factory.StartNew(
        () =>
        {
            var memory = (byte*)NativeMemory.AlignedAlloc((nuint)length, 4096);
            new Span<byte>(memory, length).Fill((byte)seed);
            var random = new Random(seed);
            for (var i = 0; i < each; i++)
            {
                if (write)
                {
                    file.Write(new Span<byte>(memory, length), ((long)(seed * each) + i) * length);
                }
                else
                {
                    file.Read(new Span<byte>(memory, length), (long)random.Next(Blocks * (BlockBytes / length)) * length);
                }
            }

            NativeMemory.AlignedFree(memory);
        },
        CancellationToken.None,
        TaskCreationOptions.LongRunning,
        TaskScheduler.Default)));
}
