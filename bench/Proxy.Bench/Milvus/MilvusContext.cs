using System.Collections.Concurrent;
using Proxy.Bench.Http;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>What stays of an endpoint from one workload to the next.</summary>
internal sealed class MilvusState
{
    /// <summary>The sealed segments that lie in its backend and were loaded through it; null before that.</summary>
    public IReadOnlyList<DatasetObject>? Segments { get; set; }
}

/// <summary>What a workload works with: one endpoint, one report, and the requests Milvus makes of them.</summary>
/// <param name="root">Key prefix of this run: minio.rootPath.</param>
internal sealed partial class MilvusContext(MilvusEndpoint endpoint, MilvusScale scale, string root, RunReport report, int connections) : IDisposable
{
    public const int CellBytes = 4 << 20;

    private const long Seed = 7;
    private const int TailBytes = 64 << 10;
    private const int FooterBytes = 200 << 10;
    private const int Removers = 16;

    private S3ClientPool _clients = new(endpoint.Target, report, TimeProvider.System, connections);
    private readonly ConcurrentDictionary<string, byte> _written = new(StringComparer.Ordinal);
    private IReadOnlyList<DatasetObject>? _segments;

    public MilvusEndpoint Endpoint => endpoint;

    public MilvusScale Scale => scale;

    public string Root => root;

    public RunReport Report => report;

    public S3ClientPool Clients => _clients;

    /// <summary>Which of its like this is: the names of objects grow from it, so that no round finds another's.</summary>
    public int Generation { get; init; }

    public bool IsWarmUp { get; init; }

    /// <summary>How long a server that was started anew is warmed up.</summary>
    public TimeSpan WarmUpTime { get; init; }

    public MilvusState State { get; init; } = new();

    /// <summary>How the C++ side's bodies go out; null is as Milvus 2.6 sends them.</summary>
    public PayloadSigning? Signing { get; init; }

    /// <summary>Cache sizes of W7 beside the run's own, in percent of the data it reads.</summary>
    public IReadOnlyList<int> CacheShares { get; init; } = [];

    /// <summary>Behind the names of the operations that are reads, as <c> 16</c>: tells the parts of a workload apart.</summary>
    public string Suffix { get; set; } = "";

    /// <summary>The sealed segments that W5 to W8 and W10 read; until they are put, those that paper and soak describe by the scale's bytes.</summary>
    public IReadOnlyList<DatasetObject> Segments
    {
        get => State.Segments ?? (_segments ??= MilvusDataset.Describe(root, scale.Bytes, scale.Segments, Seed));
        set => State.Segments = value;
    }

    public void Dispose() => _clients.Dispose();

    /// <summary>An object of this endpoint's, with the bytes its name gives it.</summary>
    public DatasetObject Object(string name, long size, ObjectKind kind)
    {
        var key = $"{root}/{name}";
        return new DatasetObject(key, size, kind, new Content(Seed, key));
    }

    /// <summary>Sealed segments that no other round or endpoint of this run has.</summary>
    /// <param name="apart">Tells a workload's own from those that W5 writes.</param>
    /// <param name="part">Of a segment's size.</param>
    public IReadOnlyList<DatasetObject> NewSegments(int segments, int apart = 0, int part = 1)
        => MilvusDataset.DescribeSegments(root, scale.SegmentBytes / part, segments, Seed, first: (Generation * 1000) + apart);

    public async Task<ResponseHead> HeadAsync(DatasetObject item, CancellationToken cancellation)
    {
        var head = (await _clients.SendAsync(new S3Request("HEAD" + Suffix, "HEAD", item.Key), cancellation)).Head;
        report.Check(head.Status == 200 && head.ContentLength == item.Size, () => $"HEAD {item.Key}: status {head.Status}, length {head.ContentLength}");
        return head;
    }

    /// <returns>How it was answered, as X-Cache says; null for a server that does not.</returns>
    public Task<string?> GetAsync(DatasetObject item, CancellationToken cancellation)
        => ReadAsync(new S3Request("GET" + Suffix, "GET", item.Key), item, 0, item.Size, 200, cancellation);

    public Task RangeAsync(DatasetObject item, long start, long length, CancellationToken cancellation, string operation = "GET range")
    {
        length = Math.Min(length, item.Size - start);
        return ReadAsync(new S3Request(operation + Suffix, "GET", item.Key) { Range = $"bytes={start}-{start + length - 1}" }, item, start, length, 206, cancellation);
    }

    public Task TailAsync(DatasetObject item, CancellationToken cancellation, int bytes = TailBytes)
        => RangeAsync(item, Math.Max(0, item.Size - bytes), bytes, cancellation, "GET tail");

    /// <summary>What a reader asks for before it reads a column group whose footer is larger than its first guess.</summary>
    public async Task OpenAsync(DatasetObject item, CancellationToken cancellation)
    {
        await HeadAsync(item, cancellation);
        await TailAsync(item, cancellation);
        await TailAsync(item, cancellation, FooterBytes);
    }

    /// <summary>Deletes one object as Milvus's garbage collector does: by a request of its own.</summary>
    public async Task DeleteAsync(DatasetObject item, CancellationToken cancellation)
    {
        var answer = await _clients.SendAsync(new S3Request("DELETE", "DELETE", item.Key), cancellation);
        report.Check(answer.Status == 204, () => $"DELETE {item.Key}: status {answer.Status}");
        _written.TryRemove(item.Key, out _);
    }

    /// <summary>Writes objects as their kinds are written, to the endpoint or to another place; removed when the workload is over.</summary>
    public async Task WriteAsync(IReadOnlyList<DatasetObject> objects, int concurrency, CancellationToken cancellation, S3Target? elsewhere = null)
    {
        Wrote(objects);
        await PutAsync(objects, concurrency, elsewhere, cancellation);
    }

