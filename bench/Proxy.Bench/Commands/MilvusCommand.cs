using System.CommandLine;
using System.Globalization;
using System.Net.Sockets;
using Proxy.Bench.Http;
using Proxy.Bench.Milvus;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench milvus</c>: the workloads W1 to W10 on several endpoints in one run.</summary>
internal sealed class MilvusCommand
{
    // What Cache:Memory:CapacityBytes and Cache:Nvme:CapacityBytes take at least.
    private const long LeastMemoryBytes = 16 << 20;
    private const long LeastNvmeBytes = 64 << 20;

    private readonly StackOptions _stack = new();
    private readonly EndpointOptions _endpoints = new();
    private readonly Option<string> _profile = StackOptions.Profile("minio-like");
    private readonly Option<string> _work = new Option<string>("--work") { Description = "W1,W2,… or all", DefaultValueFactory = _ => "all" }.ListOf([.. MilvusWorkload.All.Select(workload => workload.Name), "all"]);
    private readonly Option<string> _peer = new("--peer") { Description = "Also a peer that the bench starts: nginx (proxy_cache + slice before a backend of the same profile), or none", DefaultValueFactory = _ => "none" };
    private readonly Option<int> _rounds = new Option<int>("--rounds") { Description = "Turns of every endpoint in every workload, in alternating order (A B C, C B A); figures are their medians", DefaultValueFactory = _ => 1 }.AtLeast(1);
    private readonly Option<double> _warmup = new Option<double>("--warmup") { Description = "Seconds of every workload's own requests, on other objects, before it is measured on an endpoint; 0 is none", DefaultValueFactory = _ => 3 }.AtLeast(0);
    private readonly Option<string> _body = new("--body") { Description = "How uploads of Milvus's C++ side are signed: 2.6 (SHA-256 of the body), or 3.0 (unsigned, CRC-64/NVME behind it)", DefaultValueFactory = _ => "2.6" };
    private readonly Option<long?> _walBlock = ByteSize.OptionOrDefault("--wal-block", "Size of W1's blocks: 4KiB is a light load, 256KiB, 2MiB a heavy one; default by scale").Must(bytes => bytes is null or <= 16 << 20, "16MiB or less");
    private readonly Option<long?> _segment = ByteSize.OptionOrDefault("--segment-size", "Bytes of vectors in a segment, as 256MiB; its index is as large again. Default by scale (S and M 1GiB): less needs less disk").Must(bytes => bytes is null or >= 1 << 20, "1MiB or more");
    private readonly Option<string?> _shares = new Option<string?>("--cache-share") { Description = "W7 once for each of these cache sizes, in percent of the data it reads, as 10,25,50; the proxy or peer is started anew for each. Default: the run's own size" }
        .Must(list => list is null || Shares(list).All(share => share is >= 1 and <= 1000), "percents, as 10,25,50");
    private readonly Option<bool> _oneStore = new("--one-store") { Description = "All endpoints in front of one store: a half or a third of the disk, for scale M (what one writes the others overwrite)" };
    private readonly Option<FileInfo?> _html = OutputFiles.Html();
    private readonly Option<DirectoryInfo?> _png = OutputFiles.Png();

    public static Command Build()
    {
        var self = new MilvusCommand();
        var command = new Command("milvus", "Run Milvus's ten workloads against endpoints in turn; every byte is compared");
        self._stack.AddTo(command);
        self._endpoints.AddTo(command);
        self._peer.AcceptOnlyFromAmong("none", "nginx");
        self._body.AcceptOnlyFromAmong("2.6", "3.0");
        Option[] options =
        [
            self._profile, self._work, self._peer, self._rounds, self._warmup, self._body, self._walBlock, self._segment, self._shares, self._oneStore, self._html, self._png,
        ];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        command.SetAction((values, cancellation) => BenchRun.InFolderAsync("milvus", (folder, console) => self.RunAsync(values, folder, console, cancellation), cancellation));
        return command;
    }

