using System.Diagnostics;
using Proxy.Bench.Report;

namespace Proxy.Bench.Milvus;

/// <summary>Does a workload on small objects of its own until the code of all that takes part is compiled: client, server, backend, each endpoint's alike.</summary>
/// <remarks>Without it 12 to 20 % of the CPU of a short workload is the compiler's. Nothing of it is measured, but a wrong byte is a wrong byte.</remarks>
internal static class WarmUp
{
    // Names of warm-ups' objects are no round's: rounds count from 0.
    private const int FirstGeneration = 900;

    private static int _generation = FirstGeneration;

    /// <param name="like">Whose endpoint and choices; findings go to its report.</param>
    public static async Task RunAsync(MilvusContext like, MilvusWorkload workload, CancellationToken cancellation)
    {
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < like.WarmUpTime)
        {
            var report = new RunReport();
            using var context = new MilvusContext(like.Endpoint, like.Scale.ForWarmUp(), like.Root, report, workload.Connections)
            {
                Generation = Interlocked.Increment(ref _generation),
                IsWarmUp = true,
                Signing = like.Signing,
            };
            await workload.Run(context, cancellation);
            await context.RemoveWrittenAsync(cancellation);
            await context.RemoveAsync(context.State.Segments?.Select(item => item.Key) ?? [], cancellation);
            foreach (var finding in report.Findings)
            {
                like.Report.AddFinding($"warm-up: {finding}");
            }
        }
    }
}
