using Proxy.Bench.Http;
using Proxy.Bench.Load;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Compare;

/// <param name="Connections">Each a row of every work.</param>
/// <param name="Rounds">How often every server has its turn in every cell.</param>
/// <param name="Threads">Of the client.</param>
internal sealed record CompareGrid(
    IReadOnlyList<CompareWork> Works, IReadOnlyList<int> Connections, int Rounds, TimeSpan Warmup, TimeSpan Duration, int Threads)
{
    /// <inheritdoc cref="LoadOptions.TakesBodies"/>
    public bool TakesBodies { get; init; }

    /// <summary>Further connections that read whole objects all the while; a row's own figures are without them, but CPU is everybody's.</summary>
    public int Beside { get; init; }

    /// <summary>Turns in all, of so many servers.</summary>
    public int Turns(int servers) => Works.Count * Connections.Count * Rounds * servers;
}

/// <summary>Measures the same grid on several servers in front of one origin, in turn A B A B.</summary>
internal sealed class CompareRun(IReadOnlyList<BenchServer> servers, IReadOnlyList<DatasetObject> objects, StaticOrigin origin, CompareGrid grid)
{
    public const string Bucket = "a-bucket";

    /// <summary>A cache that still asks its backend after so many readings of everything does not hold it.</summary>
    private const int MostPasses = 6;

    private readonly List<string> _findings = [];
    private readonly List<CompareRow> _rows = [];

    /// <summary>What is asked for, where it is not the same for all servers and works.</summary>
    public Func<BenchServer, CompareWork, IReadOnlyList<DatasetObject>> ObjectsOf { get; init; } = (_, _) => objects;

    /// <summary>Measured beside each row, before and after it; null without a disk to compare with.</summary>
    public DiskReference? Disk { get; init; }

    /// <summary>Rows that were measured, the last one perhaps in part.</summary>
    public IReadOnlyList<CompareRow> Rows => _rows;

    /// <summary>What was wrong: a status, a length, a byte.</summary>
    public IReadOnlyList<string> Findings => _findings;

    public long FindingCount { get; private set; }

    public long CheckedBytes { get; private set; }

    /// <summary>Requests that reached the origin while something was measured: not 0 means that not all was hot.</summary>
    public long OriginRequests => _rows.Sum(row => row.Cells.Sum(cell => cell.OriginRequests));

    public static S3Target Target(BenchServer server) => new(server.Endpoint, "minioadmin", "minioadmin", "us-east-1", Bucket);

    /// <summary>Reads every object whole and compares every byte, all servers equally often and until none of them asks the origin any more.</summary>
    public async Task WarmAsync(RunProgress progress, CancellationToken cancellation)
    {
        for (var pass = 1; pass <= MostPasses; pass++)
        {
            var asked = new List<string>();
            foreach (var server in servers)
            {
                progress.Begin($"warming {server.Name}, reading {pass}");
                var before = origin.Requests;
                await ReadAllAsync(server, cancellation);
                if (origin.Requests > before)
                {
                    asked.Add($"{server.Name} {origin.Requests - before}");
                }
            }

            progress.Line($"reading {pass} of {objects.Count} objects, {objects.Sum(item => item.Size) >> 20} MiB, every byte compared: {(asked.Count == 0 ? "nobody asked the origin" : $"requests to the origin: {string.Join(", ", asked)}")}");
            if (pass > 1 && asked.Count == 0)
            {
                break;
            }
        }

        foreach (var server in servers)
        {
            foreach (var work in grid.Works)
            {
                // The servers' and the client's code, compiled as hot as it will be.
                progress.Begin($"warming {server.Name}, {work.Name}");
                var load = new LoadOptions(16, grid.Threads, grid.Duration, TimeSpan.Zero, Seed: 1);
                var result = await Task.Run(() => new LoadRun(Target(server), new LoadPlan(ObjectsOf(server, work), [work.Operation], work.RangeBytes), load).Run([], cancellation), cancellation);
                cancellation.ThrowIfCancellationRequested();
                NoteWrong($"{server.Name}, warming {work.Name}", result);
            }
        }
    }

