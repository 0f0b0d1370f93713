using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Proxy.Bench.Milvus;
using Proxy.Bench.Report;
using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench paper</c>: the table people compare backends by, for two kinds of backend, without and with the proxy.</summary>
internal sealed class PaperCommand
{
    private const int RandomReads = 400;
    private const int RandomReadBytes = 64 << 10;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };
    private static readonly string[] Rows = ["insert MiB/s", "index build s", "index build GiB I/O", "cold load s", "warm load s", "random read p50 ms", "random read p99 ms", "stored MiB"];

    private readonly StackOptions _stack = new();
    private readonly Option<string[]> _profiles = new("--profiles") { Description = "Kinds of backend", DefaultValueFactory = _ => ["minio-like", "rustfs-like"], AllowMultipleArgumentsPerToken = true };

    public static Command Build()
    {
        var self = new PaperCommand();
        var command = new Command("paper", "Insert, index build, loads, random reads and storage on MinIO-like and RustFS-like backends, without and with the proxy");
        self._stack.AddTo(command);
        self._profiles.AcceptOnlyFromAmong([.. BackendProfile.All.Select(profile => profile.Name)]);
        command.Options.Add(self._profiles);
        command.SetAction(self.ExecuteAsync);
        return command;
    }

    private async Task<int> ExecuteAsync(ParseResult values, CancellationToken cancellation)
    {
        var console = Terminal.Open();
        var scale = MilvusScale.Find(values.GetRequiredValue(_stack.Scale));
        var columns = new List<(string Name, Dictionary<string, double> Figures, RunReport Report)>();
        var port = values.GetValue(_stack.Ports);
        foreach (var name in values.GetRequiredValue(_profiles))
        {
            var folder = Directory.CreateTempSubdirectory("proxy-bench-").FullName;
            try
            {
                var profile = BackendProfile.Find(name);
                console.WriteLine(profile.ToString());
                await using var stack = await BenchStack.StartAsync(
                    _stack.Assembly(values), profile, values.GetRequiredValue(_stack.Memory), values.GetRequiredValue(_stack.Nvme), folder, port, cancellation);
                foreach (var (endpoint, store) in ((MilvusEndpoint, string)[])[(stack.Direct, "direct"), (stack.Proxied, "behind")])
                {
                    var report = new RunReport();
                    using var context = new MilvusContext(endpoint, scale, "files", report, connections: 32);
                    await MeasureAsync(context, Path.Combine(folder, store), cancellation);
                    columns.Add((endpoint.Proxy is null ? name : $"{name} + proxy", context.Figures, report));
                    console.WriteLine($"  {columns[^1].Name}: {report.Checks} checks, {report.FindingCount} wrong");
                }
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        Show(console, columns);
        if (values.GetValue(_stack.Json) is { } file)
        {
            var content = new
            {
                Command = "proxy-bench " + string.Join(' ', values.Tokens.Select(token => token.Value)),
                Machine = MachineFacts.Read(),
                Profiles = values.GetRequiredValue(_profiles).Select(name => BackendProfile.Find(name).ToString()),
                Columns = columns.Select(column => new { column.Name, column.Figures, column.Report.Checks, Wrong = column.Report.FindingCount, column.Report.Findings }),
            };
            await using var stream = file.Create();
            await JsonSerializer.SerializeAsync(stream, content, Json, cancellation);
        }

        return columns.TrueForAll(column => column.Report.FindingCount == 0) ? ExitCode.Good : ExitCode.Wrong;
    }

    private static async Task MeasureAsync(MilvusContext context, string store, CancellationToken cancellation)
    {
        var inserts = context.Segments.Where(item => item.Kind is ObjectKind.InsertLog or ObjectKind.StatsLog or ObjectKind.DeltaLog).ToList();
        await context.MeasureAsync("insert", () => context.WriteAsync(inserts, 16, cancellation));
        context.Figures["insert MiB/s"] = inserts.Sum(item => item.Size) / (double)(1 << 20) / context.Figures["insert s"];
        await WriteWorkloads.IndexBuildAsync(context, cancellation);
        context.Figures["index build GiB I/O"] = context.Report.Operations.Values.Sum(operation => operation.Bytes) / (double)(1L << 30);

        // Loads are of segments the endpoint has not seen: written to its backend behind its back.
        await ReadWorkloads.PutSegmentsAsync(context, cancellation);
        await context.MeasureAsync("cold load", () => context.LoadAsync(context.Segments, 16, cancellation));
        await context.MeasureAsync("warm load", () => context.LoadAsync(context.Segments, 16, cancellation));

        // Search-time reads: one at a time, as a query waits for them, of data that was loaded.
        var slices = context.Segments.Where(item => item.Kind == ObjectKind.IndexSlice).ToList();
        var random = new Random(5);
        for (var i = 0; i < RandomReads; i++)
        {
            var item = slices[random.Next(slices.Count)];
            var start = random.NextInt64(Math.Max(1, item.Size - RandomReadBytes));
            await context.RangeAsync(item, start, RandomReadBytes, cancellation, "random read");
        }

        var reads = context.Report.Operations["random read"];
        context.Figures["random read p50 ms"] = reads.MillisecondsAt(50);
        context.Figures["random read p99 ms"] = reads.MillisecondsAt(99);
        context.Figures["stored MiB"] = new DirectoryInfo(store).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length) / (double)(1 << 20);
    }

    private static void Show(IAnsiConsole console, List<(string Name, Dictionary<string, double> Figures, RunReport Report)> columns)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("");
        columns.ForEach(column => table.AddColumn(new TableColumn(Markup.Escape(column.Name)).RightAligned()));
        foreach (var row in Rows)
        {
            table.AddRow([row, .. columns.Select(column => column.Figures.GetValueOrDefault(row).ToString("0.###", CultureInfo.InvariantCulture))]);
        }

        console.Write(table);
        columns.ForEach(column => column.Report.Findings.ToList().ForEach(finding => console.MarkupLineInterpolated($"[red]WRONG[/] {column.Name}: {finding}")));
    }
}
