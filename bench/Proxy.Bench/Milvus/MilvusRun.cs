using System.Diagnostics;
using System.Net.Sockets;
using Proxy.Bench.Http;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>How a run is made.</summary>
/// <param name="Root">Key prefix of everything it writes: minio.rootPath.</param>
/// <param name="Rounds">Turns of every endpoint in every workload: A B C, C B A, …</param>
/// <param name="WarmUpTime">Before an endpoint's first round of a workload.</param>
/// <param name="Signing">How the C++ side's bodies go out; null is as Milvus 2.6 sends them.</param>
/// <param name="CacheShares">Cache sizes of W7, in percent of the data it reads; none is the run's own size.</param>
internal sealed record MilvusPlan(
    MilvusScale Scale, IReadOnlyList<MilvusWorkload> Workloads, string Root, int Rounds, TimeSpan WarmUpTime, PayloadSigning? Signing, IReadOnlyList<int> CacheShares);

/// <summary>Runs workloads on several endpoints, workload by workload, each endpoint in turn.</summary>
internal sealed class MilvusRun(IReadOnlyList<MilvusEndpoint> endpoints, MilvusPlan plan)
{
    private static readonly TimeSpan SampleEvery = TimeSpan.FromMilliseconds(200);

    private readonly Dictionary<MilvusEndpoint, MilvusState> _states = endpoints.ToDictionary(endpoint => endpoint, _ => new MilvusState());
    private readonly List<(MilvusWorkload Workload, MilvusEndpoint Endpoint, MilvusRound Round)> _rounds = [];

    /// <summary>Rounds in all.</summary>
    public int Steps => plan.Workloads.Count * endpoints.Count * plan.Rounds;

    /// <summary>Of the rounds that are over, also while others are still to come.</summary>
    public IReadOnlyList<MilvusResult> Results =>
        [.. from workload in plan.Workloads
            from endpoint in endpoints
            let rounds = _rounds.Where(one => one.Workload == workload && one.Endpoint == endpoint).Select(one => one.Round).ToList()
            where rounds.Count > 0
            select new MilvusResult(workload, endpoint, rounds)];

    /// <param name="kept">Called after each workload: a later one may take hours, or fail.</param>
    public async Task RunAsync(RunProgress progress, Func<Task> kept, CancellationToken cancellation)
    {
        foreach (var workload in plan.Workloads)
        {
            for (var round = 0; round < plan.Rounds; round++)
            {
                foreach (var endpoint in round % 2 == 0 ? endpoints : endpoints.Reverse())
                {
                    _rounds.Add((workload, endpoint, await RunAsync(workload, endpoint, round, progress, cancellation)));
                    progress.Advance();
                }
            }

            foreach (var result in Results.Where(result => result.Workload == workload))
            {
                progress.Line(MilvusReport.Lines(result));
            }

            await kept();
        }
    }

    private async Task<MilvusRound> RunAsync(MilvusWorkload workload, MilvusEndpoint endpoint, int round, RunProgress progress, CancellationToken cancellation)
    {
        var step = $"{workload.Name} {workload.Title}: {endpoint.Name}, round {round + 1}";
        var warm = new RunReport();
        if (round == 0)
        {
            progress.Begin($"{step}, warm-up");
            using var like = NewContext(workload, endpoint, round, warm);
            await TryAsync($"the warm-up of {workload.Name}", warm, () => WarmUp.RunAsync(like, workload, cancellation), cancellation);
        }

        progress.Begin(step);
        var report = new RunReport();    // its time begins here
        using var context = NewContext(workload, endpoint, round, report);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var sampling = SampleAsync(report, over.Token);
        await TryAsync(workload.Name, report, () => workload.Run(context, cancellation), cancellation);
        report.Freeze();
        await over.CancelAsync();
        foreach (var finding in warm.Findings)
        {
            report.AddFinding(finding);
        }

        await TryAsync($"removing what {workload.Name} wrote", report, () => context.RemoveWrittenAsync(cancellation), cancellation);
        var from = context.MeasuredFrom?.TotalSeconds ?? 0;
        var hitRate = (await sampling).Where(sample => sample.Seconds > from).Select(sample => (sample.Seconds - from, sample.Share)).ToList();
        return new MilvusRound(round + 1, report, context.Figures, context.Parts, context.Expectations, context.Notes, hitRate, context.Skipped);
    }

    /// <summary>What breaks off is a finding, and the run goes on.</summary>
    private static async Task TryAsync(string what, RunReport report, Func<Task> work, CancellationToken cancellation)
    {
        try
        {
            await work();
        }
        catch (Exception error) when (error is RunFailedException or IOException or SocketException)
        {
            // Ctrl-C on a terminal reaches the servers too: what fails for want of them is an interruption.
            cancellation.ThrowIfCancellationRequested();
            report.AddFinding($"{what} broke off: {error.Message}");
        }
    }

    private MilvusContext NewContext(MilvusWorkload workload, MilvusEndpoint endpoint, int round, RunReport report) => new(endpoint, plan.Scale, plan.Root, report, workload.Connections)
    {
        Generation = round,
        State = _states[endpoint],
        Signing = plan.Signing,
        WarmUpTime = plan.WarmUpTime,
        CacheShares = plan.CacheShares,
    };

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
                    // The proxy's HIT-MEMORY and HIT-NVME, nginx's HIT.
                    hits += name.Contains(" HIT", StringComparison.Ordinal) ? count : 0;
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
