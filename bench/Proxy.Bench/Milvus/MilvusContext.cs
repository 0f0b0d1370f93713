using System.Diagnostics;
using Proxy.Bench.Http;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>What a workload works with: one endpoint, one report, and the requests Milvus makes of them.</summary>
internal sealed class MilvusContext(MilvusEndpoint endpoint, MilvusScale scale, string root, RunReport report, int connections) : IDisposable
{
    private const int TailBytes = 64 << 10;

    private readonly S3ClientPool _clients = new(endpoint.Target, report, TimeProvider.System, connections);

    public MilvusEndpoint Endpoint => endpoint;

    public MilvusScale Scale => scale;

    /// <summary>Key prefix of this run: minio.rootPath.</summary>
    public string Root => root;

    public RunReport Report => report;

    public S3ClientPool Clients => _clients;

    /// <summary>The sealed segments that W5 to W10 read.</summary>
    public IReadOnlyList<DatasetObject> Segments { get; } = MilvusDataset.Describe(root, scale.Bytes, scale.Segments, seed: 7);

    /// <summary>Figures of the workload's own: wall time, backend requests, hit rate.</summary>
    public Dictionary<string, double> Figures { get; } = new(StringComparer.Ordinal);

    public void Dispose() => _clients.Dispose();

    public async Task<ResponseHead> HeadAsync(DatasetObject item, CancellationToken cancellation)
    {
        var head = (await _clients.SendAsync(new S3Request("HEAD", "HEAD", item.Key), cancellation)).Head;
        report.Check(head.Status == 200 && head.ContentLength == item.Size, () => $"HEAD {item.Key}: status {head.Status}, length {head.ContentLength}");
        return head;
    }

    public Task GetAsync(DatasetObject item, CancellationToken cancellation)
        => ReadAsync(new S3Request("GET", "GET", item.Key), item, 0, item.Size, 200, cancellation);

    public Task RangeAsync(DatasetObject item, long start, long length, CancellationToken cancellation, string operation = "GET range")
    {
        length = Math.Min(length, item.Size - start);
        return ReadAsync(new S3Request(operation, "GET", item.Key) { Range = $"bytes={start}-{start + length - 1}" }, item, start, length, 206, cancellation);
    }

    public Task TailAsync(DatasetObject item, CancellationToken cancellation, int bytes = TailBytes)
        => RangeAsync(item, Math.Max(0, item.Size - bytes), bytes, cancellation, "GET tail");

    /// <summary>Writes objects as their kinds are written, to the endpoint or to another place.</summary>
    public async Task WriteAsync(IReadOnlyList<DatasetObject> objects, int concurrency, CancellationToken cancellation, S3Target? elsewhere = null)
    {
        if (elsewhere is null)
        {
            await new DatasetWriter(_clients, report, EtagRule.Md5, null).WriteAsync(objects, concurrency, _ => { }, cancellation);
            return;
        }

        var apart = new RunReport();
        using var clients = new S3ClientPool(elsewhere, apart, TimeProvider.System, concurrency);
        await new DatasetWriter(clients, apart, EtagRule.Md5, null).WriteAsync(objects, concurrency, _ => { }, cancellation);
        RunFailedException.Unless(apart.FindingCount == 0, string.Join('\n', apart.Findings));
    }

    /// <summary>Loads a segment as a query node does: every index slice by HEAD and GET, the column groups' footers, the scalars, statistics and deltas.</summary>
    public async Task LoadAsync(IReadOnlyList<DatasetObject> objects, int parallel, CancellationToken cancellation)
        => await Parallel.ForEachAsync(objects, new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = cancellation }, async (item, token) =>
        {
            switch (item.Kind)
            {
                case ObjectKind.IndexSlice or ObjectKind.SliceMeta:
                    await HeadAsync(item, token);
                    await GetAsync(item, token);
                    break;
                case ObjectKind.InsertLog when item.Key.Contains("/0/", StringComparison.Ordinal):
                    // The reader is opened twice: for the schema, then for the batch.
                    for (var open = 0; open < 2; open++)
                    {
                        await HeadAsync(item, token);
                        await TailAsync(item, token);
                    }

                    await RangeAsync(item, 0, 16 << 20, token);
                    break;
                case ObjectKind.InsertLog:
                    await HeadAsync(item, token);
                    await TailAsync(item, token);
                    await TailAsync(item, token, 200 << 10);
                    break;
                default:
                    await GetAsync(item, token);
                    break;
            }
        });

    /// <summary>When, since the report's beginning, the first thing was measured; null while nothing was.</summary>
    public TimeSpan? MeasuredFrom { get; private set; }

    /// <summary>Runs something and keeps its wall time and what it cost the backend.</summary>
    public async Task MeasureAsync(string name, Func<Task> work)
    {
        MeasuredFrom ??= report.Elapsed;
        var before = endpoint.Backend is null ? null : await endpoint.Backend.ReadAsync(CancellationToken.None);
        var started = Stopwatch.GetTimestamp();
        await work();
        Figures[$"{name} s"] = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (before is not null)
        {
            var after = await endpoint.Backend!.ReadAsync(CancellationToken.None);
            Figures[$"{name} backend requests"] = after.Requests - before.Requests;
            Figures[$"{name} backend MiB"] = (after.Bytes - before.Bytes) / (double)(1 << 20);
        }
    }

    private async Task ReadAsync(S3Request request, DatasetObject item, long start, long length, int status, CancellationToken cancellation)
    {
        var check = new BodyCheck(item, start, length, withMd5: false);
        var head = await _clients.UseAsync(client => client.SendAsync(request, check.ReadAsync, cancellation), cancellation);
        if (report.Check(head.Status == status && check.Wrong is null, () => $"{request.Operation} {item.Key} {request.Range}: status {head.Status}, {check.Wrong}"))
        {
            report.AddBytes(request.Operation, length);
        }
    }
}
