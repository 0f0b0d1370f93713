using System.Security.Cryptography;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.Server.Routing;

namespace Proxy.Server.Admin;

/// <summary>Warm jobs, running and over. Thread-safe.</summary>
internal sealed class WarmJobs(ObjectCache cache, BackendRouter router, KeyLister lister, TimeProvider time) : IAsyncDisposable
{
    /// <summary>Jobs that fetch at once; others are queued.</summary>
    public const int MostRunning = 2;

    /// <summary>Jobs remembered, the newest.</summary>
    public const int MostKept = 100;

    public const int DefaultConcurrency = 4;
    public const int MostConcurrency = 32;

    private readonly Lock _lock = new();
    private readonly List<(WarmJob Job, Task Run)> _jobs = [];
    private readonly SemaphoreSlim _turns = new(MostRunning);

    /// <param name="bytesPerSecond">Null is as fast as the backend gives.</param>
    /// <returns>Null when as many as are remembered are still to run.</returns>
    public WarmJobView? Start(KeySelection selection, long? bytesPerSecond, int concurrency)
    {
        var job = new WarmJob(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4)), selection, bytesPerSecond, Math.Clamp(concurrency, 1, MostConcurrency), time);
        lock (_lock)
        {
            if (_jobs.Count >= MostKept)
            {
                var oldest = _jobs.FindIndex(kept => kept.Job.IsOver);
                if (oldest < 0)
                {
                    job.Dispose();
                    return null;
                }

                _jobs[oldest].Job.Dispose();
                _jobs.RemoveAt(oldest);
            }

            _jobs.Add((job, Task.Run(() => job.RunAsync(cache, router, lister, _turns))));
        }

        return job.View();
    }

    /// <summary>Newest first.</summary>
    public IReadOnlyList<WarmJobView> All()
    {
        lock (_lock)
        {
            return [.. _jobs.AsEnumerable().Reverse().Select(kept => kept.Job.View())];
        }
    }

    public WarmJobView? Find(string id)
    {
        lock (_lock)
        {
            return _jobs.Find(kept => kept.Job.Id == id).Job?.View();
        }
    }

    /// <returns>False when there is no such job; one that is over stays as it is.</returns>
    public bool Cancel(string id)
    {
        WarmJob? job;
        lock (_lock)
        {
            job = _jobs.Find(kept => kept.Job.Id == id).Job;
        }

        job?.Cancel();
        return job is not null;
    }

    public async ValueTask DisposeAsync()
    {
        List<(WarmJob Job, Task Run)> jobs;
        lock (_lock)
        {
            jobs = [.. _jobs];
            _jobs.Clear();
        }

        foreach (var (job, run) in jobs)
        {
            job.Cancel();
            await run;
            job.Dispose();
        }

        _turns.Dispose();
    }
}
