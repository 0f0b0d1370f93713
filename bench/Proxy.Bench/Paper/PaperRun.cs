using System.Diagnostics;
using System.Globalization;
using Proxy.Bench.Http;
using Proxy.Bench.Milvus;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Paper;

/// <param name="Assembly">Proxy.Server.dll.</param>
/// <param name="NvmeBytes">0 for no NVMe tier.</param>
/// <param name="Warmup">Of each endpoint, before either of a pair is measured.</param>
internal sealed record PaperPlan(
    string Assembly, long MemoryBytes, long NvmeBytes, MilvusScale Scale, IReadOnlyList<BackendProfile> Profiles, int Rounds, TimeSpan Warmup, int FirstPort)
{
    /// <summary>Endpoints warmed and measured in all.</summary>
    public int Steps => Rounds * Profiles.Count * 4;
}

/// <summary>Measures every kind of backend without and with the proxy, round by round, each time from empty stores.</summary>
internal sealed class PaperRun(PaperPlan plan)
{
    public const string RandomRead = "random read";

    private const string Root = "files";    // minio.rootPath, as Milvus and the proxy's rules have it by default
    private const int RandomReadCount = 400;
    private const int RandomReadBytes = 64 << 10;
    private const long WarmBytes = 24 << 20;

    /// <summary>Segments from here on are other objects than those that are inserted.</summary>
    private const int FirstLoadedSegment = 1_000;

    /// <summary>Segments from here on are other objects than those that are measured.</summary>
    private const int FirstWarmSegment = 10_000;

    /// <summary>In the order of the profiles, directly and then through the proxy.</summary>
    public IReadOnlyList<PaperColumn> Columns { get; } = [.. plan.Profiles.SelectMany(profile => (PaperColumn[])[new(profile, false), new(profile, true)])];

    /// <exception cref="RunFailedException">A server ended in the middle of it; the rounds before stay.</exception>
    public async Task RunAsync(string folder, RunProgress progress, CancellationToken cancellation)
    {
        for (var round = 0; round < plan.Rounds; round++)
        {
            foreach (var profile in plan.Profiles)
            {
                var place = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{profile.Name}-{round + 1}"));
                try
                {
                    await RunAsync(profile, round, place, progress, cancellation);
                }
                finally
                {
                    Directory.Delete(place, recursive: true);
                }
            }
        }
    }

    private async Task RunAsync(BackendProfile profile, int round, string place, RunProgress progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(place);
        await using var stack = await BenchStack.StartAsync(plan.Assembly, profile, plan.MemoryBytes, plan.NvmeBytes, place, plan.FirstPort, cancellation);
        await using var watch = new ServerWatch(() => stack.Servers, cancellation);
        if (!await watch.RunAsync(token => MeasureAsync(stack, profile, round, place, progress, token)))
        {
            watch.ThrowIfEnded();
            cancellation.ThrowIfCancellationRequested();
        }
    }

    private async Task MeasureAsync(BenchStack stack, BackendProfile profile, int round, string place, RunProgress progress, CancellationToken cancellation)
    {
        foreach (var endpoint in (MilvusEndpoint[])[stack.Direct, stack.Proxied])
        {
            progress.Begin($"round {round + 1}, {profile.Name}, {endpoint.Name}: warming");
            await WarmAsync(endpoint, cancellation);
            progress.Advance();
        }

        // Who comes first alternates: what the machine does at the time meets both.
        foreach (var endpoint in round % 2 == 0 ? (MilvusEndpoint[])[stack.Direct, stack.Proxied] : [stack.Proxied, stack.Direct])
        {
            progress.Begin($"round {round + 1}, {profile.Name}, {endpoint.Name}");
            var report = new RunReport();
            using var context = new MilvusContext(endpoint, plan.Scale, Root, report, connections: 32);
            await MeasureAsync(context, cancellation);
            var isProxied = endpoint.Proxy is not null;
            context.Figures["stored MiB"] = await DiskUseAsync(Path.Combine(place, isProxied ? "behind" : "direct"), cancellation);
            context.Figures["cache on disk MiB"] = isProxied ? await DiskUseAsync(endpoint.Proxy!.Folder, cancellation) : 0;
            var column = Columns.First(column => column.Profile == profile && column.IsProxied == isProxied);
            column.Add(context.Figures, report);
            progress.Line($"  round {round + 1}, {column.Name}: {report.Checks} checks, {report.FindingCount} wrong");
            progress.Advance();
        }
    }

