using System.CommandLine;
using System.Globalization;
using System.Net;
using Proxy.Bench.Compare;
using Proxy.Bench.Http;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench compare</c>: the serving path beside nginx and Varnish.</summary>
internal sealed class CompareCommand
{
    private const int ObjectBytes = 16 << 20;

    private readonly Option<bool> _quick = new("--quick") { Description = "32 connections, two rounds of a second: about a minute" };
    private readonly Option<string> _tier = new("--tier") { Description = "Where the proxy's bytes are: memory, or nvme (each server in a memory cgroup a tenth the size of the data; root; Varnish is left out)", DefaultValueFactory = _ => "memory" };
    private readonly Option<string> _peers = new("--peers") { Description = "Peers to start: nginx,varnish or none", DefaultValueFactory = _ => "nginx,varnish" };
    private readonly Option<string> _works = new("--work") { Description = "Rows: head,4k,64k,256k,1m,16m or all", DefaultValueFactory = _ => "all" };
    private readonly Option<int[]> _connections = new("--connections") { Description = "Columns", DefaultValueFactory = _ => [1, 8, 32, 128], AllowMultipleArgumentsPerToken = true };
    private readonly Option<int?> _rounds = new("--rounds") { Description = "Turns of every server in every cell; default 3" };
    private readonly Option<double?> _seconds = new("--seconds") { Description = "Measured time of a turn; default 3" };
    private readonly Option<double?> _warmup = new("--warmup") { Description = "Not counted before it; default 0.5" };
    private readonly Option<int> _threads = new("--threads") { Description = "Client threads", DefaultValueFactory = _ => Math.Min(2, Environment.ProcessorCount) };
    private readonly Option<long> _data = ByteSize.Option("--data-size", "Objects' bytes in all, in objects of 16 MiB", 256 << 20);
    private readonly Option<long?> _memory = new("--memory") { Description = "Bytes of memory for the proxy and Varnish; default twice the data, or 64 MiB for nvme" };
    private readonly Option<string[]> _proxies = new("--proxy") { Description = "Another build beside or instead of this one, as NAME=PATH/Proxy.Server.dll; may be repeated", DefaultValueFactory = _ => [] };
    private readonly Option<string[]> _arguments = new("--proxy-argument") { Description = "Further argument of the proxy, as --proxy-argument=--set --proxy-argument=S3:DirectOutput=false", DefaultValueFactory = _ => [] };
    private readonly Option<int> _ports = new("--ports") { Description = "First of the ports to listen on, on 127.0.0.1", DefaultValueFactory = _ => 19900 };
    private readonly Option<DirectoryInfo?> _folder = new("--folder") { Description = "Where servers keep their data; default a temporary folder, removed at the end" };
    private readonly Option<bool> _ceiling = new("--ceiling") { Description = "Also a server that only sends from memory: shows what the client can take" };
    private readonly Option<FileInfo?> _json = new("--json") { Description = "Also write the result to this file" };
    private readonly Option<FileInfo?> _csv = new("--csv") { Description = "Also write the cells to this file" };

    public static Command Build()
    {
        var self = new CompareCommand();
        self._tier.AcceptOnlyFromAmong("memory", "nvme");
        var command = new Command("compare", "Serve the same hot objects from this proxy, nginx and Varnish, in turn, and compare speed and CPU")
        {
            self._quick, self._tier, self._peers, self._works, self._connections, self._rounds, self._seconds, self._warmup, self._threads, self._data,
            self._memory, self._proxies, self._arguments, self._ports, self._folder, self._ceiling, self._json, self._csv,
        };
        command.SetAction((values, cancellation) => BenchRun.InFolderAsync(
            "compare", (folder, console) => self.RunAsync(values, folder, console, cancellation), cancellation, values.GetValue(self._folder)?.FullName));
        return command;
    }

    /// <summary>The child process behind <c>compare --ceiling</c>.</summary>
    public static Command Ceiling()
    {
        var port = new Option<int>("--port");
        var data = new Option<long>("--data-size");
        var command = new Command("ceiling", "Serve compare's objects from memory and do nothing else") { port, data };
        command.Hidden = true;
        command.SetAction((values, cancellation) =>
        {
            new CeilingLoop(values.GetValue(port), Describe(values.GetValue(data)), cancellation).Run();
            return Task.FromResult(ExitCode.Good);
        });
        return command;
    }

