using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Proxy.Cache.Blocks;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Fills;

/// <summary>What became of the wish for a byte that is not cached.</summary>
internal enum FillAnswer
{
    /// <summary>A fill that covers it runs; the caller is one of its readers.</summary>
    Joined,

    /// <summary>The same, and it was this wish that began it.</summary>
    Started,

    /// <summary>It was published while the caller looked: look again.</summary>
    Cached,

    /// <summary>The budget is spent: go past the tiers.</summary>
    OverBudget,
}

/// <summary>One fetch per block, however many readers want it.</summary>
/// <remarks>
/// Between <see cref="TierStack"/>, asked first, and the backend's <see cref="IObjectSource"/>, asked once. Fills run detached from the request that
/// caused them. Thread-safe; in-flight blocks are partitioned by object version, so that neighbouring blocks are registered in one step under one lock.
/// </remarks>
internal sealed partial class FillCoordinator
{
    private const int Partitions = 64;

    /// <summary>About what one wait for the socket brings.</summary>
    private const int SmallBytes = 128 << 10;

    private static readonly TimeSpan StalledPatience = TimeSpan.FromSeconds(30);

    private readonly Partition[] _partitions = new Partition[Partitions];
    private readonly TierStack _tiers;
    private readonly ObjectCatalog _catalog;
    private readonly FillBudget _budget;
    private readonly CacheCounters _counters;
    private readonly CacheOptions _options;
    private readonly FillFetcher _fetcher;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TouchFilter _touched = new();
    private readonly Func<BlockId, bool> _touch;
    private static readonly Func<BlockId, bool> Always = static _ => true;
    private int _running;
    private TaskCompletionSource? _idle;

    public FillCoordinator(CacheOptions options, TierStack tiers, ObjectCatalog catalog, FillBudget budget, CacheCounters counters, TimeProvider time, ILogger logger)
    {
        (_options, _tiers, _catalog, _budget, _counters, _time, _logger) = (options, tiers, catalog, budget, counters, time, logger);
        _fetcher = new FillFetcher(options, tiers, counters, time, Publish);
        _touch = id => _touched.Touch(id);
        for (var i = 0; i < Partitions; i++)
        {
            _partitions[i] = new Partition();
        }
    }

    /// <summary>Joins the fill that will bring the first byte of <paramref name="wanted"/>, or starts one for as much of it as one request should ask for.</summary>
    /// <param name="join">False: only see to it that it comes.</param>
    /// <param name="fill">When joined; the caller leaves it with <see cref="Leave"/>.</param>
    /// <param name="by">Who wishes it. For a warm job: whole blocks, always admitted; otherwise by the key's kind.</param>
    public FillAnswer JoinOrStart(CatalogEntry entry, ByteSpan wanted, IObjectSource source, bool join, out Fill? fill, Origin by = Origin.Read)
    {
        var block = entry.Layout.BlockAt(wanted.Offset).Id;
        var granule = entry.Layout.GranuleAt(wanted.Offset).Id;
        var partition = PartitionOf(entry);

        // Before the request leaves, and before we look: a write landing meanwhile must count as newer.
        var token = _catalog.Take(entry.Id);
        lock (partition.Gate)
        {
            if (partition.InFlight.TryGetValue(block, out fill) || partition.InFlight.TryGetValue(granule, out fill))
            {
                if (join)
                {
                    fill.Join_NeedsLock();
                    Interlocked.Increment(ref _counters.FillsJoined);
                }

                return FillAnswer.Joined;
            }

            // A fill publishes before it leaves the table: what is in neither was in neither all along.
            if (_tiers.Contains(block, out _) || (by != Origin.Warm && _tiers.Contains(granule, out _)))
            {
                return FillAnswer.Cached;
            }

            var small = entry.Size <= _options.Fills.WholeObjectBytes;
            var whole = small && by != Origin.Warm && (entry.Policy.FillWhole || (wanted.Offset == 0 && wanted.Length == entry.Size));
            var span = FillPlan.Around(entry.Layout, whole ? new ByteSpan(wanted.Offset, entry.Size - wanted.Offset) : wanted, _options.Fills.MaxRangeBytes, whole ? Always : _touch);
            var units = UpToKnown_NeedsLock(partition, FillPlan.Units(entry.Layout, span));
            if (!TryReserve(units))
            {
                fill = null;
                return FillAnswer.OverBudget;
            }

            fill = Register_NeedsLock(partition, entry, token, units, keepWithoutReaders: small || units[^1].End - units[0].Start <= _options.BlockSizeBytes, by);
            if (join)
            {
                fill.Join_NeedsLock();
            }
        }

        Interlocked.Increment(ref _counters.FillsStarted);

        // Not on a thread that reads the device or serves sockets: to ask may mean to open a file.
        Run(fill, source, first: null, atOnce: join && Thread.CurrentThread.IsThreadPoolThread);
        return FillAnswer.Started;
    }

