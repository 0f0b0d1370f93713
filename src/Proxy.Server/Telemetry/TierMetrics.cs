using Prometheus;
using Proxy.Cache.Tiers;

namespace Proxy.Server.Telemetry;

/// <summary>Shows <see cref="TierSnapshot"/>: sizes, evictions, NVMe health and latency. Memory has an empty directory label.</summary>
internal sealed class TierMetrics
{
    private readonly Gauge _capacity;
    private readonly Gauge _used;
    private readonly Gauge _blocks;
    private readonly Counter _lookups;
    private readonly Counter _evictions;
    private readonly Counter _refused;
    private readonly Gauge.Child _memoryCached;
    private readonly Gauge.Child _takesPart;
    private readonly Counter.Child _declined;
    private readonly Gauge _index;
    private readonly Gauge _queue;
    private readonly Gauge _state;
    private readonly Histogram _reads;
    private readonly Dictionary<string, CountedLatency> _readLatencies = new(StringComparer.Ordinal);
    private readonly Counter _readBytes;
    private readonly Counter _written;
    private readonly Counter _writtenBytes;
    private readonly Counter _reinserted;
    private readonly Counter _corrupt;
    private readonly Counter _ioErrors;
    private readonly Counter _suspensions;
    private readonly Gauge _recoveredBlocks;
    private readonly Gauge _recoverySeconds;

    public TierMetrics(MetricFactory metrics)
    {
        _capacity = metrics.CreateGauge("s3_proxy_tier_capacity_bytes", "Configured size of a tier.", "tier", "directory");
        _used = metrics.CreateGauge("s3_proxy_tier_used_bytes", "What a tier takes of its capacity: for memory also blocks being filled, captured and sent.", "tier", "directory");
        _blocks = metrics.CreateGauge("s3_proxy_tier_blocks", "Blocks a tier holds.", "tier", "directory");
        _lookups = metrics.CreateCounter("s3_proxy_tier_lookups_total", "Blocks that reads came to, each once a read, by whether the tier had them; NVMe is looked in for what memory has not.", RequestMetrics.Plain("tier", "directory", "result"));
        _evictions = metrics.CreateCounter("s3_proxy_tier_evictions_total", "Blocks a tier gave up to make room.", RequestMetrics.Plain("tier", "directory"));
        _refused = metrics.CreateCounter("s3_proxy_admissions_refused_total", "Blocks a tier did not take: everything in memory leased, NVMe write queue full or device suspended.", RequestMetrics.Plain("tier", "directory"));
        _memoryCached = metrics.CreateGauge("s3_proxy_memory_cached_bytes", "Bytes of cached blocks in memory.").WithLabels();
        _takesPart = metrics.CreateGauge("s3_proxy_nvme_takes_part", "1 while only a part of what reads bring is written to NVMe, because more is read round and round than it holds.").WithLabels();
        _declined = metrics.CreateCounter("s3_proxy_nvme_blocks_declined_total", "Blocks that reads brought and that were not written to NVMe for that.", RequestMetrics.Plain()).WithLabels();
        _index = Gauge("s3_proxy_nvme_index_bytes", "Memory of an NVMe directory's index.");
        _queue = Gauge("s3_proxy_nvme_write_queue_bytes", "Bytes waiting to be written to NVMe.");
        _state = metrics.CreateGauge("s3_proxy_nvme_state", "1 for the state an NVMe directory is in: opening, recovering, healthy or suspended.", "directory", "state");
        _reads = metrics.CreateHistogram(
            "s3_proxy_nvme_read_duration_seconds", "Time of a read of the NVMe device, checksum included.",
            new HistogramConfiguration { LabelNames = ["directory"], Buckets = [.. NvmeSnapshot.ReadLatencyBounds], ExemplarBehavior = ExemplarBehavior.NoExemplars() });
        _readBytes = Counter("s3_proxy_nvme_read_bytes_total", "Bytes read from the NVMe device.");
        _written = Counter("s3_proxy_nvme_blocks_written_total", "Blocks written to NVMe.");
        _writtenBytes = Counter("s3_proxy_nvme_written_bytes_total", "Bytes written to the NVMe device, reinsertions and padding included.");
        _reinserted = Counter("s3_proxy_nvme_reinsertions_total", "Blocks written again instead of evicted, because they had been read again.");
        _corrupt = Counter("s3_proxy_nvme_corrupt_blocks_total", "Blocks whose checksum did not match: dropped, never served.");
        _ioErrors = Counter("s3_proxy_nvme_io_errors_total", "Failed reads and writes of the NVMe device.");
        _suspensions = Counter("s3_proxy_nvme_suspensions_total", "Times an NVMe directory stepped aside after errors.");
        _recoveredBlocks = Gauge("s3_proxy_nvme_recovered_blocks", "Blocks found again at the last start.");
        _recoverySeconds = Gauge("s3_proxy_nvme_recovery_seconds", "How long finding them took.");

        Counter Counter(string name, string help) => metrics.CreateCounter(name, help, RequestMetrics.Plain("directory"));
        Gauge Gauge(string name, string help) => metrics.CreateGauge(name, help, "directory");
    }

