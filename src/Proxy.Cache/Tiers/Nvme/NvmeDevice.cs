using Microsoft.Extensions.Logging;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>One directory: opens its store in the background, steps aside when the device fails, probes, comes back.</summary>
/// <remarks>Whatever is wrong with the disk, callers see misses and refused writes. Thread-safe.</remarks>
internal sealed partial class NvmeDevice : INvmeStore
{
    /// <summary>Told to go while the directory is not open; with more than these everything in it goes.</summary>
    private const int MaxRemoved = 1 << 18;

    private readonly string _directory;
    private readonly TierOptions _options;
    private readonly BlockPool _pool;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly NvmeCounters _counters = new();
    private readonly DeviceHealth _health;
    private readonly LateWrites _late;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _supervision;
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile SegmentStore? _store;

    // Told to go while there is no store to tell.
    private readonly HashSet<BlockId> _removed = [];
    private StoreFiles? _files;
    private Task<bool> _look = Task.FromResult(true);
    private int _users;
    private long _writtenBefore;

    /// <param name="faults">First value of <see cref="Faults"/>.</param>
    public NvmeDevice(string directory, TierOptions options, BlockPool pool, TimeProvider time, ILogger logger, Action<DiskOperation, long>? faults = null)
    {
        Faults = faults;
        _directory = directory;
        _options = options;
        _pool = pool;
        _time = time;
        _logger = logger;
        _health = new DeviceHealth(OnSuspended);
        _late = new LateWrites(options.StillInMemory);
        _supervision = Task.Run(SuperviseAsync);
    }

