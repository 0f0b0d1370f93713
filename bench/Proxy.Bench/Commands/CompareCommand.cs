using System.CommandLine;
using System.Net;
using Proxy.Bench.Compare;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench compare</c>: the serving path beside nginx and Varnish, all in front of one origin.</summary>
internal sealed class CompareCommand
{
    private const int ObjectBytes = 16 << 20;

    private readonly GridOptions _grid = new(1, 8, 32, 128);
    private readonly Option<bool> _quick = new("--quick") { Description = "32 connections, two rounds of a second: about a minute" };
    private readonly Option<string> _tier = new("--tier") { Description = "Where the bytes are: memory, or nvme (each server in a memory cgroup a tenth the size of the data; as root; Varnish is left out; fio before and after)", DefaultValueFactory = _ => "memory" };
    private readonly Option<string> _peers = new Option<string>("--peers") { Description = $"Peers to start: nginx,{NginxServer.NearName} (with send buffers of 256 KiB, as the proxy has for clients nearby),varnish or none", DefaultValueFactory = _ => "nginx,varnish" }.ListOf("nginx", NginxServer.NearName, "varnish", "none");
    private readonly Option<string> _works = new Option<string>("--work") { Description = "What is asked for: head,4k,64k,256k,1m,16m or all", DefaultValueFactory = _ => "all" }.ListOf([.. CompareWork.All.Select(ShortName), "all"]);
    private readonly Option<long?> _data = ByteSize.OptionOrDefault("--data-size", $"Objects' bytes in all, in objects of 16 MiB; default 256MiB, for nvme {ByteSize.Format(CompareSetup.DefaultDiskData)}");
    private readonly Option<long?> _memory = ByteSize.OptionOrDefault("--memory", "Of the proxy's memory tier and of Varnish; default twice the data, for nvme 64MiB");
    private readonly Option<string[]> _proxies = new("--proxy") { Description = "Another build beside or instead of this one, as NAME=PATH/Proxy.Server.dll; may be repeated", DefaultValueFactory = _ => [] };
    private readonly Option<string[]> _arguments = new("--proxy-argument") { Description = "Further argument of the proxy, as --proxy-argument=--set --proxy-argument=S3:DirectOutput=false", DefaultValueFactory = _ => [] };
    private readonly Option<DirectoryInfo?> _folder = new("--folder") { Description = "Where servers keep their data; default a temporary folder, removed at the end" };
    private readonly Option<bool> _ceiling = new("--ceiling") { Description = "Also a server that only sends from memory, once by send and once by sendfile: shows what the client can take" };

    public static Command Build()
    {
        var self = new CompareCommand();
        self._tier.AcceptOnlyFromAmong("memory", "nvme");
        self._proxies.Must(
            texts => texts.Select(text => text.Split('=', 2)[0]).ToList() is var names && names.TrueForAll(IsName) && names.Distinct(StringComparer.OrdinalIgnoreCase).Count() == names.Count,
            "given names of letters, digits, - and _, each once and none of them a peer's");
        self._proxies.Must(texts => texts.All(text => text.Split('=', 2) is [{ Length: > 0 }, var path] && File.Exists(path)), "NAME=PATH of a built Proxy.Server.dll");
        var command = new Command("compare", "Serve the same hot objects from this proxy, nginx and Varnish in front of one origin, in turn, and compare speed and CPU")
        {
            self._quick, self._tier, self._peers, self._works, self._data, self._memory, self._proxies, self._arguments, self._folder, self._ceiling,
        };
        self._grid.AddTo(command);
        command.SetAction((values, cancellation) => BenchRun.InFolderAsync(
            "compare", (folder, console) => self.RunAsync(values, folder, console, cancellation), cancellation, values.GetValue(self._folder)?.FullName));
        return command;
    }

    /// <summary>The child process behind <c>compare --ceiling</c>.</summary>
    public static Command Ceiling()
    {
        var port = new Option<int>("--port");
        var data = new Option<long>("--data-size");
        var copiesNothing = new Option<bool>("--sendfile");
        var command = new Command("ceiling", "Serve compare's objects from memory and do nothing else") { port, data, copiesNothing };
        command.Hidden = true;
        command.SetAction((values, cancellation) =>
        {
            new CeilingLoop(values.GetValue(port), Describe(values.GetValue(data)), values.GetValue(copiesNothing), cancellation).Run();
            return Task.FromResult(ExitCode.Good);
        });
        return command;
    }

