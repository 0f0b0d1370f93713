using System.Net.Sockets;
using System.Text;
using Proxy.Bench.Http;
using Proxy.Bench.Report;

namespace Proxy.Bench.Workloads;

/// <summary>What one request of a load asks for.</summary>
internal enum LoadOperation
{
    /// <summary>The whole object.</summary>
    Get,

    /// <summary>Its headers.</summary>
    Head,

    /// <summary>A range of the configured size at an offset aligned to it.</summary>
    Range,

    /// <summary>The last 64 KiB, as Arrow opens a parquet file.</summary>
    Tail,
}

/// <param name="Mix">Drawn from uniformly: an operation that stands twice is asked for twice as often.</param>
internal sealed record LoadOptions(int Connections, TimeSpan Warmup, TimeSpan Duration, IReadOnlyList<LoadOperation> Mix, long RangeBytes, long Seed);

/// <summary>Closed-loop readers over a dataset's keys: one thread and one request in flight per connection.</summary>
/// <remarks>Keys are drawn uniformly, from a seed. Bodies are thrown away: what was read is <see cref="DatasetVerifier"/>'s to check; here only statuses and lengths are.</remarks>
internal sealed class LoadGenerator(S3Target target, LoadOptions options, IReadOnlyList<DatasetObject> objects)
{
    private const long TailBytes = 64 << 10;

    private volatile RunReport? _report;
    private volatile bool _isOver;

    /// <param name="serverProcess">Whose CPU time to read beside our own; null for none.</param>
    /// <returns>What happened after the warm-up, with CPU times.</returns>
    public async Task<(RunReport Report, CpuUse Client, CpuUse? Server)> RunAsync(int? serverProcess, CancellationToken cancellation)
    {
        var threads = Enumerable.Range(0, options.Connections)
            .Select(index => Task.Factory.StartNew(() => Read(index), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))
            .ToList();
        try
        {
            await Task.Delay(options.Warmup, cancellation);
            var report = new RunReport();
            var client = CpuUse.Start(Environment.ProcessId);
            var server = serverProcess is { } id ? CpuUse.Start(id) : null;
            _report = report;
            await Task.WhenAny(Task.Delay(options.Duration, cancellation), Task.WhenAll(threads));
            _report = null;
            report.Freeze();
            client.Stop();
            server?.Stop();
            cancellation.ThrowIfCancellationRequested();
            return (report, client, server);
        }
        finally
        {
            _isOver = true;
            await Task.WhenAll(threads);
        }
    }

    private void Read(int index)
    {
        var random = new Random(HashCode.Combine(options.Seed, index));
        var signer = new RequestSigner(target, TimeProvider.System);
        var head = new StringBuilder(1024);
        var request = new byte[8 << 10];
        LoadConnection? connection = null;
        try
        {
            while (!_isOver)
            {
                var item = objects[random.Next(objects.Count)];
                var operation = options.Mix[random.Next(options.Mix.Count)];
                var (range, due) = Choose(operation, item, random);
                head.Clear();
                signer.WriteHead(
                    head, operation == LoadOperation.Head ? "HEAD" : "GET", $"/{target.Bucket}/{RequestSigner.EncodePath(item.Key)}", "",
                    RequestSigner.EmptyPayload, [], range);
                var length = Encoding.ASCII.GetBytes(head.ToString(), request);
                var started = System.Diagnostics.Stopwatch.GetTimestamp();
                try
                {
                    connection ??= new LoadConnection(target);
                    var answer = connection.Exchange(request.AsSpan(0, length), operation == LoadOperation.Head);
                    Record(operation, item, started, answer, due, isRange: range.Length > 0);
                }
                catch (Exception error) when (error is IOException or SocketException)
                {
                    connection?.Dispose();
                    connection = null;
                    _report?.AddFinding($"{operation} {item.Key}: {error.Message}");
                    if (error is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
                    {
                        return;
                    }
                }
            }
        }
        finally
        {
            connection?.Dispose();
        }
    }

    private (string Range, long Due) Choose(LoadOperation operation, DatasetObject item, Random random)
    {
        switch (operation)
        {
            case LoadOperation.Head:
                return ("", 0);
            case LoadOperation.Tail:
                var tail = Math.Min(TailBytes, item.Size);
                return ($"Range: bytes={item.Size - tail}-{item.Size - 1}\r\n", tail);
            case LoadOperation.Range:
                var start = random.NextInt64((item.Size + options.RangeBytes - 1) / options.RangeBytes) * options.RangeBytes;
                var length = Math.Min(options.RangeBytes, item.Size - start);
                return ($"Range: bytes={start}-{start + length - 1}\r\n", length);
            default:
                return ("", item.Size);
        }
    }

    private void Record(LoadOperation operation, DatasetObject item, long started, DiscardedResponse answer, long due, bool isRange)
    {
        // Null before and after the measured time: such an answer is not counted.
        if (_report is not { } report)
        {
            return;
        }

        var name = operation.ToString().ToUpperInvariant();
        report.Record(name, System.Diagnostics.Stopwatch.GetElapsedTime(started), answer.CacheOutcome);
        report.AddBytes(name, answer.BodyBytes);
        var isDue = answer.Status == (isRange ? 206 : 200) && answer.BodyBytes == due;
        report.Check(isDue, () => $"{name} {item.Key}: status {answer.Status}, {answer.BodyBytes} of {due} bytes");
    }
}
