using System.Threading.Channels;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.Server.Routing;

namespace Proxy.Server.Admin;

internal enum WarmJobState
{
    Queued,
    Running,
    Completed,

    /// <summary>Ended, but some objects could not be brought or did not stay.</summary>
    CompletedPartly,
    Cancelled,
    Failed,
}

/// <summary>A warm job at one moment, as the API shows it.</summary>
/// <param name="Listed">Whether the backend's listing is complete: until then the totals grow.</param>
/// <param name="Objects">Found so far.</param>
/// <param name="FetchedBytes">Read from the backend; what was cached already is not.</param>
/// <param name="PartlyObjects">Brought, but some blocks did not stay, or the object changed meanwhile.</param>
/// <param name="SkippedObjects">Class bypass, or gone since they were listed.</param>
/// <param name="Error">The last failure, for people.</param>
internal sealed record WarmJobView(
    string Id, string Target, KeySelection Selection, WarmJobState State, DateTimeOffset CreatedAt, DateTimeOffset? EndedAt, double Seconds, bool Listed,
    long Objects, long Bytes, long DoneObjects, long DoneBytes, long FetchedBytes, long PartlyObjects, long SkippedObjects, long FailedObjects,
    long? BytesPerSecond, int Concurrency, string? Error)
{
    public bool IsOver => State is not (WarmJobState.Queued or WarmJobState.Running);

    /// <summary>0 to 100, of what is found so far.</summary>
    public double Percent => Bytes > 0 ? 100.0 * DoneBytes / Bytes : IsOver ? 100 : 0;
}

/// <summary>Brings a selection into the cache: one task lists the backend, a few fetch.</summary>
/// <remarks>Made and started by <see cref="WarmJobs"/>. Counters are written by the workers and read by anybody; thread-safe.</remarks>
internal sealed class WarmJob(string id, KeySelection selection, long? bytesPerSecond, int concurrency, TimeProvider time) : IDisposable
{
    private const int MostWaiting = 10_000;
    private readonly CancellationTokenSource _stop = new();
    private readonly long _created = time.GetTimestamp();
    private readonly DateTimeOffset _createdAt = time.GetUtcNow();
    private readonly BytePace _pace = new(bytesPerSecond, time);
    private volatile WarmJobState _state = WarmJobState.Queued;
    private volatile bool _listed;
    private volatile string? _error;
    private long _started;
    private long _ended;
    private DateTimeOffset? _endedAt;
    private long _objects;
    private long _bytes;
    private long _doneObjects;
    private long _doneBytes;
    private long _fetched;
    private long _partly;
    private long _skipped;
    private long _failed;

    public string Id { get; } = id;

    public bool IsOver => _state is not (WarmJobState.Queued or WarmJobState.Running);

    public void Cancel()
    {
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended just now.
        }
    }

    public WarmJobView View()
    {
        var seconds = _started == 0 ? 0 : time.GetElapsedTime(_started, _ended == 0 ? time.GetTimestamp() : _ended).TotalSeconds;
        return new WarmJobView(
            Id, selection.ToString(), selection, _state, _createdAt, _endedAt, seconds, _listed, Read(ref _objects), Read(ref _bytes), Read(ref _doneObjects), Read(ref _doneBytes),
            Read(ref _fetched), Read(ref _partly), Read(ref _skipped), Read(ref _failed), bytesPerSecond, concurrency, _error);

        static long Read(ref long counter) => Interlocked.Read(ref counter);
    }

    public async Task RunAsync(ObjectCache cache, BackendRouter router, KeyLister lister, SemaphoreSlim turns)
    {
        var state = WarmJobState.Failed;
        try
        {
            await turns.WaitAsync(_stop.Token);
            try
            {
                _started = time.GetTimestamp();
                _state = WarmJobState.Running;
                await FetchAllAsync(cache, router, lister);
                state = _failed + _partly > 0 ? WarmJobState.CompletedPartly : WarmJobState.Completed;
            }
            finally
            {
                turns.Release();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            state = WarmJobState.Cancelled;
        }
        catch (Exception e)
        {
            // A job's trouble is the operator's to read, never the process's.
            _error = Describe(e);
        }
        finally
        {
            _ended = time.GetTimestamp();
            _started = _started == 0 ? _created : _started;
            _endedAt = time.GetUtcNow();
            _state = state;
        }
    }

    public void Dispose() => _stop.Dispose();

    private async Task FetchAllAsync(ObjectCache cache, BackendRouter router, KeyLister lister)
    {
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var found = Channel.CreateBounded<ListedObject>(MostWaiting);
        var workers = Enumerable.Range(0, concurrency).Select(_ => Task.Run(() => FetchAsync(cache, router, found.Reader, linked.Token), linked.Token)).ToList();
        try
        {
            await foreach (var listed in lister.ListAsync(selection, linked.Token))
            {
                Interlocked.Increment(ref _objects);
                Interlocked.Add(ref _bytes, listed.Size);
                await found.Writer.WriteAsync(listed, linked.Token);
            }

            _listed = true;
            found.Writer.Complete();
        }
        catch
        {
            await linked.CancelAsync();
            await Task.WhenAll(workers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }

        await Task.WhenAll(workers);
    }

    private async Task FetchAsync(ObjectCache cache, BackendRouter router, ChannelReader<ListedObject> found, CancellationToken cancellation)
    {
        await foreach (var listed in found.ReadAllAsync(cancellation))
        {
            try
            {
                var named = new ObjectId(selection.Bucket, listed.Key);
                var result = await cache.Admin.WarmAsync(named, router.Resolve(named.Bucket, named.Key).Source, _pace.WaitAsync, cancellation);
                Interlocked.Add(ref _fetched, result.FetchedBytes);
                Interlocked.Add(ref _partly, result.End == WarmEnd.Partly ? 1 : 0);
                Interlocked.Add(ref _skipped, result.End is WarmEnd.Bypassed or WarmEnd.Missing ? 1 : 0);
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                Interlocked.Increment(ref _failed);
                _error = $"{listed.Key}: {Describe(e)}";
            }

            Interlocked.Increment(ref _doneObjects);
            Interlocked.Add(ref _doneBytes, listed.Size);
        }
    }

    private static string Describe(Exception error) => error is S3Exception s3 ? $"{s3.Code.Name}: {s3.Message}" : error.Message;
}