    private async Task<int> RunAsync(ParseResult values, string folder, IAnsiConsole console, CancellationToken cancellation)
    {
        var options = ReadOptions(values);
        var tier = values.GetRequiredValue(_tier);
        var objects = Describe(values.GetRequiredValue(_data));
        var port = values.GetValue(_ports);
        await using var origin = new StaticOrigin(new IPEndPoint(IPAddress.Loopback, port++), CompareRun.Bucket, objects);
        var servers = new List<BenchServer>();
        var limits = new List<MemoryLimit>();
        try
        {
            servers.AddRange(MakeServers(values, folder, tier, objects, origin, port));
            foreach (var server in servers)
            {
                await server.StartAsync(cancellation);
                console.WriteLine($"{server.Name} on {server.Listen}: {server.Description}");
                if (tier == "nvme" && server is not CeilingServer)
                {
                    var limit = MemoryLimit.TryCreate(server.Name, MemoryOfEach(objects), out var why);
                    RunFailedException.Unless(limit is not null, $"--tier nvme limits every server's memory, page cache included, and {why}: run it as root");
                    limits.Add(limit!);
                    limit!.Hold(server);
                    console.WriteLine($"{server.Name} has {MemoryOfEach(objects) >> 20} MiB of memory, page cache included");
                }
            }

            foreach (var proxy in servers.OfType<ProxyServer>())
            {
                await WriteAsync(proxy, objects, cancellation);
            }

            var run = new CompareRun(servers, objects, origin, options);
            await run.WarmAsync(server => console.WriteLine($"{server.Name} holds {objects.Count} objects, {objects.Sum(item => item.Size) >> 20} MiB, every byte compared"), cancellation);
            var cells = await Task.Run(() => run.Measure(cell => Tell(console, cell), cancellation), cancellation);
            var report = new CompareReport(servers, cells, tier, options);
            report.Show(console);
            await report.SaveAsync(values.GetValue(_json), values.GetValue(_csv), "proxy-bench " + string.Join(' ', values.Tokens.Select(token => token.Value)), run, cancellation);
            foreach (var finding in run.Findings)
            {
                console.MarkupLineInterpolated($"[red]WRONG[/] {finding}");
            }

            console.WriteLine($"compare: {(run.FindingCount == 0 ? "good" : "NOT GOOD")}: {run.CheckedBytes >> 20} MiB compared byte for byte, every status and length checked, {run.FindingCount} wrong");
            return run.FindingCount == 0 ? ExitCode.Good : ExitCode.Wrong;
        }
        finally
        {
            foreach (var server in servers)
            {
                await server.DisposeAsync();
            }

            limits.ForEach(limit => limit.Dispose());
        }
    }

    /// <summary>A tenth of the data, and room for a server's own code and buffers.</summary>
    private static long MemoryOfEach(IReadOnlyList<DatasetObject> objects) => Math.Max(320L << 20, objects.Sum(item => item.Size) / 10);

    private CompareGrid ReadOptions(ParseResult values)
    {
        var isQuick = values.GetValue(_quick);
        var wanted = values.GetRequiredValue(_works).Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var works = CompareWork.All.Where(work => wanted.Contains("all") || wanted.Contains(ShortName(work), StringComparer.OrdinalIgnoreCase)).ToList();
        RunFailedException.Unless(works.Count > 0, "--work wants some of head,4k,64k,256k,1m,16m, or all");
        var connections = values.GetResult(_connections) is { Implicit: false } ? values.GetRequiredValue(_connections) : isQuick ? [32] : values.GetRequiredValue(_connections);
        return new CompareGrid(
            works, connections, values.GetValue(_rounds) ?? (isQuick ? 2 : 3),
            TimeSpan.FromSeconds(values.GetValue(_warmup) ?? (isQuick ? 0.3 : 0.5)), TimeSpan.FromSeconds(values.GetValue(_seconds) ?? (isQuick ? 1 : 3)), values.GetValue(_threads));
    }

