using System.Diagnostics;
using Proxy.Bench.Http;
using Proxy.Bench.Report;

namespace Proxy.Bench.Trace;

/// <summary>Sends a trace's reads to an endpoint, in its order, at its pace or as fast as the connections allow.</summary>
/// <param name="speed">2 is twice the trace's pace; 0 is without waiting.</param>
internal sealed class TraceReplay(S3Target target, RunReport report, int connections, double speed)
{
    private readonly byte[][] _scratch = [.. Enumerable.Range(0, connections).Select(_ => new byte[256 << 10])];

    public async Task RunAsync(IReadOnlyList<TraceLine> lines, CancellationToken cancellation)
    {
        var next = -1;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, connections).Select(async connection =>
        {
            using var client = new S3Client(target, report, TimeProvider.System);
            int index;
            while ((index = Interlocked.Increment(ref next)) < lines.Count)
            {
                var due = speed > 0 ? ((lines[index].Time - lines[0].Time) / speed) - Stopwatch.GetElapsedTime(started) : TimeSpan.Zero;
                if (due > TimeSpan.FromMilliseconds(1))
                {
                    await Task.Delay(due, cancellation);
                }

                await SendAsync(client, lines[index], _scratch[connection], cancellation);
            }
        }));
    }

    private async Task SendAsync(S3Client client, TraceLine line, byte[] scratch, CancellationToken cancellation)
    {
        var operation = line.Method == "HEAD" ? "HEAD" : line.Range is null ? "GET" : "GET range";
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
        var isDue = line.Method == "HEAD" || length == line.Bytes;
        report.Check(head.Status == line.Status && isDue, () => $"{operation} {line.Key} {line.Range}: status {head.Status}, {length} bytes; the trace has {line.Status}, {line.Bytes}");
    }
}
