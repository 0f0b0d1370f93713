using System.Diagnostics;
using Proxy.Bench.Http;
using Proxy.Bench.Milvus;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Soak;

/// <param name="RequestsPerSecond">Reads in all; writes come on top.</param>
/// <param name="SegmentBytes">Of each segment.</param>
/// <param name="Segments">Alive at a time.</param>
/// <param name="Turnover">How often the oldest segment is replaced by a new one.</param>
internal sealed record SoakPlan(int RequestsPerSecond, long SegmentBytes, int Segments, TimeSpan Turnover);

/// <summary>A collection in use: reads at a steady rate, drawn by Zipf's law, while segments are written and deleted. Every byte is compared.</summary>
internal sealed class SoakLoad(MilvusContext context, SoakPlan plan)
{
    private const int Workers = 16;
    private const double ZipfExponent = 0.9;

    /// <summary>Between a segment's leaving the draw and its deletion: every read of it is over by then.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    private readonly Queue<IReadOnlyList<DatasetObject>> _segments = new();
    private readonly Random _random = new(5);
    private readonly Lock _drawing = new();
    private volatile DatasetObject[] _alive = [];
    private OperationStatistics _ranges = new();
    private ZipfDraw? _draw;
    private int _written;
    private long _slot;

    /// <summary>The range reads' latencies since it was called last.</summary>
    public OperationStatistics TakeLatencies() => Interlocked.Exchange(ref _ranges, new OperationStatistics());

    /// <summary>Writes the first segments.</summary>
    public async Task WriteFirstAsync(Action<int> done, CancellationToken cancellation)
    {
        while (_segments.Count < plan.Segments)
        {
            await AddSegmentAsync(cancellation);
            done(_segments.Count);
        }

        _draw = new ZipfDraw(_alive.Length, ZipfExponent, seed: 3);
    }

    /// <summary>How long it ran.</summary>
    public TimeSpan Ran { get; private set; }

    /// <summary>Runs until it is told to stop; the first part of it that fails ends it all, for the rest would be another load.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var began = Stopwatch.GetTimestamp();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task[] parts = [TurnOverAsync(over.Token), .. Enumerable.Range(0, Workers).Select(_ => ReadAsync(began, over.Token))];
        try
        {
            await await Task.WhenAny(parts);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The time is over.
        }
        finally
        {
            Ran = Stopwatch.GetElapsedTime(began);
            await over.CancelAsync();
            await Task.WhenAll(parts).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ReadAsync(long began, CancellationToken stop)
    {
        while (true)
        {
            var due = TimeSpan.FromSeconds(Interlocked.Increment(ref _slot) / (double)plan.RequestsPerSecond) - Stopwatch.GetElapsedTime(began);
            if (due > TimeSpan.Zero)
            {
                await Task.Delay(due, stop);
            }

            var (item, choice, size, place) = Draw();
            switch (choice)
            {
                case < 0.10:
                    await context.HeadAsync(item, stop);
                    break;
                case < 0.20:
                    await context.TailAsync(item, stop);
                    break;
                case < 0.21:
                    await context.GetAsync(item, stop);
                    break;
                case < 0.23:
                    await ListAsync(item, stop);
                    break;
                default:
                    // 4 KiB to 1 MiB, each doubling as often as the next.
                    var length = Math.Min(item.Size, 4L << 10 << (int)(size * 9));
                    var started = Stopwatch.GetTimestamp();
                    await context.RangeAsync(item, (long)(place * (item.Size - length)), length, stop);
                    _ranges.Record(Stopwatch.GetElapsedTime(started));
                    break;
            }
        }
    }

    private (DatasetObject Item, double Choice, double Size, double Place) Draw()
    {
        lock (_drawing)
        {
            var alive = _alive;
            return (alive[_draw!.Next() % alive.Length], _random.NextDouble(), _random.NextDouble(), _random.NextDouble());
        }
    }

    private async Task ListAsync(DatasetObject item, CancellationToken stop)
    {
        var prefix = Uri.EscapeDataString(item.Key[..(item.Key.LastIndexOf('/') + 1)]);
        var answer = await context.Clients.SendAsync(new S3Request("LIST", "GET", null) { Query = $"list-type=2&prefix={prefix}" }, stop);
        context.Report.Check(
            answer.Status == 200 && answer.Text.Contains($"<Key>{item.Key}</Key>", StringComparison.Ordinal), () => $"LIST {prefix}: status {answer.Status}, {item.Key} is not in it");
    }

    private async Task TurnOverAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(plan.Turnover);
        while (await timer.WaitForNextTickAsync(stop))
        {
            await AddSegmentAsync(stop);
            var oldest = _segments.Dequeue();
            Publish();
            await Task.Delay(Grace, stop);
            foreach (var item in oldest)
            {
                var answer = await context.Clients.SendAsync(new S3Request("DELETE", "DELETE", item.Key), stop);
                context.Report.Check(answer.Status == 204, () => $"DELETE {item.Key}: status {answer.Status}");
                var after = await context.Clients.SendAsync(new S3Request("HEAD deleted", "HEAD", item.Key), stop);
                context.Report.Check(after.Status == 404, () => $"HEAD {item.Key} after its DELETE: status {after.Status}");
            }
        }
    }

    private async Task AddSegmentAsync(CancellationToken cancellation)
    {
        var segment = MilvusDataset.Describe(context.Root, plan.SegmentBytes, segments: 1, seed: 7, first: _written++);
        await context.WriteAsync(segment, 4, cancellation);
        _segments.Enqueue(segment);
        Publish();
    }

    private void Publish() => _alive = [.. _segments.SelectMany(segment => segment)];
}
