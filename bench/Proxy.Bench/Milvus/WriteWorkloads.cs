using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W2 to W4: what data nodes write, and read right after.</summary>
internal static class WriteWorkloads
{
    private const long Vectors = 101;
    private const int ReadRangeBytes = 32 << 20;

    /// <summary>W2: growing segments synced as small multipart uploads, statistics beside them.</summary>
    public static async Task FlushAsync(MilvusContext context, CancellationToken cancellation)
    {
        await context.EnsureBucketAsync(cancellation);
        var objects = Enumerable.Range(0, context.Scale.Segments).SelectMany(segment => FlushedSegment(context, segment)).ToList();
        var flushed = await context.MeasureAsync("flush", () => context.WriteAsync(objects, 16, cancellation));
        context.Figures["flush ops/s"] = flushed.Requests / flushed.Seconds;
    }

    /// <summary>W3: reads eight flushed segments in row groups, and writes one of them all; then what it pushed out of a cache.</summary>
    public static async Task CompactionAsync(MilvusContext context, CancellationToken cancellation)
    {
        // Flushed through the endpoint a while ago; and something else is in use.
        var inputs = CompactionInputs(context);
        await context.WriteAsync(inputs, 16, cancellation);
        var hot = HotIndex(context);
        await context.WriteAsync(hot, 8, cancellation);
        for (var times = 0; times < 2; times++)
        {
            await ReadHotAsync(context, hot, cancellation);
        }

        var compacted = await context.MeasureAsync("compaction", async () =>
        {
            await MilvusContext.ForEachAsync(inputs, 8, async (item, token) =>
            {
                for (var open = 0; open < 2; open++)
                {
                    await context.HeadAsync(item, token);
                    await context.TailAsync(item, token);
                }

                var step = 1L << (20 + (int)item.Content.Choose(1, 5));
                for (var start = 0L; start < item.Size; start += step)
                {
                    await context.RangeAsync(item, start, step, token);
                }
            }, cancellation);
            await context.WriteAsync([Compacted(context)], 8, cancellation);
        });
        context.Figures["compaction MB/s"] = compacted.Bytes / 1e6 / compacted.Seconds;

        var after = await context.MeasureAsync("hot data after it", () => ReadHotAsync(context, hot, cancellation));
        if (after.HitShare is { } share && !context.Endpoint.IsDirect)
        {
            context.Figures["hot data after it, still cached %"] = 100 * share;
        }
    }

    /// <summary>W4: reads the compacted file in eight parallel ranges, writes index slices, and reads those at once.</summary>
    public static async Task IndexBuildAsync(MilvusContext context, CancellationToken cancellation)
    {
        var input = Compacted(context);
        await context.WriteAsync([input], 8, cancellation);
        var slices = MilvusDataset.DescribeIndex($"{context.Root}/index_files/{451_000_000_007 + context.Generation}/1/1002/451000000000", input.Size, seed: 7);
        var built = await context.MeasureAsync("index build", async () =>
        {
            await context.OpenAsync(input, cancellation);
            var starts = Enumerable.Range(0, (int)((input.Size + ReadRangeBytes - 1) / ReadRangeBytes)).Select(index => (long)index * ReadRangeBytes).ToList();
            await MilvusContext.ForEachAsync(starts, 8, async (start, token) =>
            {
                await context.HeadAsync(input, token);
                await context.TailAsync(input, token);
                await context.RangeAsync(input, start, ReadRangeBytes, token);
            }, cancellation);
            await context.WriteAsync(slices, 16, cancellation);
        });
        context.Figures["index build MB/s"] = built.Bytes / 1e6 / built.Seconds;

        var read = await context.MeasureAsync("read after write", () => context.LoadAsync(slices, 16, cancellation));
        if (read.HitShare is { } share && !context.Endpoint.IsDirect)
        {
            context.Figures["read after write, cached %"] = 100 * share;
            context.Expect("an index is read after its write without the backend", read.BackendBytes == 0, $"{read.BackendRequests} requests, {read.BackendBytes >> 20} MiB");
        }
    }

    private static Task ReadHotAsync(MilvusContext context, IReadOnlyList<DatasetObject> hot, CancellationToken cancellation)
        => MilvusContext.ForEachAsync(hot, 8, (item, token) => context.GetAsync(item, token), cancellation);

    /// <summary>An index in use: as much as half the cache holds, and no more than a segment's.</summary>
    private static List<DatasetObject> HotIndex(MilvusContext context)
    {
        var left = Math.Min(context.Scale.CompactedBytes, context.Endpoint.Cache?.Sizes.Bytes / 2 ?? long.MaxValue);
        return [.. MilvusDataset.DescribeIndex($"{context.Root}/index_files/{452_000_000_007 + context.Generation}/1/1002/452000000000", context.Scale.CompactedBytes, seed: 7)
            .TakeWhile(item => (left -= item.Size) >= 0)];
    }

    /// <summary>Eight flushed segments' files of each group, together as large as what is made of them.</summary>
    private static List<DatasetObject> CompactionInputs(MilvusContext context)
    {
        var objects = new List<DatasetObject>();
        for (var segment = 0; segment < 8; segment++)
        {
            var id = 454_000_000_000 + (context.Generation * 1000L) + (segment * 10);
            objects.Add(context.Object($"insert_log/1001/1002/{id}/0/{id + 1}", (50 << 10) + (segment * (128 << 10)), ObjectKind.InsertLog));
            objects.Add(context.Object($"insert_log/1001/1002/{id}/{Vectors}/{id + 2}", (context.Scale.CompactedBytes / 8) + 1234, ObjectKind.InsertLog));
        }

        return objects;
    }

    private static List<DatasetObject> FlushedSegment(MilvusContext context, int segment)
    {
        var objects = new List<DatasetObject>();
        var folder = $"1001/1002/{450_000_000_000 + segment}";
        var syncs = (int)Math.Clamp(context.Scale.SegmentBytes / (32 << 20), 1, 8);
        for (var sync = 0; sync < syncs; sync++)
        {
            var id = 452_000_000_000 + (context.Generation * 1_000_000L) + (segment * 1000L) + (sync * 10);
            objects.Add(context.Object($"insert_log/{folder}/0/{id}", (50 << 10) + (sync * (128 << 10)), ObjectKind.InsertLog));
            objects.Add(context.Object($"insert_log/{folder}/{Vectors}/{id + 1}", 16 << 20, ObjectKind.InsertLog));
            objects.Add(context.Object($"stats_log/{folder}/100/{id + 2}", (50 << 10) + (sync * (20 << 10)), ObjectKind.StatsLog));
        }

        objects.Add(context.Object($"stats_log/{folder}/100/1", 600 << 10, ObjectKind.StatsLog));
        return objects;
    }

    private static DatasetObject Compacted(MilvusContext context)
        => context.Object($"insert_log/1001/1002/453000000000/{Vectors}/{453_000_000_001 + (context.Generation * 10)}", context.Scale.CompactedBytes + 12345, ObjectKind.InsertLog);
}
