using System.Diagnostics;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>One range of an object.</summary>
internal readonly record struct CellRange(long Start, long Length);

/// <summary>W7: cells of the wide column groups, drawn by Zipf's law, each opened anew: HEAD, footer, data.</summary>
/// <remarks>Once with the data in large ranges, once in small pieces, as a reader asks that does not join its ranges; each with 16 and with 64 cells in flight.</remarks>
internal static class TieredReads
{
    private const double ZipfExponent = 0.9;

    /// <summary>Of the batches, asked for before any is measured: what is hot has come to the cache, and the code that serves it is compiled.</summary>
    private const double SettlingShare = 0.25;

    public static async Task RunAsync(MilvusContext context, CancellationToken cancellation)
    {
        await context.EnsureLoadedAsync(cancellation);
        if (context.Endpoint.Cache is { } cache && context.CacheShares.Count > 0 && !context.IsWarmUp)
        {
            var data = context.Segments.Where(IsWide).Sum(item => item.Size);
            foreach (var share in context.CacheShares)
            {
                await context.RestartCacheAsync(SizesOf(cache.FirstSizes, data * share / 100), cancellation);
                await WarmUp.RunAsync(context, MilvusWorkload.Named("W7"), cancellation);
                await AllAsync(context, $" at {share} %", cancellation);
            }

            // As the other workloads presume it.
            context.Suffix = " untimed";
            await context.RestartCacheAsync(cache.FirstSizes, cancellation);
            await context.LoadAsync(context.Segments, 16, cancellation);
            return;
        }

        await AllAsync(context, "", cancellation);
    }

    private static async Task AllAsync(MilvusContext context, string size, CancellationToken cancellation)
    {
        foreach (var inFlight in (int[])[16, 64])
        {
            await OneAsync(context, "tiered", "cell", $" {inFlight}{size}", inFlight, Ranges, cancellation);
            await OneAsync(context, "uncoalesced", "cell in pieces", $" {inFlight}{size}", inFlight, Pieces, cancellation);
        }
    }

    private static async Task OneAsync(
        MilvusContext context, string part, string operation, string suffix, int inFlight, Func<Random, DatasetObject, long, CellRange[]> ranges, CancellationToken cancellation)
    {
        var cells = (from item in context.Segments
                     where IsWide(item)
                     from index in Enumerable.Range(0, (int)((item.Size + MilvusContext.CellBytes - 1) / MilvusContext.CellBytes))
                     select (Item: item, Start: (long)index * MilvusContext.CellBytes)).ToList();
        var draw = new ZipfDraw(cells.Count, ZipfExponent, seed: 11);
        var random = new Random(12);
        var batches = context.Scale.Batches;
        context.Suffix = " settling";
        await ReadAsync(Math.Max(1, (int)(SettlingShare * batches)), "");

        context.Suffix = suffix;
        var measured = await context.MeasureAsync(part + suffix, () => ReadAsync(batches, operation + suffix));
        context.Figures[$"{part}{suffix} cells/s"] = batches * context.Scale.CellsPerBatch / measured.Seconds;
        if (measured.HitShare is { } share && !context.Endpoint.IsDirect)
        {
            context.Figures[$"{part}{suffix} from the cache %"] = 100 * share;
        }

        // One batch after another, as queries come, each with so many of its cells in flight.
        async Task ReadAsync(int count, string span)
        {
            for (var batch = 0; batch < count; batch++)
            {
                var drawn = Enumerable.Range(0, context.Scale.CellsPerBatch).Select(_ => cells[draw.Next()]).Select(cell => (cell.Item, Ranges: ranges(random, cell.Item, cell.Start))).ToList();
                await MilvusContext.ForEachAsync(drawn, inFlight, async (cell, token) =>
                {
                    var started = Stopwatch.GetTimestamp();
                    await context.OpenAsync(cell.Item, token);
                    foreach (var range in cell.Ranges)
                    {
                        await context.RangeAsync(cell.Item, range.Start, range.Length, token, $"GET {operation}");
                    }

                    if (span.Length > 0)
                    {
                        context.RecordSpan(span, Stopwatch.GetElapsedTime(started));
                    }
                }, cancellation);
            }
        }
    }

    private static bool IsWide(DatasetObject item) => item.Kind == ObjectKind.InsertLog && !MilvusDataset.IsScalars(item);

    /// <summary>The tier that the run's own sizes are about gets the share; the other stays small.</summary>
    private static CacheSizes SizesOf(CacheSizes own, long bytes) => own.NvmeBytes == 0 ? new(bytes, 0) : new(own.MemoryBytes, bytes);

    /// <summary>One to four ranges of 1 to 4 MiB from the cell's start on: neighbours are joined.</summary>
    private static CellRange[] Ranges(Random random, DatasetObject item, long start)
    {
        var ranges = new List<CellRange>();
        for (var left = random.Next(1, 5); left > 0 && start < item.Size; left--)
        {
            var length = Math.Min((long)random.Next(1, 5) << 20, item.Size - start);
            ranges.Add(new CellRange(start, length));
            start += length;
        }

        return [.. ranges];
    }

    /// <summary>One to four pieces of 64 to 512 KiB of the cell.</summary>
    private static CellRange[] Pieces(Random random, DatasetObject item, long start)
    {
        var end = Math.Min(start + MilvusContext.CellBytes, item.Size);
        return [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => new CellRange(start + random.NextInt64(end - start), (64 << 10) << random.Next(4)))];
    }
}
