using Prometheus;
using Proxy.Cache;
using Proxy.Cache.Policy;

namespace Proxy.Server.Telemetry;

/// <summary>Shows <see cref="CacheSnapshot"/>: what was read from where, misses, fills, captures, revalidations, the catalog.</summary>
internal sealed class CacheMetrics
{
    private readonly RequestMetrics _requests;
    private readonly Counter _servedBytes;
    private readonly Counter _misses;
    private readonly Counter.Child _fillsStarted;
    private readonly Counter _fillsLost;
    private readonly Counter.Child _fillRetries;
    private readonly Counter.Child _coalesced;
    private readonly Counter.Child _passed;
    private readonly Counter.Child _fillBackendBytes;
    private readonly Counter.Child _fillAskedBytes;
    private readonly Gauge.Child _fillBytesInFlight;
    private readonly Counter _ahead;
    private readonly Counter _aheadUsed;
    private readonly Counter.Child _aheadRefused;
    private readonly Counter _captures;
    private readonly Counter.Child _captureWaits;
    private readonly Counter.Child _layouts;
    private readonly Gauge.Child _captureBytes;
    private readonly Gauge.Child _captureParts;
    private readonly Counter _revalidations;
    private readonly Counter.Child _invalidations;
    private readonly Counter _firstReads;
    private readonly Counter.Child _stale;
    private readonly Counter.Child _savedBytes;
    private readonly Gauge.Child _entries;
    private readonly Gauge.Child _entryBytes;
    private readonly Gauge.Child _openReads;

    public CacheMetrics(MetricFactory metrics, RequestMetrics requests)
    {
        _requests = requests;
        _servedBytes = metrics.CreateCounter("s3_proxy_object_read_bytes_total", "Bytes of object reads by where they came from and what of Milvus's they were.", RequestMetrics.Plain("tier", "kind"));
        _misses = metrics.CreateCounter("s3_proxy_misses_total", "Reads of outcome miss or partial, by reason.", RequestMetrics.Plain("reason"));
        _fillsStarted = Counter("s3_proxy_fills_started_total", "Ranges asked of a backend for the cache.");
        _fillsLost = metrics.CreateCounter("s3_proxy_fills_lost_total", "Fills that were not kept, by reason.", RequestMetrics.Plain("reason"));
        _fillRetries = Counter("s3_proxy_fill_retries_total", "Requests of fills made again from where the last one stopped.");
        _coalesced = Counter("s3_proxy_coalesced_readers_total", "Reads that waited for a fill another one had begun.");
        _passed = Counter("s3_proxy_passed_through_total", "Reads streamed past the tiers because a budget was spent.");
        _fillBackendBytes = Counter("s3_proxy_fill_backend_bytes_total", "Bytes read from a backend by fills and passed-through reads.");
        _fillAskedBytes = Counter("s3_proxy_fill_asked_bytes_total", "Bytes that the clients of misses had asked for; the backend's bytes over these are the amplification.");
        _fillBytesInFlight = Gauge("s3_proxy_fill_in_flight_bytes", "Memory reserved by running fills.");
        _ahead = metrics.CreateCounter("s3_proxy_readahead_total", "What was asked of a backend ahead of its reader: index slices that follow a missing one, ranges that follow a sequential reader's.", RequestMetrics.Plain("what"));
        _aheadUsed = metrics.CreateCounter("s3_proxy_readahead_used_total", "Of what was asked for ahead, that which a reader then came for.", RequestMetrics.Plain("what"));
        _aheadRefused = Counter("s3_proxy_readahead_refused_total", "Times nothing was read ahead because the fills that readers wait for had taken the budget.");
        _captures = metrics.CreateCounter("s3_proxy_captures_total", "Uploads and parts by what became of keeping their bytes: kept, dropped (no memory left), abandoned (the upload failed, or its key changed meanwhile), refused (too large).", RequestMetrics.Plain("result"));
        _layouts = Counter("s3_proxy_captured_layouts_total", "Multipart objects published as a layout over their captured parts.");
        _captureWaits = Counter("s3_proxy_capture_wait_seconds_total", "Time uploads were held back because the disk was behind with what they leave in the cache.");
        _captureBytes = Gauge("s3_proxy_capture_held_bytes", "Memory of captures not yet acknowledged.");
        _captureParts = Gauge("s3_proxy_capture_parts", "Parts remembered of uploads not yet completed.");
        _revalidations = metrics.CreateCounter("s3_proxy_revalidations_total", "Validations asked of a backend, by what it said.", RequestMetrics.Plain("result"));
        _invalidations = Counter("s3_proxy_invalidations_total", "Times a key was made unknown: changes, deletions and other versions seen.");
        _firstReads = metrics.CreateCounter("s3_proxy_first_reads_after_write_total", "First reads of what was written through this proxy.", RequestMetrics.Plain("result"));
        _stale = Counter("s3_proxy_stale_served_total", "Reads answered from the cache past their time because the backend could not be asked.");
        _savedBytes = Counter("s3_proxy_saved_bytes_total", "Bytes of object reads that no backend had to send.");
        _entries = Gauge("s3_proxy_catalog_entries", "Objects the catalog knows.");
        _entryBytes = Gauge("s3_proxy_catalog_bytes", "Estimated memory of the catalog.");
        _openReads = Gauge("s3_proxy_open_reads", "Reads of the cache being answered.");

        Counter.Child Counter(string name, string help) => metrics.CreateCounter(name, help, RequestMetrics.Plain()).WithLabels();
        Gauge.Child Gauge(string name, string help) => metrics.CreateGauge(name, help).WithLabels();
    }