    /// <summary>Does all that is measured with objects of its own, until the servers' code is compiled as hot as it will be; then they are deleted.</summary>
    private async Task WarmAsync(MilvusEndpoint endpoint, CancellationToken cancellation)
    {
        var report = new RunReport();
        using var context = new MilvusContext(endpoint, plan.Scale, Root, report, connections: 32);
        var started = Stopwatch.GetTimestamp();
        for (var segment = FirstWarmSegment; segment == FirstWarmSegment || Stopwatch.GetElapsedTime(started) < plan.Warmup; segment += 2)
        {
            var written = MilvusDataset.Describe(Root, WarmBytes, segments: 1, seed: 7, first: segment);
            var unseen = MilvusDataset.Describe(Root, WarmBytes, segments: 1, seed: 7, first: segment + 1);
            await context.WriteAsync(written, 16, cancellation);
            await context.WriteAsync(unseen, 8, cancellation, endpoint.Origin);
            for (var load = 0; load < 2; load++)
            {
                await context.LoadAsync(written, 16, cancellation);
                await context.LoadAsync(unseen, 16, cancellation);
            }

            await ReadAtRandomAsync(context, unseen, cancellation);
            foreach (var item in written.Concat(unseen))
            {
                var answer = await context.Clients.SendAsync(new S3Request("DELETE", "DELETE", item.Key), cancellation);
                report.Check(answer.Status == 204, () => $"DELETE {item.Key}: status {answer.Status}");
            }
        }

        RunFailedException.Unless(report.FindingCount == 0, $"{endpoint.Name} while it was warmed: {string.Join("; ", report.Findings)}");
    }

    private async Task MeasureAsync(MilvusContext context, CancellationToken cancellation)
    {
        var inserts = context.Segments.Where(item => item.Kind is ObjectKind.InsertLog or ObjectKind.StatsLog or ObjectKind.DeltaLog).ToList();
        await context.MeasureAsync("insert", () => context.WriteAsync(inserts, 16, cancellation));
        context.Figures["insert MiB/s"] = inserts.Sum(item => item.Size) / (double)(1 << 20) / context.Figures["insert s"];
        var before = Bytes(context);
        await WriteWorkloads.IndexBuildAsync(context, cancellation);
        context.Figures["index build GiB I/O"] = (Bytes(context) - before) / (double)(1L << 30);

        // Loads are of segments the endpoint has not seen: others than it was given, which go, and written to its backend behind its back.
        await context.RemoveAsync(inserts.Select(item => item.Key), cancellation);
        await context.PutSegmentsAsync(MilvusDataset.Describe(Root, plan.Scale.Bytes, plan.Scale.Segments, seed: 7, first: FirstLoadedSegment), cancellation);
        await context.MeasureAsync("cold load", () => context.LoadAsync(context.Segments, 16, cancellation));
        await context.MeasureAsync("warm load", () => context.LoadAsync(context.Segments, 16, cancellation));

        await ReadAtRandomAsync(context, context.Segments, cancellation);
        var reads = context.Report.Operations[RandomRead];
        context.Figures["random read p50 ms"] = reads.MillisecondsAt(50);
        context.Figures["random read p99 ms"] = reads.MillisecondsAt(99);
    }

    /// <summary>Search-time reads: one at a time, as a query waits for them, of index slices that were loaded.</summary>
    private static async Task ReadAtRandomAsync(MilvusContext context, IReadOnlyList<DatasetObject> objects, CancellationToken cancellation)
    {
        var slices = objects.Where(item => item.Kind == ObjectKind.IndexSlice).ToList();
        var random = new Random(5);
        for (var i = 0; i < RandomReadCount; i++)
        {
            var item = slices[random.Next(slices.Count)];
            var start = random.NextInt64(Math.Max(1, item.Size - RandomReadBytes));
            await context.RangeAsync(item, start, RandomReadBytes, cancellation, RandomRead);
        }
    }

    private static long Bytes(MilvusContext context) => context.Report.Operations.Values.Sum(operation => operation.Bytes);

    /// <summary>What a folder takes on its disk, in MiB, by du: lengths would count what is reserved and not written, or written sparsely.</summary>
    private static async Task<double> DiskUseAsync(string folder, CancellationToken cancellation)
    {
        await using var du = ChildProcess.Start("du", ["-sk", folder], folder);
        var code = await du.WaitAsync(cancellation);
        var words = du.Output.Split('\t');
        RunFailedException.Unless(code == 0 && long.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out _), $"du of {folder} answered {code}: {du.Output}");
        return long.Parse(words[0], CultureInfo.InvariantCulture) / 1024.0;
    }
}
