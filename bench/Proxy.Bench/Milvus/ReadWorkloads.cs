using System.Diagnostics;
using Proxy.Bench.Http;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W5 to W8: what query nodes read.</summary>
internal static class ReadWorkloads
{
    private const int CellBytes = 4 << 20;
    private const double ZipfExponent = 0.9;

    /// <summary>W5: two replicas load the same segments, which the endpoint has not seen, at the same time.</summary>
    public static async Task ColdLoadAsync(MilvusContext context, CancellationToken cancellation)
    {
        await PutSegmentsAsync(context, cancellation);
        await context.MeasureAsync("cold load", () => Task.WhenAll(
            context.LoadAsync(context.Segments, 16, cancellation),
            context.LoadAsync(context.Segments, 16, cancellation)));
    }

    /// <summary>W6: the same load again, at rising concurrency; a cache asks its backend nothing.</summary>
    public static async Task WarmReloadAsync(MilvusContext context, CancellationToken cancellation)
    {
        await EnsureLoadedAsync(context, cancellation);
        foreach (var connections in (int[])[16, 32, 64, 128])
        {
            var bytes = Bytes(context);
            await context.MeasureAsync($"warm {connections}", () => context.LoadAsync(context.Segments, connections, cancellation));
            context.Figures[$"warm {connections} GiB/s"] = (Bytes(context) - bytes) / (double)(1L << 30) / context.Figures[$"warm {connections} s"];
        }
    }

    /// <summary>W7: cells of the wide column groups, drawn by Zipf's law, each opened anew: HEAD, footer, data. Then the same with the data in small pieces, as a reader asks that does not join its ranges.</summary>
    public static async Task TieredReadsAsync(MilvusContext context, CancellationToken cancellation)
    {
        await EnsureLoadedAsync(context, cancellation);
        await TieredReadsAsync(context, "tiered", "cell", static (_, cell) => [(cell.Start, CellBytes)], cancellation);
        await TieredReadsAsync(context, "uncoalesced", "cell in pieces", Pieces, cancellation);
    }

