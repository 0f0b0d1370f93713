using System.Diagnostics;
using Proxy.Bench.Http;
using Proxy.Bench.Report;

namespace Proxy.Bench.Load;

/// <summary>Where a load stands.</summary>
internal enum LoadPhase
{
    /// <summary>Requests are made and not counted.</summary>
    Warmup,

    /// <summary>Answers are counted.</summary>
    Measured,

    /// <summary>No further requests.</summary>
    Over,
}

/// <param name="Threads">Of the client; the connections are spread over them.</param>
internal sealed record LoadOptions(int Connections, int Threads, TimeSpan Warmup, TimeSpan Duration, int Seed)
{
    /// <summary>Bodies are copied into the client's memory, as clients need them; otherwise dropped in the kernel, so that the client is not what is measured.</summary>
    public bool TakesBodies { get; init; }
}

/// <summary>What a load saw in its measured time.</summary>
/// <param name="ForeignCores">CPU that neither client nor server used, in cores: what else the machine was doing.</param>
internal sealed record LoadResult(
    IReadOnlyDictionary<LoadOperation, OperationCounts> Operations, double Seconds, double ClientCpuSeconds, double ServerCpuSeconds, double ForeignCores,
    IReadOnlyList<string> Findings, long FindingCount, long CheckedBytes, bool WasInterrupted)
{
    public long Requests => Operations.Values.Sum(operation => operation.Requests);

    public long Bytes => Operations.Values.Sum(operation => operation.Bytes);
}

/// <summary>A closed loop: N connections, each sending its next request when the last answer is in, on a few threads.</summary>
internal sealed class LoadRun(S3Target target, LoadPlan plan, LoadOptions options)
{
    private volatile LoadPhase _phase;

    public LoadPhase Phase => _phase;

    public bool TakesBodies => options.TakesBodies;

    /// <param name="serverProcesses">Whose CPU time, with their children's, is the server's; empty for none.</param>
    /// <param name="passed">Told, about once a second, how many seconds went by.</param>
    /// <returns>What was measured; of a run that was cancelled, until then.</returns>
    public LoadResult Run(IReadOnlyList<int> serverProcesses, CancellationToken cancellation, Action<double>? passed = null)
    {
        var count = Math.Clamp(options.Threads, 1, options.Connections);
        var threads = new List<LoadThread>();
        var seed = options.Seed;
        for (var i = 0; i < count; i++)
        {
            var share = (options.Connections / count) + (i < options.Connections % count ? 1 : 0);
            threads.Add(new LoadThread(this, target, plan, share, seed));
            seed += share;
        }

        threads.ForEach(thread => thread.Start());
        try
        {
            Wait(threads, options.Warmup, passed, cancellation);
            var machine = new CpuWindow([Environment.ProcessId], serverProcesses);
            var started = Stopwatch.GetTimestamp();
            _phase = LoadPhase.Measured;
            Wait(threads, options.Duration, passed, cancellation);
            _phase = LoadPhase.Over;
            var elapsed = Stopwatch.GetElapsedTime(started);
            machine.Close(elapsed);
            threads.ForEach(thread => thread.Join());
            return Collect(threads, elapsed, machine, cancellation.IsCancellationRequested);
        }
        finally
        {
            _phase = LoadPhase.Over;
            threads.ForEach(thread => thread.Join());
        }
    }

    private void Wait(List<LoadThread> threads, TimeSpan time, Action<double>? passed, CancellationToken cancellation)
    {
        var tick = plan.IsInOrder ? TimeSpan.FromMilliseconds(20) : passed is null ? time : TimeSpan.FromSeconds(1);
        for (var left = time; left > TimeSpan.Zero && !cancellation.IsCancellationRequested && !plan.IsDone && threads.Exists(thread => thread.IsAlive); left -= tick)
        {
            var step = left < tick ? left : tick;
            cancellation.WaitHandle.WaitOne(step);
            passed?.Invoke(step.TotalSeconds);
        }
    }

    private static LoadResult Collect(List<LoadThread> threads, TimeSpan elapsed, CpuWindow machine, bool wasInterrupted)
    {
        var operations = new Dictionary<LoadOperation, OperationCounts>();
        foreach (var operation in Enum.GetValues<LoadOperation>())
        {
            var sum = new OperationCounts();
            threads.ForEach(thread => sum.Add(thread.Counts[(int)operation]));
            if (sum.Requests > 0)
            {
                operations[operation] = sum;
            }
        }

        return new LoadResult(
            operations, Math.Max(1e-3, elapsed.TotalSeconds), machine.FirstSeconds, machine.SecondSeconds, machine.ForeignCores,
            [.. threads.SelectMany(thread => thread.Findings)], threads.Sum(thread => thread.FindingCount), threads.Sum(thread => thread.CheckedBytes), wasInterrupted);
    }
}
