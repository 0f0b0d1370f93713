using System.CommandLine;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench load</c>: how fast a server reads a dataset out, and what that costs it.</summary>
internal static class LoadCommand
{
    public static Command Build()
    {
        var target = new TargetOptions();
        var dataset = new DatasetOptions();
        var mix = new Option<string>("--mix")
        {
            Description = "Operations and their weights: get, head, range, tail; as get:1,head:1",
            DefaultValueFactory = _ => "get:1,head:1",
        };
        mix.Validators.Add(result =>
        {
            if (!TryReadMix(result.GetValueOrDefault<string>() ?? "", out _))
            {
                result.AddError("--mix wants get, head, range or tail with weights from 1 to 100, as get:1,head:1");
            }
        });
        var kind = new Option<string>("--only") { Description = "Objects to read: all, index, insert", DefaultValueFactory = _ => "all" };
        kind.AcceptOnlyFromAmong("all", "index", "insert");
        var range = ByteSize.Option("--range-size", "Bytes of one range read", 1 << 20);
        var seconds = new Option<double>("--seconds") { Description = "Measured time", DefaultValueFactory = _ => 10 };
        var warmup = new Option<double>("--warmup") { Description = "Seconds before, not counted", DefaultValueFactory = _ => 2 };
        var server = new Option<int?>("--server-pid") { Description = "Process whose CPU time to report too" };
        var command = new Command("load", "Read a dataset (same --size --seed --segments --root) as fast as the server lets N connections; bodies are discarded");
        target.AddTo(command);
        dataset.AddTo(command);
        Option[] options = [mix, kind, range, seconds, warmup, server];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        command.SetAction(async (values, cancellation) =>
        {
            _ = TryReadMix(values.GetRequiredValue(mix), out var operations);
            var load = new LoadOptions(
                values.GetValue(target.Concurrency), TimeSpan.FromSeconds(values.GetValue(warmup)), TimeSpan.FromSeconds(values.GetValue(seconds)),
                operations, values.GetValue(range), Seed: 1);
            var objects = dataset.Describe(values).Where(item => IsWanted(item.Kind, values.GetRequiredValue(kind))).ToList();
            return await RunAsync(values, target, load, objects, values.GetValue(server), cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        ParseResult values, TargetOptions options, LoadOptions load, List<DatasetObject> objects, int? serverProcess, CancellationToken cancellation)
    {
        var console = Terminal.Open();
        var target = options.Read(values);
        if (target.IsSecure)
        {
            await Console.Error.WriteLineAsync("load speaks plain http only: it discards bodies in the kernel");
            return ExitCode.Wrong;
        }

        console.Profile.Out.Writer.WriteLine(
            $"load: {objects.Count} objects, {objects.Sum(item => item.Size) >> 20} MiB, {target.Endpoint}, {load.Connections} connections, {load.Duration.TotalSeconds:0.#} s");
        RunReport report;
        CpuUse client;
        CpuUse? server;
        try
        {
            (report, client, server) = await new LoadGenerator(target, load, objects).RunAsync(serverProcess, cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }

        ReportWriter.Show(report, console);
        var requests = report.Operations.Values.Sum(operation => operation.Count);
        var bytes = report.Operations.Values.Sum(operation => operation.Bytes);
        var elapsed = report.Elapsed.TotalSeconds;
        var writer = console.Profile.Out.Writer;
        writer.WriteLine($"total: {requests / elapsed:0} requests/s, {bytes / elapsed / (1 << 20):0} MiB/s over {elapsed:0.0} s");
        Tell(writer, "client", client, requests, bytes, elapsed);
        if (server is not null)
        {
            Tell(writer, "server", server, requests, bytes, elapsed);
        }

        if (values.GetValue(options.Json) is { } file)
        {
            var subject = new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["endpoint"] = target.Endpoint,
                ["objects"] = objects.Count,
                ["connections"] = load.Connections,
                ["mix"] = string.Join(",", load.Mix),
                ["rangeBytes"] = load.RangeBytes,
                ["clientCpuSeconds"] = client.Seconds,
            };
            if (server is not null)
            {
                subject["serverCpuSeconds"] = server.Seconds;
            }

            await ReportWriter.SaveAsync(report, "load", subject, file, TimeProvider.System, cancellation);
        }

        if (requests == 0)
        {
            writer.WriteLine($"load: NOT GOOD: nothing was answered at {target.Endpoint}");
        }

        return report.FindingCount == 0 && requests > 0 ? ExitCode.Good : ExitCode.Wrong;
    }

    private static void Tell(TextWriter writer, string who, CpuUse cpu, long requests, long bytes, double elapsed)
        => writer.WriteLine(
            $"{who} CPU: {cpu.Seconds:0.00} s ({cpu.Seconds / elapsed:0.00} cores), {cpu.Seconds * 1e6 / Math.Max(1, requests):0.0} µs a request, {cpu.Seconds / Math.Max(1e-9, bytes / (double)(1 << 30)):0.000} s a GiB");

    private static bool IsWanted(ObjectKind kind, string only) => only switch
    {
        "index" => kind == ObjectKind.IndexSlice,
        "insert" => kind == ObjectKind.InsertLog,
        _ => true,
    };

    private static bool TryReadMix(string text, out IReadOnlyList<LoadOperation> operations)
    {
        var drawn = new List<LoadOperation>();
        operations = drawn;
        foreach (var part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var words = part.Split(':');
            if (words.Length > 2 || !Enum.TryParse<LoadOperation>(words[0], ignoreCase: true, out var operation) || char.IsAsciiDigit(words[0][0]))
            {
                return false;
            }

            var weight = 1;
            if (words.Length == 2 && (!int.TryParse(words[1], out weight) || weight is < 1 or > 100))
            {
                return false;
            }

            drawn.AddRange(Enumerable.Repeat(operation, weight));
        }

        return drawn.Count > 0;
    }
}
