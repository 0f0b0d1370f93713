using Proxy.Bench.Http;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W1 to W4: what Milvus writes, and reads right after.</summary>
internal static class WriteWorkloads
{
    // Logs are new in every run and for every endpoint: what answers may still hold another's blocks.
    private static long _nextLog = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() * 100;

    /// <summary>W1: every log's writer puts blocks under If-None-Match, its reader polls for the next and reads it; then the footer and the clean-up.</summary>
    public static async Task WalAsync(MilvusContext context, CancellationToken cancellation)
    {
        await EnsureBucketAsync(context, cancellation);
        await context.MeasureAsync("wal", () => Task.WhenAll(Enumerable.Range(0, context.Scale.WalLogs).Select(_ => LogAsync(context, Interlocked.Increment(ref _nextLog), cancellation))));
    }

    /// <summary>W2: growing segments synced as small multipart uploads, statistics beside them.</summary>
    public static Task FlushAsync(MilvusContext context, CancellationToken cancellation)
        => context.MeasureAsync("flush", () => context.WriteAsync(FlushedObjects(context), 16, cancellation));

    /// <summary>W3: reads what W2 wrote, sequentially in row groups, and writes it as one file.</summary>
    public static async Task CompactionAsync(MilvusContext context, CancellationToken cancellation)
    {
        var inputs = FlushedObjects(context).Where(item => item.Kind == ObjectKind.InsertLog).ToList();
        if ((await context.Clients.SendAsync(new S3Request("HEAD", "HEAD", inputs[^1].Key), cancellation)).Status == 404)
        {
            await context.WriteAsync(inputs, 16, cancellation);    // W2 was left out
        }

        await context.MeasureAsync("compaction", async () =>
        {
            await Parallel.ForEachAsync(inputs, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellation }, async (item, token) =>
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
            });
            await context.WriteAsync([Compacted(context)], 8, cancellation);
        });
    }

    /// <summary>W4: reads the compacted file in eight parallel ranges, writes index slices, and reads those at once.</summary>
    public static async Task IndexBuildAsync(MilvusContext context, CancellationToken cancellation)
    {
        var input = Compacted(context);
        if ((await context.Clients.SendAsync(new S3Request("HEAD", "HEAD", input.Key), cancellation)).Status == 404)
        {
            await context.WriteAsync([input], 8, cancellation);    // W3 was left out
        }

        var slices = new List<DatasetObject>();
        for (var left = input.Size; left > 0; left -= MilvusDataset.SliceBytes)
        {
            var key = $"{context.Root}/index_files/451000000007/1/1002/451000000000/HNSW_{slices.Count}";
            slices.Add(new DatasetObject(key, Math.Min(left, MilvusDataset.SliceBytes), ObjectKind.IndexSlice, new Content(7, key)));
        }

        await context.MeasureAsync("index build", async () =>
        {
            await context.HeadAsync(input, cancellation);
            await context.TailAsync(input, cancellation);
            await context.TailAsync(input, cancellation, 200 << 10);
            const long step = 32 << 20;
            var starts = Enumerable.Range(0, (int)((input.Size + step - 1) / step)).Select(index => index * step);
            await Parallel.ForEachAsync(starts, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellation }, async (start, token) =>
            {
                await context.HeadAsync(input, token);
                await context.TailAsync(input, token);
                await context.RangeAsync(input, start, step, token);
            });
            await context.WriteAsync(slices, 16, cancellation);
        });
        await context.MeasureAsync("read after write", () => context.LoadAsync(slices, 16, cancellation));
    }

    public static async Task EnsureBucketAsync(MilvusContext context, CancellationToken cancellation)
        => await context.WriteAsync([], 1, cancellation);

    private static List<DatasetObject> FlushedObjects(MilvusContext context)
    {
        var objects = new List<DatasetObject>();
        var syncs = (int)Math.Clamp(context.Scale.Bytes / (64 << 20), 1, 8);
        for (var segment = 0; segment < context.Scale.Segments; segment++)
        {
            for (var sync = 0; sync < syncs; sync++)
            {
                var id = 452_000_000_000 + (segment * 1000L) + (sync * 10);
                Add($"insert_log/1001/1002/{segment}/0/{id}", (50 << 10) + (sync * (64 << 10)), ObjectKind.InsertLog);
                Add($"insert_log/1001/1002/{segment}/101/{id + 1}", 16 << 20, ObjectKind.InsertLog);
                Add($"stats_log/1001/1002/{segment}/100/{id + 2}", 120 << 10, ObjectKind.StatsLog);
            }

            Add($"stats_log/1001/1002/{segment}/100/1", 600 << 10, ObjectKind.StatsLog);
        }

        return objects;

        void Add(string name, long size, ObjectKind kind)
        {
            var key = $"{context.Root}/{name}";
            objects.Add(new DatasetObject(key, size, kind, new Content(7, key)));
        }
    }

    private static DatasetObject Compacted(MilvusContext context)
    {
        var key = $"{context.Root}/insert_log/1001/1002/453000000000/101/453000000001";
        return new DatasetObject(key, Math.Min(1L << 30, context.Scale.Bytes / 4) + 12345, ObjectKind.InsertLog, new Content(7, key));
    }

    private static async Task LogAsync(MilvusContext context, long log, CancellationToken cancellation)
    {
        var acknowledged = new StrongBox();
        var blocks = Enumerable.Range(0, context.Scale.WalBlocks).Select(number => Block(context, log, $"{number}.blk", context.Scale.WalBlockBytes)).ToList();
        await Task.WhenAll(WriteLogAsync(context, blocks, acknowledged, cancellation), ReadLogAsync(context, blocks, acknowledged, cancellation));

        // Finalised, compacted, cleaned: the footer is written once under a condition, then overwritten, and each must be seen at once.
        var footer = Block(context, log, "footer.blk", 4 << 10);
        await PutAsync(context, footer, true, 200, cancellation);
        await context.GetAsync(footer, cancellation);
        var rewritten = footer with { Content = new Content(8, footer.Key) };
        await PutAsync(context, rewritten, false, 200, cancellation);
        await context.GetAsync(rewritten, cancellation);
        await Parallel.ForEachAsync(blocks, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellation }, async (item, token) =>
        {
            var answer = await context.Clients.SendAsync(new S3Request("DELETE", "DELETE", item.Key), token);
            context.Report.Check(answer.Status == 204, () => $"DELETE {item.Key}: status {answer.Status}");
            var head = await context.Clients.SendAsync(new S3Request("HEAD gone", "HEAD", item.Key), token);
            context.Report.Check(head.Status == 404, () => $"HEAD {item.Key} after its DELETE: status {head.Status}");
        });
    }

    private static async Task WriteLogAsync(MilvusContext context, List<DatasetObject> blocks, StrongBox acknowledged, CancellationToken cancellation)
    {
        using var clock = new PeriodicTimer(context.Scale.WalPace);
        for (var number = 0; number < blocks.Count; number++)
        {
            await PutAsync(context, blocks[number], true, 200, cancellation);
            acknowledged.Value = number + 1;
            if (number % 5 == 0)
            {
                // A second writer that lost its lease: it must be told.
                await PutAsync(context, blocks[number] with { Content = new Content(9, "other") }, true, 412, cancellation);
            }

            await clock.WaitForNextTickAsync(cancellation);
        }
    }

    private static async Task ReadLogAsync(MilvusContext context, List<DatasetObject> blocks, StrongBox acknowledged, CancellationToken cancellation)
    {
        using var clock = new PeriodicTimer(context.Scale.WalPace);
        for (var next = 0; next < blocks.Count;)
        {
            var due = acknowledged.Value > next;    // read before the HEAD leaves
            var head = await context.Clients.SendAsync(new S3Request("HEAD poll", "HEAD", blocks[next].Key), cancellation);
            context.Report.Check(head.Status == 200 || (head.Status == 404 && !due), () => $"HEAD {blocks[next].Key}: status {head.Status}, though its PUT was acknowledged: {due}");
            if (head.Status == 200)
            {
                await context.RangeAsync(blocks[next], 0, blocks[next].Size, cancellation, "GET block");
                next++;
                continue;
            }

            await clock.WaitForNextTickAsync(cancellation);
        }
    }

    private static async Task PutAsync(MilvusContext context, DatasetObject item, bool conditional, int status, CancellationToken cancellation)
    {
        var body = new byte[item.Size];
        item.Content.Fill(body, 0);
        var operation = status == 412 ? "PUT taken" : conditional ? "PUT if-none-match" : "PUT";
        var answer = await context.Clients.SendAsync(
            new S3Request(operation, "PUT", item.Key) { Body = body, IfNoneMatch = conditional, Signing = PayloadSigning.Streaming }, cancellation);
        context.Report.Check(answer.Status == status, () => $"{operation} {item.Key}: status {answer.Status}, {status} was due");
        context.Report.AddBytes(operation, item.Size);
    }

    private static DatasetObject Block(MilvusContext context, long log, string name, int size)
    {
        var key = $"{context.Root}/wp/{log}/0/{name}";
        return new DatasetObject(key, size, ObjectKind.DeltaLog, new Content(7, key));
    }

    private sealed class StrongBox
    {
        private int _value;

        public int Value
        {
            get => Volatile.Read(ref _value);
            set => Volatile.Write(ref _value, value);
        }
    }
}