    /// <summary>Between probes of a suspended device, and between checks of a healthy one.</summary>
    internal TimeSpan ProbeInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>A read that takes longer is given up, and the device with it.</summary>
    internal TimeSpan HungRead { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>As long may nothing of what waits for the disk get there, or the directory take to open. No reader waits for these: they are given more time.</summary>
    internal TimeSpan HungWrite { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Tests make the disk fail here; takes effect at once.</summary>
    internal Action<DiskOperation, long>? Faults { get; set; }

    /// <summary>Tests hold the look at the directory up here.</summary>
    internal Action? Looks { get; set; }

    /// <summary>The first attempt to open is over, whatever came of it.</summary>
    internal Task Opened => _opened.Task;

    internal SegmentStore? Store => _store;

    internal NvmeCounters Counters => _counters;

    public bool Contains(in BlockId id)
    {
        using var use = Enter();
        return use.Store is { } store && store.Contains(id);
    }

    public bool Serves(in BlockId id) => _store is not null && !_health.IsSuspended;

    public bool HasRoom(in BlockId id)
    {
        using var use = Enter();
        return use.Store is { } store && store.HasRoom;
    }

    public long CapacityBytes
    {
        get
        {
            using var use = Enter();
            return use.Store?.CapacityBytes ?? 0;
        }
    }

    public bool IsLate(in BlockId id) => !_health.IsSuspended && _late.Contains(id);

    public double Backlog => _health.IsSuspended ? 0 : (double)_late.Bytes * _options.NvmeDirectories.Count / _options.MemoryCapacityBytes;

    public bool TryGetLength(in BlockId id, out int length)
    {
        using var use = Enter();
        length = 0;
        return use.Store is { } store && store.TryGetLength(id, out length);
    }

    public bool TryWrite(in BlockId id, BlockLease lease)
    {
        using var use = Enter();
        if (use.Store is { } store)
        {
            return store.TryWrite(id, lease);
        }

        // Not open yet: on a busy disk that takes a while, and clients write from the first moment on.
        if (_health.IsSuspended || !_late.TryAdd(id, lease.Length))
        {
            Interlocked.Increment(ref _counters.WritesDropped);
        }

        lease.Dispose();
        return false;
    }

    public ValueTask<BlockLease> ReadAsync(BlockId id, int offset, int length, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        ValueTask<BlockLease> read = default;
        using (var use = Enter())
        {
            if (use.Store is { } store)
            {
                // A store that closes meanwhile answers what it has not begun with nothing.
                read = store.ReadAsync(id, offset, length);
            }
        }

        return read;
    }

    public void CountLookup(in BlockId id, bool found) => (found ? _counters.Hits : _counters.Misses).Increment();

    public void Remove(in BlockId id)
    {
        // Also while suspended: what is dropped must not come back with the device.
        using var use = Enter(alsoSuspended: true);
        if ((use.Store ?? RemoveOnceOpen(id)) is { } store)
        {
            store.Remove(id);
        }
    }

    /// <returns>The store, when it was opened a moment ago.</returns>
    private SegmentStore? RemoveOnceOpen(in BlockId id)
    {
        lock (_removed)
        {
            if (_store is null && _removed.Count <= MaxRemoved)
            {
                _removed.Add(id);
            }

            return _store;
        }
    }

    public IReadOnlyList<NvmeSnapshot> Snapshot()
    {
        using var use = Enter(alsoSuspended: true);
        var store = use.Store;
        return
        [
            new NvmeSnapshot
            {
                Directory = _directory,
                State = _health.IsSuspended ? NvmeState.Suspended : store is null ? NvmeState.Opening : store.IsRecovering ? NvmeState.Recovering : NvmeState.Healthy,
                Reason = _health.Reason,
                CapacityBytes = store?.CapacityBytes ?? 0,
                UsedBytes = store?.UsedBytes ?? 0,
                Blocks = store?.Blocks ?? 0,
                IndexBytes = store?.IndexBytes ?? 0,
                QueueBytes = store?.QueueBytes ?? 0,
                Hits = _counters.Hits.Value,
                Misses = _counters.Misses.Value,
                ReadBytes = Interlocked.Read(ref _counters.ReadBytes),
                ReadSeconds = _counters.ReadLatency.Seconds,
                ReadLatency = _counters.ReadLatency.Counts(),
                BlocksWritten = Interlocked.Read(ref _counters.BlocksWritten),
                WrittenBytes = Interlocked.Read(ref _writtenBefore) + (store?.Ring.File.BytesWritten ?? 0),
                WritesDropped = Interlocked.Read(ref _counters.WritesDropped),
                SegmentsEvicted = Interlocked.Read(ref _counters.SegmentsEvicted),
                BlocksEvicted = Interlocked.Read(ref _counters.BlocksEvicted),
                BlocksReinserted = Interlocked.Read(ref _counters.BlocksReinserted),
                Corrupt = Interlocked.Read(ref _counters.Corrupt),
                IoErrors = Interlocked.Read(ref _counters.IoErrors),
                Suspensions = Interlocked.Read(ref _counters.Suspensions),
                BlocksRecovered = Interlocked.Read(ref _counters.BlocksRecovered),
                RecoverySeconds = TimeSpan.FromTicks(Interlocked.Read(ref _counters.RecoveryTicks)).TotalSeconds,
            },
        ];
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _supervision.ConfigureAwait(false);
        await CloseAsync().ConfigureAwait(false);
        _stopping.Dispose();
        _wake.Dispose();
    }

    private void OnSuspended(string reason)
    {
        Interlocked.Increment(ref _counters.Suspensions);
        LogSuspended(_logger, _directory, reason);
    }

    /// <summary>The store for the length of one call, so that it is not closed under it.</summary>
    private Use Enter(bool alsoSuspended = false)
    {
        Interlocked.Increment(ref _users);
        return new Use(this, alsoSuspended || !_health.IsSuspended ? _store : null);
    }

    private readonly ref struct Use(NvmeDevice device, SegmentStore? store)
    {
        public SegmentStore? Store { get; } = store;

        public void Dispose() => Interlocked.Decrement(ref device._users);
    }

    [LoggerMessage(3201, LogLevel.Warning, "NVMe {Directory} steps aside: {Reason}. Reads go to the backend; it is probed until it works again")]
    private static partial void LogSuspended(ILogger logger, string directory, string reason);

    [LoggerMessage(3202, LogLevel.Information, "NVMe {Directory} is back")]
    private static partial void LogResumed(ILogger logger, string directory);
}