    /// <summary>Starts a fill whose answer is already open: a first read that told metadata and bytes in one. Takes over <paramref name="body"/>.</summary>
    /// <returns>False when nothing of it is worth keeping or the budget is spent; the body is then still the caller's.</returns>
    public bool TryStart(CatalogEntry entry, in GenerationToken token, ObjectBody body, IObjectSource source, Origin by)
    {
        var units = FillPlan.Units(entry.Layout, body.Span);
        if (units.Count == 0)
        {
            return false;
        }

        var partition = PartitionOf(entry);
        Fill fill;
        lock (partition.Gate)
        {
            if (IsKnown_NeedsLock(partition, units[0].Id))
            {
                return false;
            }

            units = UpToKnown_NeedsLock(partition, units);
            if (!TryReserve(units))
            {
                return false;
            }

            fill = Register_NeedsLock(
                partition, entry, token, units,
                keepWithoutReaders: entry.Size <= _options.Fills.WholeObjectBytes || units[^1].End - units[0].Start <= _options.BlockSizeBytes, by);
        }

        Interlocked.Increment(ref _counters.FillsStarted);

        // A small one is most likely there behind its head, and its reader would only wait for another thread to take it up.
        Run(fill, source, body, atOnce: fill.Bytes <= SmallBytes);
        return true;
    }

    /// <summary>Asks for <paramref name="wanted"/> ahead of its reader, if it is neither cached nor coming.</summary>
    public FillAnswer Prefetch(CatalogEntry entry, ByteSpan wanted, IObjectSource source, Origin by) => Prefetch(entry, wanted, source, by, out _);

    /// <param name="fill">That brings its beginning; null when none need.</param>
    public FillAnswer Prefetch(CatalogEntry entry, ByteSpan wanted, IObjectSource source, Origin by, out Fill? fill)
    {
        fill = null;
        return _tiers.Contains(entry.Layout.BlockAt(wanted.Offset).Id, out _) ? FillAnswer.Cached : JoinOrStart(entry, wanted, source, join: false, out fill, by);
    }

    public static void Leave(Fill fill) => fill.Leave(StalledPatience);