    /// <summary>Written by the workload in its own way.</summary>
    public void Wrote(IEnumerable<DatasetObject> objects)
    {
        foreach (var item in objects)
        {
            _written[item.Key] = 0;
        }
    }

    /// <summary>Puts segments where the endpoint has not seen them, in place of those that lie there; they stay.</summary>
    public async Task PutSegmentsAsync(IReadOnlyList<DatasetObject> segments, CancellationToken cancellation)
    {
        await RemoveAsync(State.Segments?.Select(item => item.Key) ?? [], cancellation);
        Segments = segments;
        await PutAsync(segments, 8, endpoint.Origin, cancellation);
    }

    /// <summary>Untimed, so that a workload run alone finds what it presumes.</summary>
    public async Task EnsureLoadedAsync(CancellationToken cancellation)
    {
        if (State.Segments is null)
        {
            await PutSegmentsAsync(NewSegments(scale.Segments), cancellation);
            await LoadAsync(Segments, 16, cancellation);
        }
    }

    /// <summary>Starts the endpoint's cache anew, with nothing in it.</summary>
    public async Task RestartCacheAsync(CacheSizes sizes, CancellationToken cancellation)
    {
        await endpoint.Cache!.RestartAsync(sizes, cancellation);

        // Its end closed all connections: what is asked next must not find that out, try by try.
        _clients.Dispose();
        _clients = new S3ClientPool(endpoint.Target, report, TimeProvider.System, connections);
    }

    public Task EnsureBucketAsync(CancellationToken cancellation) => PutAsync([], 1, null, cancellation);

    /// <summary>Removes what the workload wrote and nobody needs any more.</summary>
    public async Task RemoveWrittenAsync(CancellationToken cancellation)
    {
        await RemoveAsync(_written.Keys, cancellation);
        _written.Clear();
    }

    /// <summary>Through the endpoint, so that its cache has room again; not part of any figure.</summary>
    public async Task RemoveAsync(IEnumerable<string> keys, CancellationToken cancellation)
    {
        using var clients = new S3ClientPool(endpoint.Target, new RunReport(), TimeProvider.System, Removers);
        await ForEachAsync([.. keys], Removers, (key, token) => clients.SendAsync(new S3Request("DELETE", "DELETE", key), token), cancellation);
    }

    /// <summary>Loads a segment as a query node does: every index slice by HEAD and GET, the column groups' footers, the scalars, statistics and deltas.</summary>
    public Task LoadAsync(IReadOnlyList<DatasetObject> objects, int parallel, CancellationToken cancellation) => ForEachAsync(objects, parallel, LoadAsync, cancellation);

    public async Task LoadAsync(DatasetObject item, CancellationToken cancellation)
    {
        switch (item.Kind)
        {
            case ObjectKind.IndexSlice or ObjectKind.SliceMeta:
                await HeadAsync(item, cancellation);
                await GetAsync(item, cancellation);
                break;
            case ObjectKind.InsertLog when MilvusDataset.IsScalars(item):
                // The reader is opened twice: for the schema, then for the batch.
                for (var open = 0; open < 2; open++)
                {
                    await HeadAsync(item, cancellation);
                    await TailAsync(item, cancellation);
                }

                await RangeAsync(item, 0, 16 << 20, cancellation);
                break;
            case ObjectKind.InsertLog:
                await OpenAsync(item, cancellation);
                break;
            default:
                await GetAsync(item, cancellation);
                break;
        }
    }

    /// <summary>What <see cref="LoadAsync(DatasetObject, CancellationToken)"/> needs to read of an object, each byte once.</summary>
    public static long LoadedBytes(DatasetObject item) => item.Kind switch
    {
        ObjectKind.InsertLog when MilvusDataset.IsScalars(item) => Math.Min(item.Size, (16L << 20) + TailBytes),
        ObjectKind.InsertLog => Math.Min(item.Size, FooterBytes),
        _ => item.Size,
    };

    public static Task ForEachAsync<T>(IReadOnlyList<T> items, int parallel, Func<T, CancellationToken, Task> work, CancellationToken cancellation)
        => Parallel.ForEachAsync(
            items, new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = cancellation }, async (item, token) => await work(item, token));

    private async Task PutAsync(IReadOnlyList<DatasetObject> objects, int concurrency, S3Target? elsewhere, CancellationToken cancellation)
    {
        if (elsewhere is null)
        {
            await new DatasetWriter(_clients, report, EtagRule.Md5, Signing).WriteAsync(objects, concurrency, _ => { }, cancellation);
            return;
        }

        var apart = new RunReport();
        using var clients = new S3ClientPool(elsewhere, apart, TimeProvider.System, concurrency);
        await new DatasetWriter(clients, apart, EtagRule.Md5, Signing).WriteAsync(objects, concurrency, _ => { }, cancellation);
        RunFailedException.Unless(apart.FindingCount == 0, string.Join('\n', apart.Findings));
    }

    private async Task<string?> ReadAsync(S3Request request, DatasetObject item, long start, long length, int status, CancellationToken cancellation)
    {
        var check = new BodyCheck(item, start, length, withMd5: false);
        var head = await _clients.UseAsync(client => client.SendAsync(request, check.ReadAsync, cancellation), cancellation);
        if (report.Check(head.Status == status && check.Wrong is null, () => $"{request.Operation} {item.Key} {request.Range}: status {head.Status}, {check.Wrong}"))
        {
            report.AddBytes(request.Operation, length);
        }

        return head.CacheOutcome;
    }
}
