using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache.Tiers;
using static Proxy.UnitTests.Tiers.TierStacks;

namespace Proxy.UnitTests.Tiers;

/// <summary>Hit ratios of memory and NVMe together, on a real disk: run by hand with <c>-explicit only -diagnostics</c>.</summary>
/// <remarks><c>PROXY_HIT_RATIO_CSV</c> names a file for the rows; <c>PROXY_HIT_RATIO_READS</c> sets the length of the traces, <c>PROXY_HIT_RATIO_BLOCKS</c> the blocks read.</remarks>
public sealed class TwoTierReplay
{
    private static readonly int Population = ReplayTable.Asked("PROXY_HIT_RATIO_BLOCKS", otherwise: 6000);

    // The smallest that memory does not keep in its queue for small blocks.
    private const int BlockBytes = 80 << 10;

    // The tier counts touches by the second: as many block reads as one second has at 1 GB/s.
    private const int ReadsPerSecond = 1000;

    [Fact(Explicit = true)]
    public async Task Replay()
    {
        var reads = ReplayTable.Asked("PROXY_HIT_RATIO_READS", otherwise: 100_000);
        var table = new ReplayTable("trace,population,reads,memory_blocks,nvme_blocks,hit_memory,hit_nvme,hit,written_per_read");
        foreach (var (name, trace) in Traces(reads))
        {
            var population = trace.DistinctBy(access => access.Block).Count();
            foreach (var share in new[] { 0.1, 0.25, 0.5 })
            {
                var row = await ReplayAsync(name, trace, population, (int)(population * share));
                table.Add(row);
            }
        }

        await table.SaveAsync();
    }

    private static IEnumerable<(string Name, BlockAccess[] Trace)> Traces(int reads)
    {
        static BlockAccess[] OfReads(int[] trace) => [.. trace.Select(block => new BlockAccess(block, IsWrite: false))];
        yield return ("zipf-0.9", OfReads(BlockTraces.Zipf(reads, Population, 0.9)));
        yield return ("zipf-0.9 that moves", OfReads(BlockTraces.ZipfThatMoves(reads, Population, 0.9)));
        yield return ("zipf-0.9 with scans", OfReads(BlockTraces.ZipfWithScans(reads, Population)));
        yield return ("milvus load/reload/compaction", BlockTraces.Milvus(reads, collections: Population / 60));
    }

    /// <summary>The first fifth warms up.</summary>
    private static async Task<string> ReplayAsync(string name, BlockAccess[] trace, int population, int nvmeBlocks)
    {
        using var directory = new TestDirectory();
        var options = Options(directory.Path) with
        {
            // A hundredth of the disk and more: the least that there is.
            MemoryCapacityBytes = 8 << 20,
            NvmeCapacityBytes = Math.Max(64L << 20, (long)nvmeBlocks * BlockBytes),
            MaxBlockBytes = 128 << 10,
        };
        await using var tiers = TierStack.Open(options, TimeProvider.System, NullLoggerFactory.Instance);
        await UntilAsync(() => tiers.Snapshot().Nvme[0].State == NvmeState.Healthy, tiers);
        var (reads, memory, nvme) = (0, 0, 0);
        for (var i = 0; i < trace.Length; i++)
        {
            if (i % ReadsPerSecond == 0)
            {
                tiers.Memory.AdvanceEpoch();
            }

            // A disk that falls behind is not what is measured.
            if (i % 4 == 0)
            {
                await UntilAsync(() => tiers.Snapshot().Nvme[0].QueueBytes < 1 << 20, tiers);
            }

            var id = TestBlocks.Id(trace[i].Block);
            var counts = i >= trace.Length / 5 && !trace[i].IsWrite ? 1 : 0;
            reads += counts;
            if (!trace[i].IsWrite)
            {
                var read = await tiers.ReadAsync(id, 0, BlockBytes, CancellationToken.None);
                memory += read.Tier == Tier.Memory ? counts : 0;
                nvme += read.Tier == Tier.Nvme ? counts : 0;
                read.Lease.Dispose();
                if (read.Found)
                {
                    continue;
                }
            }

            Assert.True(tiers.TryRent(BlockBytes, out var block));
            tiers.Publish(id, block, trace[i].IsWrite ? Admission.Always : Admission.SecondHit);
        }

        var snapshot = tiers.Snapshot().Nvme[0];
        Assert.Equal(0, snapshot.WritesDropped);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{name},{population},{trace.Length},{(8 << 20) / BlockBytes},{options.NvmeCapacityBytes / BlockBytes},{(double)memory / reads:F4},{(double)nvme / reads:F4},{(double)(memory + nvme) / reads:F4},{(double)snapshot.BlocksWritten / trace.Length:F3}");
    }
}