    private IEnumerable<BenchServer> MakeServers(
        ParseResult values, string folder, string tier, IReadOnlyList<DatasetObject> objects, StaticOrigin origin, int port)
    {
        var isNvme = tier == "nvme";
        var bytes = objects.Sum(item => item.Size);
        var memory = values.GetValue(_memory) ?? (isNvme ? 64L << 20 : 2 * bytes);
        var named = values.GetRequiredValue(_proxies).Select(text => text.Split('=', 2)).ToList();
        RunFailedException.Unless(named.TrueForAll(pair => pair.Length == 2 && File.Exists(pair[1])), "--proxy wants NAME=PATH of a built Proxy.Server.dll");
        if (named.Count == 0)
        {
            named.Add(["proxy", ProxyServer.FindAssembly()]);
        }

        foreach (var pair in named)
        {
            var nvme = isNvme ? string.Create(CultureInfo.InvariantCulture, $"{(2 * bytes) >> 20}MiB") : "0";
            var setup = new ProxySetup(Path.GetFullPath(pair[1]), memory, nvme, null, values.GetRequiredValue(_arguments));
            yield return new ProxyServer(pair[0], At(port++), At(port++), Path.Combine(folder, pair[0]), setup);
        }

        var peers = values.GetRequiredValue(_peers).Split(',', StringSplitOptions.TrimEntries);
        if (peers.Contains("nginx"))
        {
            RunFailedException.Unless(ChildProcess.Exists("nginx"), "nginx is not installed: apt-get install nginx-light, or --peers varnish");
            yield return new NginxServer(At(port++), origin.Address, Path.Combine(folder, "nginx"), isDiskBound: isNvme);
        }

        if (peers.Contains("varnish") && !isNvme)
        {
            RunFailedException.Unless(ChildProcess.Exists("varnishd"), "varnishd is not installed: apt-get install varnish, or --peers nginx");
            yield return new VarnishServer(At(port++), origin.Address, Path.Combine(folder, "varnish"), memory);
        }

        if (values.GetValue(_ceiling))
        {
            yield return new CeilingServer(At(port), bytes);
        }
    }

    private static IReadOnlyList<DatasetObject> Describe(long bytes)
        => [.. Enumerable.Range(0, (int)Math.Max(1, bytes / ObjectBytes)).Select(index =>
        {
            // Index slices: Milvus's own write-once prefix, which the proxy need not revalidate.
            var key = $"files/index_files/450000000007/1/1002/450000000000/HNSW_{index}";
            return new DatasetObject(key, ObjectBytes, ObjectKind.IndexSlice, new Content(1, key));
        })];

    /// <summary>The proxy's copy of the objects comes in as Milvus's would: by signed PUTs.</summary>
    private static async Task WriteAsync(ProxyServer proxy, IReadOnlyList<DatasetObject> objects, CancellationToken cancellation)
    {
        var report = new RunReport();
        using var clients = new S3ClientPool(CompareRun.Target(proxy), report, TimeProvider.System, connections: 4);
        await new DatasetWriter(clients, report, EtagRule.Md5, null).WriteAsync(objects, 4, _ => { }, cancellation);
        RunFailedException.Unless(report.FindingCount == 0, string.Join('\n', report.Findings));
    }

    private static void Tell(IAnsiConsole console, CompareCell cell)
        => console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"  {cell.Work.Name,-8} {cell.Connections,4} {cell.Server,-10} {cell.RequestsPerSecond,9:0} req/s  server {cell.ServerMicroseconds,7:0.0} µs  client {cell.ClientMicroseconds,7:0.0} µs  capacity {cell.Capacity,9:0}  p99 {cell.Milliseconds(99),8:0.000} ms  others {cell.ForeignCores:0.00}"));

    private static string ShortName(CompareWork work) => work.Name.Replace(" KiB", "k", StringComparison.Ordinal).Replace(" MiB", "m", StringComparison.Ordinal).ToLowerInvariant();

    private static IPEndPoint At(int port) => new(IPAddress.Loopback, port);
}