    private static async Task TieredReadsAsync(
        MilvusContext context, string phase, string operation, Func<Random, (DatasetObject Item, long Start), (long Start, int Length)[]> ranges, CancellationToken cancellation)
    {
        var cells = Cells(context);
        var draw = new ZipfDraw(cells.Count, ZipfExponent, seed: 11);
        var random = new Random(12);
        await context.MeasureAsync(phase, async () =>
        {
            for (var batch = 0; batch < context.Scale.Batches; batch++)
            {
                var drawn = Enumerable.Range(0, context.Scale.CellsPerBatch).Select(_ => cells[draw.Next()]).Select(cell => (Cell: cell, Ranges: ranges(random, cell))).ToList();
                await Parallel.ForEachAsync(drawn, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = cancellation }, async (read, token) =>
                {
                    var started = Stopwatch.GetTimestamp();
                    var item = read.Cell.Item;
                    await context.HeadAsync(item, token);
                    await context.TailAsync(item, token);
                    await context.TailAsync(item, token, 200 << 10);
                    foreach (var (start, length) in read.Ranges)
                    {
                        await context.RangeAsync(item, start, length, token, $"GET {operation}");
                    }

                    context.Report.Record(operation, Stopwatch.GetElapsedTime(started), read.Ranges.Sum(range => Math.Min(range.Length, item.Size - range.Start)));
                });
            }
        });
        context.Figures[$"{phase} cells/s"] = context.Scale.Batches * context.Scale.CellsPerBatch / context.Figures[$"{phase} s"];
    }

    /// <summary>One to four pieces of 64 to 512 KiB of the cell.</summary>
    private static (long Start, int Length)[] Pieces(Random random, (DatasetObject Item, long Start) cell)
    {
        var end = Math.Min(cell.Start + CellBytes, cell.Item.Size);
        return [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => (cell.Start + random.NextInt64(end - cell.Start), (64 << 10) << random.Next(4)))];
    }

    /// <summary>W8: single DELETEs with 100 in flight and whole listings, while segments are reloaded.</summary>
    public static async Task GarbageCollectionAsync(MilvusContext context, CancellationToken cancellation)
    {
        await EnsureLoadedAsync(context, cancellation);
        var small = Enumerable.Range(0, context.Scale.SmallObjects).Select(number =>
        {
            var key = $"{context.Root}/delta_log/1001/1002/9/{455_000_000_000 + number}";
            return new DatasetObject(key, 1000 + number, ObjectKind.DeltaLog, new Content(7, key));
        }).ToList();
        await context.WriteAsync(small, 32, cancellation, context.Endpoint.Origin);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var reading = ReloadUntilAsync(context, over.Token);
        await context.MeasureAsync("listing", async () => context.Figures["keys listed"] = await ListAsync(context, cancellation));
        context.Report.Check(context.Figures["keys listed"] >= small.Count, () => $"listed {context.Figures["keys listed"]} of {small.Count} keys");
        await context.MeasureAsync("deleting", () => Parallel.ForEachAsync(small, new ParallelOptions { MaxDegreeOfParallelism = 100, CancellationToken = cancellation }, async (item, token) =>
        {
            var answer = await context.Clients.SendAsync(new S3Request("DELETE", "DELETE", item.Key), token);
            context.Report.Check(answer.Status == 204, () => $"DELETE {item.Key}: status {answer.Status}");
        }));
        await over.CancelAsync();
        await reading;
    }

    public static async Task PutSegmentsAsync(MilvusContext context, CancellationToken cancellation)
        => await context.WriteAsync(context.Segments, 8, cancellation, context.Endpoint.Origin);

    /// <summary>One untimed load, so that a workload run alone finds what it presumes.</summary>
    public static async Task EnsureLoadedAsync(MilvusContext context, CancellationToken cancellation)
    {
        var last = context.Segments[^1];
        if ((await context.Clients.SendAsync(new S3Request("HEAD", "HEAD", last.Key), cancellation)).Status == 404)
        {
            await PutSegmentsAsync(context, cancellation);
            await context.LoadAsync(context.Segments, 16, cancellation);
        }
    }

    private static long Bytes(MilvusContext context) => context.Report.Operations.Values.Sum(operation => operation.Bytes);

    private static List<(DatasetObject Item, long Start)> Cells(MilvusContext context)
        => [.. from item in context.Segments
               where item.Kind == ObjectKind.InsertLog
               from index in Enumerable.Range(0, (int)((item.Size + CellBytes - 1) / CellBytes))
               select (item, (long)index * CellBytes)];

    private static async Task ReloadUntilAsync(MilvusContext context, CancellationToken over)
    {
        try
        {
            while (!over.IsCancellationRequested)
            {
                await context.LoadAsync(context.Segments, 16, over);
            }
        }
        catch (OperationCanceledException)
        {
            // The listing and the deletes are done.
        }
    }

    private static async Task<int> ListAsync(MilvusContext context, CancellationToken cancellation)
    {
        var (keys, token) = (0, "");
        do
        {
            var prefix = Uri.EscapeDataString($"{context.Root}/delta_log/");
            var query = $"{(token.Length > 0 ? $"continuation-token={Uri.EscapeDataString(token)}&" : "")}delimiter=&encoding-type=url&fetch-owner=true&list-type=2&prefix={prefix}";
            var answer = await context.Clients.SendAsync(new S3Request("LIST", "GET", null) { Query = query }, cancellation);
            RunFailedException.Unless(answer.Status == 200, $"LIST answered {answer.Status}: {answer.Text}");
            keys += answer.Text.Split("<Key>").Length - 1;
            token = answer.Element("NextContinuationToken") ?? "";
        }
        while (token.Length > 0);
        return keys;
    }
}

/// <summary>Indexes below a bound, the first the most often: probability proportional to rank to the minus exponent.</summary>
internal sealed class ZipfDraw
{
    private readonly double[] _cumulative;
    private readonly int[] _shuffled;
    private readonly Random _random;

    public ZipfDraw(int count, double exponent, int seed)
    {
        _random = new Random(seed);
        _cumulative = new double[count];
        var sum = 0.0;
        for (var i = 0; i < count; i++)
        {
            _cumulative[i] = sum += Math.Pow(i + 1, -exponent);
        }

        // Ranks are strewn over the cells: the hot ones are not neighbours.
        _shuffled = [.. Enumerable.Range(0, count)];
        _random.Shuffle(_shuffled);
    }

    public int Next()
    {
        var found = Array.BinarySearch(_cumulative, _random.NextDouble() * _cumulative[^1]);
        return _shuffled[found < 0 ? Math.Min(~found, _cumulative.Length - 1) : found];
    }
}