    public void Show(TierSnapshot tiers)
    {
        var memory = tiers.Memory;
        Show("memory", "", memory.CapacityBytes, memory.UsedBytes, memory.Blocks, memory.Hits, memory.Misses, memory.Evictions, memory.Refusals);
        _memoryCached.Set(memory.CachedBytes);
        _takesPart.Set(tiers.TakesPart ? 1 : 0);
        _declined.IncTo(tiers.Declined);
        foreach (var nvme in tiers.Nvme)
        {
            var directory = nvme.Directory;
            Show("nvme", directory, nvme.CapacityBytes, nvme.UsedBytes, nvme.Blocks, nvme.Hits, nvme.Misses, nvme.BlocksEvicted, nvme.WritesDropped);
            foreach (var state in Enum.GetValues<NvmeState>())
            {
                _state.WithLabels(directory, RequestMetrics.SnakeCase(state.ToString())).Set(nvme.State == state ? 1 : 0);
            }

            _index.WithLabels(directory).Set(nvme.IndexBytes);
            _queue.WithLabels(directory).Set(nvme.QueueBytes);
            ReadLatency(directory).Show(nvme.ReadLatency, nvme.ReadSeconds);
            _readBytes.WithLabels(directory).IncTo(nvme.ReadBytes);
            _written.WithLabels(directory).IncTo(nvme.BlocksWritten);
            _writtenBytes.WithLabels(directory).IncTo(nvme.WrittenBytes);
            _reinserted.WithLabels(directory).IncTo(nvme.BlocksReinserted);
            _corrupt.WithLabels(directory).IncTo(nvme.Corrupt);
            _ioErrors.WithLabels(directory).IncTo(nvme.IoErrors);
            _suspensions.WithLabels(directory).IncTo(nvme.Suspensions);
            _recoveredBlocks.WithLabels(directory).Set(nvme.BlocksRecovered);
            _recoverySeconds.WithLabels(directory).Set(nvme.RecoverySeconds);
        }
    }

    private CountedLatency ReadLatency(string directory)
    {
        if (!_readLatencies.TryGetValue(directory, out var latency))
        {
            _readLatencies[directory] = latency = new CountedLatency(_reads.WithLabels(directory), NvmeSnapshot.ReadLatencyBounds);
        }

        return latency;
    }

    private void Show(string tier, string directory, long capacity, long used, long blocks, long hits, long misses, long evictions, long refused)
    {
        _capacity.WithLabels(tier, directory).Set(capacity);
        _used.WithLabels(tier, directory).Set(used);
        _blocks.WithLabels(tier, directory).Set(blocks);
        _lookups.WithLabels(tier, directory, "hit").IncTo(hits);
        _lookups.WithLabels(tier, directory, "miss").IncTo(misses);
        _evictions.WithLabels(tier, directory).IncTo(evictions);
        _refused.WithLabels(tier, directory).IncTo(refused);
    }
}