    private async Task<int> RunAsync(ParseResult values, string folder, IAnsiConsole console, CancellationToken cancellation)
    {
        var plan = ReadPlan(values);
        var endpoints = _endpoints.Read(values);
        RunFailedException.Unless(
            endpoints.Count == 0 || (values.GetRequiredValue(_peer) == "none" && !values.GetValue(_oneStore) && plan.CacheShares.Count == 0),
            "--peer, --one-store and --cache-share are for the servers that the bench starts itself, not for --endpoint");
        await using var stack = endpoints.Count == 0 ? await StartAsync(values, folder, cancellation) : null;
        endpoints = stack?.Endpoints ?? endpoints;
        await using var watch = new ServerWatch(() => stack?.Servers ?? [], cancellation);
        var begun = new List<EndpointCheck>();
        try
        {
            foreach (var endpoint in endpoints)
            {
                var check = new EndpointCheck(endpoint, plan.Root);
                await check.BeginAsync(cancellation);
                begun.Add(check);
            }

            IReadOnlyList<string> setup = [.. Setup(values, endpoints), .. Conditions(plan)];
            foreach (var line in setup)
            {
                console.WriteLine(line);
            }

            return await RunAsync(new MilvusRun(endpoints, plan), values, setup, console, watch);
        }
        finally
        {
            if (stack is null)
            {
                await RemoveAsync(begun);
            }
        }
    }

    private async Task<int> RunAsync(MilvusRun run, ParseResult values, IReadOnlyList<string> setup, IAnsiConsole console, ServerWatch watch)
    {
        var (command, json) = (BenchProgram.Line(values), values.GetValue(_stack.Json));

        // The rounds until an interruption or a server's end are told all the same.
        var wasInterrupted = !await watch.RunAsync(token => RunProgress.ShowAsync(console, "milvus", run.Steps, async progress =>
        {
            await run.RunAsync(progress, () => json is null ? Task.CompletedTask : new MilvusReport(run.Results, command, setup).SaveJsonAsync(json, isComplete: false), token);
            return run.Steps;
        }));
        var results = run.Results;
        var report = new MilvusReport(results, command, setup);
        report.Show(console, wasInterrupted);
        if (json is not null)
        {
            await report.SaveJsonAsync(json, isComplete: !wasInterrupted);
        }

        await OutputFiles.SaveAsync(() => MilvusPage.Of(results, command, setup), values.GetValue(_html), values.GetValue(_png));
        watch.ThrowIfEnded();
        return wasInterrupted ? ExitCode.Interrupted : report.IsGood ? ExitCode.Good : ExitCode.Wrong;
    }

    private async Task<BenchStack> StartAsync(ParseResult values, string folder, CancellationToken cancellation)
    {
        var withNginx = values.GetRequiredValue(_peer) == "nginx";
        RunFailedException.Unless(!withNginx || ChildProcess.Exists("nginx"), "nginx is not installed: apt-get install nginx-light, or --peer none");
        Ports.RequireFree(values.GetValue(_stack.Ports), withNginx ? Ports.OfAStackWithNginx : Ports.OfAStack);
        return await BenchStack.StartAsync(
            _stack.Assembly(values), BackendProfile.Find(values.GetRequiredValue(_profile)), values.GetRequiredValue(_stack.Memory), values.GetRequiredValue(_stack.Nvme), folder,
            values.GetValue(_stack.Ports), cancellation,
            new StackChoice(values.GetValue(_oneStore), withNginx, _endpoints.Bucket(values), _endpoints.Root(values)));
    }