    /// <summary>Fills <see cref="Rows"/>.</summary>
    public async Task MeasureAsync(RunProgress progress, Action<CompareRow> done, CancellationToken cancellation)
    {
        foreach (var work in grid.Works)
        {
            foreach (var connections in grid.Connections)
            {
                var row = new CompareRow(work, connections, [.. servers.Select(server => new CompareCell(server.Name, work, connections))]);
                _rows.Add(row);
                await MeasureDiskAsync(row, progress, cancellation);
                for (var round = 0; round < grid.Rounds; round++)
                {
                    for (var turn = 0; turn < servers.Count; turn++)
                    {
                        progress.Begin($"{work.Name}, {connections} connections, {servers[turn].Name}");
                        var (server, cell, seed) = (servers[turn], row.Cells[turn], 1000 * (round + 1));
                        await Task.Run(() => MeasureTurn(server, cell, seed, cancellation), cancellation);
                        progress.Advance();
                    }
                }

                await MeasureDiskAsync(row, progress, cancellation);
                done(row);
            }
        }
    }

    private async Task ReadAllAsync(BenchServer server, CancellationToken cancellation)
    {
        var report = new RunReport();
        using var clients = new S3ClientPool(Target(server), report, TimeProvider.System, connections: 4);
        await Parallel.ForEachAsync(objects, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = cancellation }, async (item, token) =>
        {
            var check = new BodyCheck(item, 0, item.Size, withMd5: false);
            var head = await clients.UseAsync(client => client.SendAsync(new S3Request("GET", "GET", item.Key), check.ReadAsync, token), token);
            report.Check(head.Status == 200 && check.Wrong is null, () => $"{server.Name} warming {item.Key}: status {head.Status}, {check.Wrong}");
            var answer = await clients.SendAsync(new S3Request("HEAD", "HEAD", item.Key), token);
            report.Check(answer.Status == 200 && answer.Head.ContentLength == item.Size, () => $"{server.Name} HEAD {item.Key}: status {answer.Status}");
        });
        RunFailedException.Unless(report.FindingCount == 0, string.Join('\n', report.Findings));
        CheckedBytes += objects.Sum(item => item.Size);
    }

    private async Task MeasureDiskAsync(CompareRow row, RunProgress progress, CancellationToken cancellation)
    {
        if (Disk is not null && row.Work.RangeBytes > 0)
        {
            progress.Begin($"{row.Work.Name}, {row.Connections} connections, fio");
            row.DiskRequestsPerSecond.Add(await Disk.MeasureAsync(row.Work.RangeBytes, row.Connections, grid.Duration, cancellation));
        }
    }

    private void MeasureTurn(BenchServer server, CompareCell cell, int seed, CancellationToken cancellation)
    {
        var asked = origin.Requests;
        var plan = new LoadPlan(ObjectsOf(server, cell.Work), [cell.Work.Operation], cell.Work.RangeBytes);
        // The same seed for all servers: the same objects and offsets in the same order.
        var load = new LoadOptions(cell.Connections, grid.Threads, grid.Warmup, grid.Duration, seed) { TakesBodies = grid.TakesBodies };
        using var over = new CancellationTokenSource();
        var beside = grid.Beside == 0 ? null : Task.Factory.StartNew(() => ReadBeside(server, seed, over.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        LoadResult result;
        LoadResult? others;
        try
        {
            result = new LoadRun(Target(server), plan, load).Run(server.Processes, cancellation);
        }
        finally
        {
            over.Cancel();
            others = beside?.GetAwaiter().GetResult();
        }

        // Half a turn is no turn.
        cancellation.ThrowIfCancellationRequested();
        cell.Add(result, ProcessTree.ResidentBytes(server.Processes), origin.Requests - asked, others);
        Note($"{server.Name}, {cell.Work.Name}, {cell.Connections} connections", result);
        if (others is not null)
        {
            Note($"{server.Name}, beside {cell.Work.Name}, {grid.Beside} connections", others);
        }
    }

    /// <summary>Whole objects on connections of their own until told to end.</summary>
    private LoadResult ReadBeside(BenchServer server, int seed, CancellationToken over)
    {
        var load = new LoadOptions(grid.Beside, Threads: 1, TimeSpan.Zero, grid.Warmup + grid.Duration + TimeSpan.FromMinutes(1), seed) { TakesBodies = grid.TakesBodies };
        return new LoadRun(Target(server), new LoadPlan(objects, [LoadOperation.Get], RangeBytes: 0), load).Run([], over);
    }

    private void Note(string where, LoadResult result)
    {
        NoteWrong(where, result);
        if (result.Requests == 0)
        {
            FindingCount++;
            _findings.Add($"{where}: no answer in the measured time");
        }
    }

    private void NoteWrong(string where, LoadResult result)
    {
        CheckedBytes += result.CheckedBytes;
        FindingCount += result.FindingCount;
        _findings.AddRange(result.Findings.Take(20 - Math.Min(20, _findings.Count)).Select(finding => $"{where}: {finding}"));
    }
}
