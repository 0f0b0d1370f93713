using System.Diagnostics;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>What one workload gave on one endpoint.</summary>
/// <param name="HitRate">Share of reads that X-Cache called a hit, by seconds since its measured part began; empty for a server that does not say.</param>
internal sealed record MilvusResult(
    MilvusWorkload Workload, string Endpoint, RunReport Report, IReadOnlyDictionary<string, double> Figures, IReadOnlyList<(double Seconds, double Share)> HitRate);

/// <summary>Runs workloads on several endpoints, workload by workload, each endpoint in turn.</summary>
internal sealed class MilvusRun(IReadOnlyList<MilvusEndpoint> endpoints, MilvusScale scale, string root)
{
    private static readonly TimeSpan SampleEvery = TimeSpan.FromMilliseconds(200);

    /// <returns>What is done; of a run that was cancelled, without the workload it was in.</returns>
    public async Task<IReadOnlyList<MilvusResult>> RunAsync(
        IReadOnlyList<MilvusWorkload> workloads, Action<MilvusWorkload, MilvusEndpoint> begins, Action<MilvusResult> done, CancellationToken cancellation)
    {
        var results = new List<MilvusResult>();
        foreach (var workload in workloads)
        {
            foreach (var endpoint in endpoints)
            {
                begins(workload, endpoint);
                var report = new RunReport();
                using var context = new MilvusContext(endpoint, scale, root, report, workload.Connections);
                using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                var sampling = SampleAsync(report, over.Token);
                try
                {
                    await workload.Run(context, cancellation);
                }
                catch (Exception error) when (error is RunFailedException or IOException or System.Net.Sockets.SocketException)
                {
                    report.AddFinding($"{workload.Name} ended: {error.Message}");
                }
                catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
                {
                    await sampling;
                    return results;
                }

                report.Freeze();
                await over.CancelAsync();
                var from = context.MeasuredFrom?.TotalSeconds ?? 0;
                var hits = (await sampling).Where(sample => sample.Seconds > from).Select(sample => (sample.Seconds - from, sample.Share)).ToList();
                var result = new MilvusResult(workload, endpoint.Name, report, context.Figures, hits);
                results.Add(result);
                done(result);
            }
        }

        return results;
    }

    private static async Task<IReadOnlyList<(double Seconds, double Share)>> SampleAsync(RunReport report, CancellationToken over)
    {
        var samples = new List<(double, double)>();
        var started = Stopwatch.GetTimestamp();
        var (hitsBefore, allBefore) = (0L, 0L);
        using var clock = new PeriodicTimer(SampleEvery);
        try
        {
            while (await clock.WaitForNextTickAsync(over))
            {
                var (hits, all) = (0L, 0L);
                foreach (var (name, count) in report.CacheOutcomes)
                {
                    all += count;
                    hits += name.Contains(" HIT-", StringComparison.Ordinal) ? count : 0;
                }

                if (all > allBefore)
                {
                    samples.Add((Stopwatch.GetElapsedTime(started).TotalSeconds, (hits - hitsBefore) / (double)(all - allBefore)));
                }

                (hitsBefore, allBefore) = (hits, all);
            }
        }
        catch (OperationCanceledException)
        {
            // The workload is over.
        }

        return samples;
    }
}
