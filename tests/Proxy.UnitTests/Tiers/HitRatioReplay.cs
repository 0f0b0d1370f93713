using System.Globalization;
using System.Text;
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
        var reads = int.TryParse(Environment.GetEnvironmentVariable("PROXY_HIT_RATIO_READS"), out var asked) ? asked : 1_000_000;
        var table = new StringBuilder("trace,population,reads,cache_blocks,cache_share,policy,hit_ratio\n");
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
                    table.Append(row).Append('\n');
                    TestContext.Current.SendDiagnosticMessage("{0}", row);
                }
            }
        }

        if (Environment.GetEnvironmentVariable("PROXY_HIT_RATIO_CSV") is { Length: > 0 } path)
        {
            await File.WriteAllTextAsync(path, table.ToString());
        }
    }

    private static IEnumerable<(string Name, int[] Trace)> Traces(int reads)
    {
        yield return ("zipf-0.9", Zipf(reads, 0.9));
        yield return ("zipf-1.0", Zipf(reads, 1.0));
        yield return ("zipf-0.9 with scans", ZipfWithScans(reads));
        yield return ("milvus load/reload/compaction", Milvus(reads));
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

    private static int[] Zipf(int reads, double skew)
    {
        var draw = Sampler(Population, skew, new Random(1));
        var trace = new int[reads];
        for (var i = 0; i < reads; i++)
        {
            trace[i] = draw();
        }

        return trace;
    }

    /// <summary>Every 20,000 reads a scan of 5,000 blocks that nobody asks for again.</summary>
    private static int[] ZipfWithScans(int reads)
    {
        var draw = Sampler(Population, 0.9, new Random(2));
        var trace = new int[reads];
        var cold = Population;
        for (var i = 0; i < reads; i++)
        {
            trace[i] = i % 20_000 < 5000 ? cold++ : draw();
        }

        return trace;
    }

    /// <summary>
    /// 400 collections of 10 to 500 blocks in segments of at most 32, popular by Zipf 0.9. A load reads a collection from end to end; a reload after a node is
    /// lost reads some of its segments; a compaction reads four segments and writes one that takes their place, captured as it is written.
    /// </summary>
    private static int[] Milvus(int reads)
    {
        const int Collections = 400;
        const int SegmentBlocks = 32;
        var random = new Random(3);
        var draw = Sampler(Collections, 0.9, random);
        var next = 0;
        var collections = Enumerable.Range(0, Collections).Select(_ =>
        {
            var segments = new List<int[]>();
            for (var blocks = (int)(10 * Math.Pow(50, random.NextDouble())); blocks > 0; blocks -= SegmentBlocks)
            {
                segments.Add(Enumerable.Range(next, Math.Min(SegmentBlocks, blocks)).ToArray());
                next += SegmentBlocks;
            }

            return segments;
        }).ToArray();
        var trace = new List<int>(reads);
        while (trace.Count < reads)
        {
            var segments = collections[draw()];
            switch (random.Next(10))
            {
                case < 5:
                    trace.AddRange(segments.SelectMany(segment => segment));
                    break;
                case < 8:
                    trace.AddRange(segments.Where(_ => random.Next(3) == 0).SelectMany(segment => segment));
                    break;
                default:
                    var compacted = segments.Take(4).ToArray();
                    trace.AddRange(compacted.SelectMany(segment => segment));
                    segments.RemoveRange(0, compacted.Length);
                    foreach (var old in compacted)
                    {
                        // The new segment's blocks come in by the capture of its upload: a read here, missed by all policies alike.
                        segments.Add(Enumerable.Range(next, old.Length).ToArray());
                        trace.AddRange(segments[^1]);
                        next += SegmentBlocks;
                    }

                    break;
            }
        }

        return [.. trace.Take(reads)];
    }

    private static Func<int> Sampler(int count, double skew, Random random)
    {
        var cumulated = new double[count];
        double sum = 0;
        for (var i = 0; i < count; i++)
        {
            cumulated[i] = sum += Math.Pow(i + 1, -skew);
        }

        return () =>
        {
            var at = Array.BinarySearch(cumulated, random.NextDouble() * sum);
            return Math.Min(count - 1, at < 0 ? ~at : at);
        };
    }
}
