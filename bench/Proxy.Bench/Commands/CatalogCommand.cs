using System.CommandLine;
using System.Globalization;
using System.Net;
using Proxy.Bench.Compare;
using Proxy.Bench.Load;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench catalog</c>: what a hot request costs a proxy that knows a thousand objects, and one that knows a million.</summary>
internal sealed class CatalogCommand
{
    private const int HotObjects = 8;

    /// <summary>Entries of one proxy that HEADs are spread over, evenly: more would only make the client slower.</summary>
    private const int MostAsked = 100_000;

    private static readonly CompareWork[] Works = [new("4 KiB", LoadOperation.Range, 4 << 10), new("any HEAD", LoadOperation.Head, 0)];

    private readonly GridOptions _grid = new(32);
    private readonly Option<string> _entries = new("--entries")
    {
        Description = "Objects in the catalogs, a proxy for each; 10000000 takes 10 GiB of memory and an hour to fill",
        DefaultValueFactory = _ => "1000,100000,1000000",
    };

    private readonly Option<string?> _proxy = new("--proxy") { Description = "Proxy.Server.dll to measure; default the one built beside this bench" };

    public static Command Build()
    {
        var self = new CatalogCommand();
        self._entries.Must(
            text => OptionRules.Words(text) is { Count: > 0 } words && words.All(word => int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0),
            "numbers above 0, as 1000,1000000");
        self._proxy.Must(path => path is null || File.Exists(path), "a built Proxy.Server.dll");
        var command = new Command("catalog", "Hot reads and HEADs of proxies whose catalogs hold 10^3, 10^5 and 10^6 objects, in turn: a request's cost must not follow their number")
        {
            self._entries, self._proxy,
        };
        self._grid.AddTo(command);
        command.SetAction((values, cancellation) => BenchRun.InFolderAsync("catalog", (folder, console) => self.RunAsync(values, folder, console, cancellation), cancellation));
        return command;
    }

    private async Task<int> RunAsync(ParseResult values, string folder, IAnsiConsole console, CancellationToken cancellation)
    {
        var sizes = OptionRules.Words(values.GetRequiredValue(_entries)).Select(word => int.Parse(word, CultureInfo.InvariantCulture)).Distinct().ToList();
        var grid = _grid.Read(values, Works, isQuick: false);
        var port = values.GetValue(_grid.Ports);
        Ports.RequireFree(port, 1 + (2 * sizes.Count));
        var assembly = values.GetValue(_proxy) is { } path ? Path.GetFullPath(path) : ProxyServer.FindAssembly();
        var hot = Enumerable.Range(0, HotObjects).Select(number => CatalogFill.Object($"files/index_files/440000000007/1/1002/440000000000/HNSW_{number}")).ToList();

        await using var origin = new StaticOrigin(new IPEndPoint(IPAddress.Loopback, port++), CompareRun.Bucket, CatalogFill.Object);
        var servers = new List<BenchServer>();
        foreach (var size in sizes)
        {
            var name = size.ToString(CultureInfo.InvariantCulture);
            servers.Add(new ProxyServer(
                name, new IPEndPoint(IPAddress.Loopback, port++), new IPEndPoint(IPAddress.Loopback, port++), Path.Combine(folder, name),
                CatalogFill.Setup(assembly, 2 * HotObjects * CatalogFill.ObjectBytes, size, new Uri($"http://{origin.Address}"))));
        }

        await using var group = await ServerGroup.StartAsync(servers, limitBytes: null, console, cancellation);
        await using var watch = new ServerWatch(() => servers, cancellation);
        var isFilled = await watch.RunAsync(token => RunProgress.ShowAsync(console, "filling", sizes.Sum(size => (double)size), async progress =>
        {
            foreach (var (server, size) in servers.Zip(sizes))
            {
                await CatalogFill.FillAsync((ProxyServer)server, size, progress, token);
            }

            return sizes.Count;
        }));
        if (!isFilled)
        {
            watch.ThrowIfEnded();
            return ExitCode.Interrupted;
        }

        var asked = servers.Zip(sizes).ToDictionary(pair => pair.First, pair => Spread(pair.Second));
        var run = new CompareRun(servers, hot, origin, grid) { ObjectsOf = (server, work) => work.Operation == LoadOperation.Head ? asked[server] : hot };
        var title = $"a request's cost by objects in the catalog: 4 KiB of {HotObjects} hot ones, and HEADs of up to {MostAsked:#,0} of them all";
        var report = new CompareReport(servers, run, grid, "catalog", "memory", title, BenchProgram.Line(values));
        return await CompareCommand.ExecuteAsync(values, _grid, run, report, grid.Turns(servers.Count), console, watch);
    }

    private static List<DatasetObject> Spread(int entries)
    {
        var count = Math.Min(entries, MostAsked);
        return [.. Enumerable.Range(0, count).Select(number => CatalogFill.Entry((int)((long)number * entries / count)))];
    }
}
