using System.Globalization;
using Microsoft.Extensions.Logging;
using Proxy.Backends.Local.Index;

namespace Proxy.Backends.Local;

/// <summary>What happens behind the clients' backs: sweeping leftovers of a crash once after the start, and aborting uploads nobody finishes.</summary>
/// <remarks>Never holds up a start or a request. A sweep removes only files whose number is older than this run and unknown to the index.</remarks>
internal sealed partial class Janitor(StoreContext store, string bodies, TimeProvider time, ILogger<Janitor> logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private Task _sweep = Task.CompletedTask;
    private Task _expiry = Task.CompletedTask;

    /// <summary>Completes when the start-up sweep has ended.</summary>
    public Task Swept => _sweep;

    public void Start()
    {
        _sweep = Task.Factory.StartNew(Sweep, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        _expiry = ExpireAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _sweep.ConfigureAwait(false);
        await _expiry.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    /// <summary>Aborts what is too old and forgets completed uploads nobody will ask about again.</summary>
    public async Task ExpireOnceAsync()
    {
        var now = store.NowSeconds;
        if (store.Options.UploadExpiry > TimeSpan.Zero)
        {
            var aborted = 0;
            List<(long Bucket, long Id)> old;
            do
            {
                using (var read = store.Index.Read())
                {
                    old = read.Reader.UploadsBefore(now - (long)store.Options.UploadExpiry.TotalSeconds);
                }

                foreach (var (_, id) in old)
                {
                    _stop.Token.ThrowIfCancellationRequested();
                    await store.CommitAsync(transaction =>
                    {
                        Uploads.Drop(transaction, id);
                        return true;
                    }).ConfigureAwait(false);
                }

                aborted += old.Count;
            }
            while (old.Count == IndexReader.MaxUploadsBefore);

            if (aborted > 0)
            {
                LogExpired(aborted);
            }
        }

        await store.CommitAsync(transaction =>
        {
            transaction.ForgetCompleted(now - (long)store.Options.CompletedMemory.TotalSeconds);
            return true;
        }).ConfigureAwait(false);
    }

    private async Task ExpireAsync()
    {
        using var timer = new PeriodicTimer(store.Options.ExpiryInterval, time);
        while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
        {
            try
            {
                await ExpireOnceAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogExpiryFailed(e);
            }
        }
    }

    private void Sweep()
    {
        var counts = store.Bodies.Counts;
        try
        {
            foreach (var folder in Directory.EnumerateDirectories(bodies))
            {
                if (_stop.IsCancellationRequested)
                {
                    return;
                }

                if (long.TryParse(Path.GetFileName(folder), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number))
                {
                    SweepFolder(folder, number << 12);
                }
            }

            counts.SweepFinished = true;
            if (counts.OrphansSwept > 0)
            {
                LogSwept(counts.OrphansSwept);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogSweepFailed(e);
        }
    }

    private void SweepFolder(string folder, long first)
    {
        // Names before the index: a body retired in between is then only a file that is gone already.
        var files = Directory.GetFiles(folder);
        HashSet<long> alive;
        using (var read = store.Index.Read())
        {
            alive = read.Reader.AliveBodies(first, first + 4096);
        }

        var kept = 0;
        foreach (var file in files)
        {
            var known = long.TryParse(Path.GetFileNameWithoutExtension(file), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var body);
            if (!known || body > store.Index.FirstId || alive.Contains(body) || store.Bodies.IsPinned(body))
            {
                kept++;
                continue;
            }

            File.Delete(file);
            Interlocked.Increment(ref store.Bodies.Counts.OrphansSwept);
        }

        if (kept == 0 && first + 4096 <= store.Index.FirstId)
        {
            Directory.Delete(folder);
        }
    }

    [LoggerMessage(2101, LogLevel.Information, "Swept {Count} body files that no object refers to: leftovers of a crash")]
    private partial void LogSwept(long count);

    [LoggerMessage(2102, LogLevel.Warning, "The sweep of leftover body files stopped; the next start tries again")]
    private partial void LogSweepFailed(Exception e);

    [LoggerMessage(2103, LogLevel.Information, "Aborted {Count} multipart uploads that were not completed in time")]
    private partial void LogExpired(int count);

    [LoggerMessage(2104, LogLevel.Warning, "Expired uploads could not be removed; tried again later")]
    private partial void LogExpiryFailed(Exception e);
}