    private async Task<int> RunAsync(ParseResult values, string folder, IAnsiConsole console, CancellationToken cancellation)
    {
        var tier = values.GetRequiredValue(_tier);
        var wanted = OptionRules.Words(values.GetRequiredValue(_works));
        var grid = _grid.Read(values, [.. CompareWork.All.Where(work => wanted.Contains("all") || wanted.Contains(ShortName(work)))], values.GetValue(_quick));
        var setup = ReadSetup(values, tier == "nvme");
        setup.Check(folder, console);
        var port = values.GetValue(_grid.Ports);
        Ports.RequireFree(port, setup.PortCount);

        var objects = Describe(setup.DataBytes);
        await using var origin = new StaticOrigin(new IPEndPoint(IPAddress.Loopback, port), CompareRun.Bucket, objects);
        await using var servers = await ServerGroup.StartAsync(setup.Make(origin.Address, folder, port + 1), setup.IsOnDisk ? setup.LimitBytes : null, console, cancellation);
        await using var watch = new ServerWatch(() => servers.Servers, cancellation);
        if (setup.IsOnDisk && !DiskReference.IsInstalled)
        {
            console.MarkupLine("[yellow]note[/] fio is not installed: what the disk itself gives is not measured (apt-get install fio)");
        }

        var disk = setup.IsOnDisk && DiskReference.IsInstalled ? await DiskReference.PrepareAsync(folder, setup.DataBytes, cancellation) : null;
        var run = new CompareRun(servers.Servers, objects, origin, grid) { Disk = disk };
        var title = $"{tier}-hot: {objects.Count} objects of 16 MiB, {grid.Rounds} turns of {grid.Duration.TotalSeconds:0.##} s each{(setup.IsOnDisk ? $", {setup.LimitBytes >> 20} MiB of memory each" : "")}";
        return await ExecuteAsync(values, _grid, run, new CompareReport(servers.Servers, run, grid, "compare", tier, title, BenchProgram.Line(values)), grid.Turns(servers.Servers.Count), console, watch);
    }

    /// <summary>Warms, measures and tells; of a run that is interrupted, what was measured until then.</summary>
    /// <exception cref="RunFailedException">A server ended; that too after what was measured is told.</exception>
    public static async Task<int> ExecuteAsync(
        ParseResult values, GridOptions options, CompareRun run, CompareReport report, int turns, IAnsiConsole console, ServerWatch watch)
    {
        // Drawn between the turns only: this process's own time is measured.
        var isWhole = await watch.RunAsync(token => RunProgress.ShowAsync(console, report.Command, turns, async progress =>
        {
            await run.WarmAsync(progress, token);
            await run.MeasureAsync(progress, row => progress.Line(CompareTable.Line(row)), token);
            return turns;
        }, drawsAlone: false));
        report.WasInterrupted = !isWhole;
        report.Show(console);
        await options.SaveAsync(values, report);
        watch.ThrowIfEnded();
        return report.WasInterrupted ? ExitCode.Interrupted : report.IsGood ? ExitCode.Good : ExitCode.Wrong;
    }

    private CompareSetup ReadSetup(ParseResult values, bool isOnDisk)
    {
        // Whole objects.
        var data = Math.Max(1, (values.GetValue(_data) ?? (isOnDisk ? CompareSetup.DefaultDiskData : 256 << 20)) / ObjectBytes) * ObjectBytes;
        var peers = OptionRules.Words(values.GetRequiredValue(_peers));
        var proxies = values.GetRequiredValue(_proxies).Select(text => text.Split('=', 2)).Select(pair => (pair[0], Path.GetFullPath(pair[1]))).ToList();
        return new CompareSetup(
            proxies.Count > 0 ? proxies : [("proxy", ProxyServer.FindAssembly())], values.GetRequiredValue(_arguments),
            WithNginx: peers.Contains("nginx"), WithNearNginx: peers.Contains(NginxServer.NearName), WithVarnish: peers.Contains("varnish") && !isOnDisk, values.GetValue(_ceiling),
            values.GetValue(_memory) ?? (isOnDisk ? 64L << 20 : 2 * data), data, isOnDisk);
    }

    private static IReadOnlyList<DatasetObject> Describe(long bytes)
        => [.. Enumerable.Range(0, (int)Math.Max(1, bytes / ObjectBytes)).Select(index =>
        {
            // Index slices: Milvus's own write-once prefix, which the proxy need not revalidate.
            var key = $"files/index_files/450000000007/1/1002/450000000000/HNSW_{index}";
            return new DatasetObject(key, ObjectBytes, ObjectKind.IndexSlice, new Content(1, key));
        })];

    /// <summary>Of a proxy: its folder is called so, its memory cgroup, and its rows.</summary>
    private static bool IsName(string name)
        => name.Length > 0 && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_')
            && !((string[])["nginx", NginxServer.NearName, "varnish", "ceiling", "sendfile"]).Contains(name, StringComparer.OrdinalIgnoreCase);

    private static string ShortName(CompareWork work) => work.Name.Replace(" KiB", "k", StringComparison.Ordinal).Replace(" MiB", "m", StringComparison.Ordinal).ToLowerInvariant();
}