    public void Show(CacheSnapshot snapshot, in Saved saved)
    {
        foreach (var tier in (ReadOnlySpan<string>)["memory", "nvme", "backend", "bypass"])
        {
            _servedBytes.WithLabels(tier, "other"); // there from the start, so that rates begin with the first byte
        }

        foreach (var of in snapshot.ServedByKind)
        {
            var kind = RequestMetrics.SnakeCase(of.Kind.ToString());
            _servedBytes.WithLabels("memory", kind).IncTo(of.Memory);
            _servedBytes.WithLabels("nvme", kind).IncTo(of.Nvme);
            _servedBytes.WithLabels("backend", kind).IncTo(of.Backend);
        }

        foreach (var kind in Enum.GetValues<MilvusKind>())
        {
            if (_requests.Bypassed(kind) is > 0 and var bytes)
            {
                _servedBytes.WithLabels("bypass", RequestMetrics.SnakeCase(kind.ToString())).IncTo(bytes);
            }
        }

        _savedBytes.IncTo(saved.Bytes);
        _misses.WithLabels("unknown").IncTo(snapshot.Misses.Unknown);
        _misses.WithLabels("expired").IncTo(snapshot.Misses.Expired);
        _misses.WithLabels("evicted").IncTo(snapshot.Misses.Evicted);

        var fills = snapshot.Fills;
        _fillsStarted.IncTo(fills.Started);
        _fillsLost.WithLabels("failed").IncTo(fills.Failed);
        _fillsLost.WithLabels("cancelled").IncTo(fills.Cancelled);
        _fillsLost.WithLabels("superseded").IncTo(fills.Superseded);
        _fillRetries.IncTo(fills.Retried);
        _coalesced.IncTo(fills.Joined);
        _passed.IncTo(fills.PassedThrough);
        _fillBackendBytes.IncTo(fills.BackendBytes);
        _fillAskedBytes.IncTo(fills.AskedBytes);
        _fillBytesInFlight.Set(fills.BytesInFlight);

        _ahead.WithLabels("index_slice").IncTo(snapshot.SiblingsAhead);
        _ahead.WithLabels("range").IncTo(snapshot.RangesAhead);
        _aheadUsed.WithLabels("index_slice").IncTo(snapshot.SiblingsAheadUsed);
        _aheadUsed.WithLabels("range").IncTo(snapshot.RangesAheadUsed);
        _aheadRefused.IncTo(snapshot.AheadRefused);

        _captures.WithLabels("kept").IncTo(snapshot.Captures.Kept);
        _captures.WithLabels("dropped").IncTo(snapshot.Captures.Dropped);
        _captures.WithLabels("abandoned").IncTo(snapshot.Captures.Abandoned);
        _captures.WithLabels("refused").IncTo(snapshot.Captures.Refused);
        _layouts.IncTo(snapshot.Captures.Layouts);
        _captureWaits.IncTo(snapshot.Captures.Waited.TotalSeconds);
        _captureBytes.Set(snapshot.Captures.BytesHeld);
        _captureParts.Set(snapshot.Captures.Parts);

        _revalidations.WithLabels("unchanged").IncTo(snapshot.RevalidationsUnchanged);
        _revalidations.WithLabels("changed").IncTo(snapshot.Revalidations - snapshot.RevalidationsUnchanged);
        _invalidations.IncTo(snapshot.Invalidations);
        _firstReads.WithLabels("hit").IncTo(snapshot.FirstReadAfterWriteHits);
        _firstReads.WithLabels("miss").IncTo(snapshot.FirstReadAfterWriteMisses);
        _stale.IncTo(snapshot.Reads.Where(read => read.Outcome == CacheOutcome.Stale).Sum(read => read.Requests));
        _entries.Set(snapshot.CatalogEntries);
        _entryBytes.Set(snapshot.CatalogBytes);
        _openReads.Set(snapshot.OpenReads);
    }
}
