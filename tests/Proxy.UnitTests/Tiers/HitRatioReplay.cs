using System.Globalization;
using BitFaster.Caching;
using BitFaster.Caching.Lfu;
using BitFaster.Caching.Lru;
using BitFaster.Caching.Scheduler;
using Microsoft.Extensions.Time.Testing;
using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers.Memory;

namespace Proxy.UnitTests.Tiers;

/// <summary>Hit ratios of the memory tier beside W-TinyLFU and LRU on the same traces: run by hand with <c>-explicit only -diagnostics</c>.</summary>
/// <remarks><c>PROXY_HIT_RATIO_CSV</c> names a file for the rows; <c>PROXY_HIT_RATIO_READS</c> sets the length of the traces.</remarks>
public sealed class HitRatioReplay
{
    private const int Population = 50_000;

    // What stands for one block of 1 MiB; never touched, so it costs address space only.
    private const int BlockBytes = 128 << 10;

    // The tier counts touches by the second: as many block reads as one second has at 1 GB/s.
    private const int ReadsPerSecond = 1000;

    [Fact(Explicit = true)]
    public async Task Replay()
    {
        var reads = ReplayTable.Asked("PROXY_HIT_RATIO_READS", otherwise: 1_000_000);
        var table = new ReplayTable("trace,population,reads,cache_blocks,cache_share,policy,hit_ratio");
        foreach (var (name, trace) in Traces(reads))
        {
            var population = trace.Distinct().Count();
            foreach (var share in new[] { 0.01, 0.1 })
            {
                var capacity = Math.Max(64, (int)(population * share));
                foreach (var (policy, ratio) in new[]
                {
                    ("S3-FIFO (ours)", Ours(trace, capacity)),
                    ("W-TinyLFU", Theirs(new ConcurrentLfu<int, int>(1, capacity, new ForegroundScheduler(), EqualityComparer<int>.Default), trace)),
                    ("LRU", Theirs(new ClassicLru<int, int>(1, capacity, EqualityComparer<int>.Default), trace)),
                })
                {
                    var row = string.Create(CultureInfo.InvariantCulture, $"{name},{population},{trace.Length},{capacity},{share},{policy},{ratio:F4}");
                    table.Add(row);
                }
            }
        }

        await table.SaveAsync();
    }

    private static IEnumerable<(string Name, int[] Trace)> Traces(int reads)
    {
        yield return ("zipf-0.9", BlockTraces.Zipf(reads, Population, 0.9));
        yield return ("zipf-1.0", BlockTraces.Zipf(reads, Population, 1.0));
        yield return ("zipf-0.9 with scans", BlockTraces.ZipfWithScans(reads, Population));

        // What a compaction writes comes in by the capture of its upload: a read here, missed by all policies alike.
        yield return ("milvus load/reload/compaction", [.. BlockTraces.Milvus(reads, collections: 400).Select(access => access.Block)]);
    }

    /// <summary>The first fifth warms up.</summary>
    private static double Ours(int[] trace, int capacity)
    {
        using var pool = new BlockPool((long)capacity * BlockBytes);
        using var tier = new MemoryTier(pool, new FakeTimeProvider());
        var hits = 0;
        for (var i = 0; i < trace.Length; i++)
        {
            if (i % ReadsPerSecond == 0)
            {
                tier.AdvanceEpoch();
            }

            var id = new BlockId(new ContentId(0, (ulong)trace[i]), 0);
            if (tier.TryGet(id, out var lease))
            {
                lease.Dispose();
                hits += i >= trace.Length / 5 ? 1 : 0;
            }
            else
            {
                Assert.True(pool.TryRent(BlockBytes, out var block));
                tier.Insert(id, block, awaitsSecondHit: false);
            }
        }

        return hits / (trace.Length * 0.8);
    }

    private static double Theirs(ICache<int, int> cache, int[] trace)
    {
        var hits = 0;
        for (var i = 0; i < trace.Length; i++)
        {
            if (cache.TryGet(trace[i], out _))
            {
                hits += i >= trace.Length / 5 ? 1 : 0;
            }
            else
            {
                cache.AddOrUpdate(trace[i], 0);
            }
        }

        return hits / (trace.Length * 0.8);
    }
}
