using Proxy.Bench.Http;
using Proxy.Bench.Load;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Compare;

/// <param name="Connections">Each a column of the grid.</param>
/// <param name="Rounds">How often every server has its turn in every cell.</param>
/// <param name="Threads">Of the client.</param>
internal sealed record CompareGrid(
    IReadOnlyList<CompareWork> Works, IReadOnlyList<int> Connections, int Rounds, TimeSpan Warmup, TimeSpan Duration, int Threads);

/// <summary>Measures the same grid on several servers that hold the same objects, in turn A B A B.</summary>
internal sealed class CompareRun(IReadOnlyList<BenchServer> servers, IReadOnlyList<DatasetObject> objects, StaticOrigin origin, CompareGrid grid)
{
    public const string Bucket = "a-bucket";

    private readonly List<string> _findings = [];

    /// <summary>What was wrong: a status, a length, a byte.</summary>
    public IReadOnlyList<string> Findings => _findings;

    public long FindingCount { get; private set; }

    public long CheckedBytes { get; private set; }

    public static S3Target Target(BenchServer server) => new(server.Endpoint, "minioadmin", "minioadmin", "us-east-1", Bucket);

    /// <summary>Reads every object whole, twice, and compares every byte: the caches are warm, and hold what they should.</summary>
    public async Task WarmAsync(Action<BenchServer> done, CancellationToken cancellation)
    {
        foreach (var server in servers)
        {
            var report = new RunReport();
            using var clients = new S3ClientPool(Target(server), report, TimeProvider.System, connections: 4);
            for (var pass = 0; pass < 2; pass++)
            {
                await Parallel.ForEachAsync(objects, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = cancellation }, async (item, token) =>
                {
                    var check = new BodyCheck(item, 0, item.Size, withMd5: false);
                    var head = await clients.UseAsync(client => client.SendAsync(new S3Request("GET", "GET", item.Key), check.ReadAsync, token), token);
                    report.Check(head.Status == 200 && check.Wrong is null, () => $"{server.Name} warming {item.Key}: status {head.Status}, {check.Wrong}");
                    var answer = await clients.SendAsync(new S3Request("HEAD", "HEAD", item.Key), token);
                    report.Check(answer.Status == 200 && answer.Head.ContentLength == item.Size, () => $"{server.Name} HEAD {item.Key}: status {answer.Status}");
                });
            }

            RunFailedException.Unless(report.FindingCount == 0, string.Join('\n', report.Findings));
            CheckedBytes += 2 * objects.Sum(item => item.Size);
            foreach (var work in grid.Works)
            {
                // The servers' and the client's code, compiled as hot as it will be.
                var load = new LoadOptions(16, grid.Threads, grid.Duration, TimeSpan.Zero, Seed: 1);
                _ = await Task.Run(() => new LoadRun(Target(server), new LoadPlan(objects, [work.Operation], work.RangeBytes), load).Run([], cancellation), cancellation);
            }

            done(server);
        }
    }

    /// <param name="done">Told every cell once it has all its rounds.</param>
    public IReadOnlyList<CompareCell> Measure(Action<CompareCell> done, CancellationToken cancellation)
    {
        var cells = new List<CompareCell>();
        foreach (var work in grid.Works)
        {
            var plan = new LoadPlan(objects, [work.Operation], work.RangeBytes);
            foreach (var connections in grid.Connections)
            {
                var row = servers.Select(server => new CompareCell(server.Name, work, connections)).ToList();
                for (var round = 0; round < grid.Rounds; round++)
                {
                    for (var turn = 0; turn < servers.Count; turn++)
                    {
                        MeasureTurn(servers[turn], row[turn], plan, round, cancellation);
                    }
                }

                row.ForEach(done);
                cells.AddRange(row);
            }
        }

        return cells;
    }

    private void MeasureTurn(BenchServer server, CompareCell cell, LoadPlan plan, int round, CancellationToken cancellation)
    {
        var asked = origin.Requests;
        // The same seed for all servers: the same objects and offsets in the same order.
        var load = new LoadOptions(cell.Connections, grid.Threads, grid.Warmup, grid.Duration, Seed: 1000 * (round + 1));
        var result = new LoadRun(Target(server), plan, load).Run(server.Processes, cancellation);
        cell.Add(result, ProcessTree.ResidentBytes(server.Processes), origin.Requests - asked);
        CheckedBytes += result.CheckedBytes;
        FindingCount += result.FindingCount;
        _findings.AddRange(result.Findings.Take(20 - Math.Min(20, _findings.Count)).Select(finding => $"{server.Name}, {cell.Work.Name}, {cell.Connections} connections: {finding}"));
        if (result.Requests == 0)
        {
            FindingCount++;
            _findings.Add($"{server.Name}, {cell.Work.Name}, {cell.Connections} connections: no answer in the measured time");
        }
    }
}
