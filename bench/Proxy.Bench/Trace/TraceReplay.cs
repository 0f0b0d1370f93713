using System.Collections.Concurrent;
using System.Diagnostics;
using Proxy.Bench.Http;
using Proxy.Bench.Report;

namespace Proxy.Bench.Trace;

/// <summary>Sends a trace's reads to endpoints, in its order, at its pace or as fast as the connections allow.</summary>
/// <remarks>
/// Several endpoints take turns, piece by piece of the trace: each sees the same reads in the same order, and what else the machine does meets them all.
/// </remarks>
/// <param name="bucket">Instead of the trace's own; null for those.</param>
/// <param name="speed">2 is twice the trace's pace; 0 is without waiting.</param>
/// <param name="turns">Pieces of the trace.</param>
internal sealed class TraceReplay(IReadOnlyList<ReplayEndpoint> endpoints, string? bucket, int connections, double speed, int turns)
{
    private readonly byte[][] _scratch = [.. Enumerable.Range(0, connections).Select(_ => new byte[256 << 10])];

    /// <summary>Sizes by bucket and key: what whole reads of the trace had, else what the first HEAD was told.</summary>
    private readonly ConcurrentDictionary<(string?, string?), long> _sizes = [];

    public IReadOnlyList<ReplayEndpoint> Endpoints => endpoints;

    public double Speed => speed;

    public string? Bucket => bucket;

    public async Task RunAsync(IReadOnlyList<TraceLine> lines, RunProgress progress, CancellationToken cancellation)
    {
        foreach (var whole in lines.Where(line => line is { Method: "GET", Status: 200 }).GroupBy(line => (line.Bucket, line.Key)))
        {
            // A key that was written anew meanwhile has no one size.
            if (whole.All(line => line.Bytes == whole.First().Bytes))
            {
                _sizes[whole.Key] = whole.First().Bytes;
            }
        }

        foreach (var piece in lines.Chunk((lines.Count + turns - 1) / turns))
        {
            foreach (var endpoint in endpoints)
            {
                progress.Begin($"replay: {endpoint.Name}");
                var started = Stopwatch.GetTimestamp();
                try
                {
                    await SendAllAsync(endpoint, piece, progress, cancellation);
                }
                finally
                {
                    endpoint.Busy += Stopwatch.GetElapsedTime(started);
                }
            }
        }
    }

    private async Task SendAllAsync(ReplayEndpoint endpoint, TraceLine[] lines, RunProgress progress, CancellationToken cancellation)
    {
        var next = -1;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, connections).Select(async connection =>
        {
            int index;
            while ((index = Interlocked.Increment(ref next)) < lines.Length)
            {
                var line = lines[index];
                var due = speed > 0 ? ((line.Time - lines[0].Time) / speed) - Stopwatch.GetElapsedTime(started) : TimeSpan.Zero;
                if (due > TimeSpan.FromMilliseconds(1))
                {
                    await Task.Delay(due, cancellation);
                }
                else if (speed > 0)
                {
                    endpoint.NoteBehind(-due);
                }

                await endpoint.Clients(bucket ?? line.Bucket!).UseAsync(client => SendAsync(endpoint.Report, client, line, _scratch[connection], cancellation), cancellation);
                progress.Advance();
            }
        }));
    }

    private async Task<bool> SendAsync(RunReport report, S3Client client, TraceLine line, byte[] scratch, CancellationToken cancellation)
    {
        var isHead = line.Method == "HEAD";
        var operation = isHead ? "HEAD" : line.Range is null ? "GET" : "GET range";
        var length = 0L;
        var head = await client.SendAsync(
            new S3Request(operation, line.Method, line.Key) { Range = line.Range },
            async (_, body, token) =>
            {
                length = 0;
                int read;
                while ((read = await body.ReadBodyAsync(scratch, token)) > 0)
                {
                    length += read;
                }
            },
            cancellation);
        report.AddBytes(operation, length);
        if (!report.Check(head.Status == line.Status, () => $"{operation} {line.Key} {line.Range}: status {head.Status}; the trace has {line.Status}"))
        {
            return false;
        }

        if (!isHead || line.Range is not null)
        {
            return report.Check(isHead || length == line.Bytes, () => $"{operation} {line.Key} {line.Range}: {length} bytes; the trace has {line.Bytes}");
        }

        // A log has no length for a HEAD: it is held to the trace's whole reads of the key, else to the first answer of any endpoint.
        var told = head.ContentLength ?? -1;
        var due = _sizes.GetOrAdd((line.Bucket, line.Key), told);
        return report.Check(told == due, () => $"HEAD {line.Key}: length {told}; its size is {due} by the trace's reads or another answer");
    }
}