    private MilvusPlan ReadPlan(ParseResult values)
    {
        var names = OptionRules.Words(values.GetRequiredValue(_work));
        var scale = MilvusScale.Find(values.GetRequiredValue(_stack.Scale));
        scale = scale with
        {
            SegmentBytes = values.GetValue(_segment) ?? scale.SegmentBytes,
            CompactedBytes = Math.Min(scale.CompactedBytes, values.GetValue(_segment) ?? long.MaxValue),
            WalBlockBytes = (int)(values.GetValue(_walBlock) ?? scale.WalBlockBytes),
        };
        var shares = Shares(values.GetValue(_shares) ?? "").Distinct().ToList();
        var leastCache = values.GetRequiredValue(_stack.Nvme) == 0 ? LeastMemoryBytes : LeastNvmeBytes;
        foreach (var share in shares)
        {
            var cache = MilvusDataset.LeastWideBytes(scale.SegmentBytes) * scale.Segments * share / 100;
            RunFailedException.Unless(cache >= leastCache, $"--cache-share {share}: of {scale.Segments} x {ByteSize.Format(scale.SegmentBytes)} that is {cache >> 20} MiB, and the proxy takes {leastCache >> 20} MiB or more: a larger --segment-size");
        }

        return new MilvusPlan(
            scale, [.. MilvusWorkload.All.Where(workload => names.Contains("all") || names.Contains(workload.Name.ToLowerInvariant()))], _endpoints.Root(values),
            values.GetValue(_rounds), TimeSpan.FromSeconds(values.GetValue(_warmup)), values.GetRequiredValue(_body) == "3.0" ? PayloadSigning.Trailer : null, shares);
    }

    /// <summary>Percents; what is no number is 0.</summary>
    private static IEnumerable<int> Shares(string list)
        => OptionRules.Words(list).Select(word => int.TryParse(word.TrimEnd('%'), NumberStyles.None, CultureInfo.InvariantCulture, out var share) ? share : 0);

    private IEnumerable<string> Setup(ParseResult values, IReadOnlyList<MilvusEndpoint> endpoints)
    {
        foreach (var endpoint in endpoints)
        {
            yield return endpoint switch
            {
                { Backend: null } => $"{endpoint.Name}: {endpoint.Target.Endpoint}, {(endpoint.IsDirect ? "itself the backend" : endpoint.Origin is { } origin ? $"in front of {origin.Endpoint}" : "origin not known: what it loads it may have seen")}",
                { Cache: null } => $"{endpoint.Name}: local store behind {endpoint.Backend.Profile}",
                _ => $"{endpoint.Name}: {endpoint.Cache.Current.Description}, {(values.GetValue(_oneStore) ? "the same store" : "another local store")} behind the same profile",
            };
        }
    }

    private static IEnumerable<string> Conditions(MilvusPlan plan)
    {
        yield return $"scale {plan.Scale.Name}: {plan.Scale.Segments} segment{(plan.Scale.Segments == 1 ? "" : "s")} of {plan.Scale.SegmentBytes >> 20} MiB of vectors and an index as large; WAL blocks of {plan.Scale.WalBlockBytes >> 10} KiB; C++ uploads as Milvus {(plan.Signing is null ? "2.6" : "3.0")} signs them";
        yield return plan.WarmUpTime > TimeSpan.Zero
            ? $"before its first turn in a workload every endpoint is asked for that workload's requests, on other objects, for {plan.WarmUpTime.TotalSeconds:0.#} s: not measured"
            : "no warm-up: short workloads measure the compilers of client, server and backend too";
        yield return $"{plan.Rounds} round{(plan.Rounds > 1 ? "s in alternating order, medians" : "")}; CPU seconds are of this client, of what is between it and the backend, and of the backend with its relay, from /proc";
        if (plan.CacheShares.Count > 0)
        {
            yield return $"W7 with caches of {string.Join(", ", plan.CacheShares)} % of the data it reads, each started anew, warmed up, and asked for a quarter as many cells before it is measured";
        }
    }

    /// <summary>After a run on somebody's own endpoints, an interrupted one too; with a minute at most.</summary>
    private static async Task RemoveAsync(List<EndpointCheck> begun)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(50));
        foreach (var check in begun)
        {
            try
            {
                await check.EndAsync(limit.Token);
            }
            catch (Exception error) when (error is RunFailedException or IOException or SocketException or OperationCanceledException)
            {
                await Console.Error.WriteLineAsync($"milvus: not everything it wrote could be removed: {error.Message}");
            }
        }
    }
}