    /// <summary>Completes when no fill runs.</summary>
    public Task IdleAsync()
    {
        lock (_partitions)
        {
            return _running == 0 ? Task.CompletedTask : (_idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    private Partition PartitionOf(CatalogEntry entry) => _partitions[entry.Layout.Extents[0].Content.Low % Partitions];

    private bool IsKnown_NeedsLock(Partition partition, in BlockId id) => partition.InFlight.ContainsKey(id) || _tiers.Contains(id, out _);

    /// <summary>Cuts the list before its second-or-later unit that somebody already has or brings.</summary>
    private List<BlockPlace> UpToKnown_NeedsLock(Partition partition, List<BlockPlace> units)
    {
        var count = 1;
        while (count < units.Count && !IsKnown_NeedsLock(partition, units[count].Id))
        {
            count++;
        }

        units.RemoveRange(count, units.Count - count);
        return units;
    }

    /// <summary>Reserves what the units take, giving up the farther half until it fits: rather one block than none.</summary>
    private bool TryReserve(List<BlockPlace> units)
    {
        while (!_budget.TryReserve(units[^1].End - units[0].Start))
        {
            if (units.Count == 1)
            {
                return false;
            }

            units.RemoveRange((units.Count + 1) / 2, units.Count / 2);
        }

        return true;
    }

    private Fill Register_NeedsLock(Partition partition, CatalogEntry entry, in GenerationToken token, List<BlockPlace> units, bool keepWithoutReaders, Origin by)
    {
        var fill = new Fill(entry, token, units, partition.Gate, keepWithoutReaders, by, _time);
        foreach (var unit in units)
        {
            partition.InFlight[unit.Id] = fill;
        }

        return fill;
    }

    /// <param name="atOnce">On this thread as far as it goes without waiting: for a caller who will do nothing but wait for it.</param>
    private void Run(Fill fill, IObjectSource source, ObjectBody? first, bool atOnce)
    {
        lock (_partitions)
        {
            _running++;
        }

        var parent = FillTrace.Parent();
        if (atOnce)
        {
            _ = DriveAsync(fill, source, first, parent);
            return;
        }

        // Its life is not the request's: neither its cancellation nor its execution context goes along.
        using (ExecutionContext.IsFlowSuppressed() ? default(AsyncFlowControl?) : ExecutionContext.SuppressFlow())
        {
            // On the caller's scheduler, which is the pool's but in the tests that explore interleavings.
            _ = Task.Factory.StartNew(() => DriveAsync(fill, source, first, parent), CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current);
        }
    }

    private async Task DriveAsync(Fill fill, IObjectSource source, ObjectBody? first, ActivityContext parent)
    {
        using var span = FillTrace.Start(fill, parent);
        FillEnd end;
        Exception? error;
        try
        {
            (end, error) = await _fetcher.FetchAsync(fill, source, first);
        }
        catch (Exception e)
        {
            (end, error) = (FillEnd.Failed, e);
        }

        if (end is FillEnd.VersionChanged)
        {
            _catalog.Drop(fill.Entry, fill.Token);
        }

        FillTrace.End(span, fill, end, error);
        Unregister(fill, fill.Units);
        var waiting = fill.Finish(end, error);
        _budget.Release(fill.Bytes);
        Count(fill, end, error);
        TaskCompletionSource? idle = null;
        lock (_partitions)
        {
            if (--_running == 0)
            {
                (idle, _idle) = (_idle, null);
            }
        }

        idle?.TrySetResult();

        // Last: its reader may go on right here.
        waiting?.TrySetResult();
    }

    private void Count(Fill fill, FillEnd end, Exception? error)
    {
        switch (end)
        {
            case FillEnd.Complete when !fill.AllPublished:
                Interlocked.Increment(ref _counters.FillsSuperseded);
                break;
            case FillEnd.Cancelled:
                Interlocked.Increment(ref _counters.FillsCancelled);
                break;
            case FillEnd.Failed or FillEnd.VersionChanged:
                Interlocked.Increment(ref _counters.FillsFailed);
                if (error is not S3Exception)
                {
                    LogFailed(fill.Entry.Bucket, fill.Entry.Key, fill.Received, fill.StopsAt, error);
                }

                break;
        }
    }

    private void Publish(Fill fill, BlockPlace unit, Block block)
    {
        if (_catalog.Holds(fill.Token) && block.TryAcquire())
        {
            // Before it is there, so that nobody finds bytes without what brought them.
            fill.Entry.Layout.NoteFill(fill.Origin, _time.GetUtcNow());
            _tiers.Publish(unit.Id, block, AdmissionOf(fill, unit));
            fill.MarkPublished();
        }

        // After publishing, so that nobody finds it in neither place.
        Unregister(fill, [unit]);
    }

    private static Admission AdmissionOf(Fill fill, in BlockPlace unit)
        => fill.Entry.Layout.BlockAt(unit.Start).Id != unit.Id ? Admission.MemoryOnly // a granule
            : fill.Origin == Origin.Warm ? Admission.Always
            : fill.Entry.Policy.Kind == Policy.MilvusKind.Index ? Admission.FirstHit
            : Admission.SecondHit;

    private void Unregister(Fill fill, List<BlockPlace> units)
    {
        var partition = PartitionOf(fill.Entry);
        lock (partition.Gate)
        {
            foreach (var unit in units)
            {
                if (partition.InFlight.TryGetValue(unit.Id, out var owner) && ReferenceEquals(owner, fill))
                {
                    partition.InFlight.Remove(unit.Id);
                }
            }
        }
    }

    [LoggerMessage(3101, LogLevel.Warning, "Fill of {Bucket}/{Key} failed at byte {Received} of {StopsAt}; its readers were told")]
    private partial void LogFailed(string bucket, string key, long received, long stopsAt, Exception? exception);

    private sealed class Partition
    {
        public Lock Gate { get; } = new();

        public Dictionary<BlockId, Fill> InFlight { get; } = [];
    }
}
