using System.CommandLine;
using Proxy.Bench.Load;
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
        var seconds = new Option<double>("--seconds") { Description = "Measured time", DefaultValueFactory = _ => 10 }.Above(0);
        var warmup = new Option<double>("--warmup") { Description = "Seconds before, not counted", DefaultValueFactory = _ => 2 }.AtLeast(0);
        var threads = new Option<int>("--threads") { Description = "Client threads", DefaultValueFactory = _ => Math.Min(2, Environment.ProcessorCount) }.AtLeast(1);
        var server = new Option<int?>("--server-pid") { Description = "Process whose CPU time to report too, with its children's" };
        var command = new Command("load", "Read a dataset (same --size --seed --segments --root) as fast as the server lets N connections; bodies are discarded, one in 512 is compared");
        target.AddTo(command);
        dataset.AddTo(command);
        Option[] options = [mix, kind, range, seconds, warmup, threads, server];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        command.SetAction(async (values, cancellation) =>
        {
            _ = TryReadMix(values.GetRequiredValue(mix), out var operations);
            var load = new LoadOptions(
                values.GetValue(target.Concurrency), values.GetValue(threads),
                TimeSpan.FromSeconds(values.GetValue(warmup)), TimeSpan.FromSeconds(values.GetValue(seconds)), Seed: 1);
            var objects = dataset.Describe(values).Where(item => IsWanted(item.Kind, values.GetRequiredValue(kind))).ToList();
            return await RunAsync(values, target, load, new LoadPlan(objects, operations, values.GetValue(range)), values.GetValue(server), cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        ParseResult values, TargetOptions options, LoadOptions load, LoadPlan plan, int? serverProcess, CancellationToken cancellation)
    {
        var console = Terminal.Open();
        var target = options.Read(values);
        RunFailedException.Unless(!target.IsSecure, "it speaks plain http only: bodies are discarded in the kernel");
        RunFailedException.Unless(plan.Objects.Count > 0, "the dataset has no objects of that kind");
        RunFailedException.Unless(serverProcess is not { } given || Directory.Exists($"/proc/{given}"), $"--server-pid {serverProcess}: no such process");
        await EndpointText.RequireAnswerAsync(target, cancellation);
        var writer = console.Profile.Out.Writer;
        writer.WriteLine(
            $"load: {plan.Objects.Count} objects, {plan.Objects.Sum(item => item.Size) >> 20} MiB, {target.Endpoint}, {load.Connections} connections on {load.Threads} threads, {load.Duration.TotalSeconds:0.#} s");
        var result = await RunProgress.ShowAsync(
            console, "load", (load.Warmup + load.Duration).TotalSeconds,
            progress => Task.Run(() => new LoadRun(target, plan, load).Run(serverProcess is { } id ? [id] : [], cancellation, progress.Advance), CancellationToken.None));
        LoadReport.Show(result, console);
        writer.WriteLine($"total: {result.Requests / result.Seconds:0} requests/s, {result.Bytes / result.Seconds / (1 << 20):0} MiB/s over {result.Seconds:0.0} s");
        Tell(writer, "client", result.ClientCpuSeconds, result);
        if (serverProcess is not null)
        {
            Tell(writer, "server", result.ServerCpuSeconds, result);
        }

        writer.WriteLine($"elsewhere on this machine: {result.ForeignCores:0.00} cores");
        if (values.GetValue(options.Json) is { } file)
        {
            // Also of a run that was interrupted: what was measured until then.
            await LoadReport.SaveAsync(result, plan, target, load, file, CancellationToken.None);
        }

        var isGood = result is { FindingCount: 0, Requests: > 0 };
        writer.WriteLine(
            $"load: {(result.WasInterrupted ? "INTERRUPTED" : isGood ? "good" : "NOT GOOD")}: {result.CheckedBytes >> 20} MiB compared byte for byte, every status and length checked, {result.FindingCount} wrong{(result.Requests == 0 ? "; no request was answered in the measured time" : "")}");
        return result.WasInterrupted ? ExitCode.Interrupted : isGood ? ExitCode.Good : ExitCode.Wrong;
    }

    private static void Tell(TextWriter writer, string who, double cpuSeconds, LoadResult result)
        => writer.WriteLine(
            $"{who} CPU: {cpuSeconds:0.00} s ({cpuSeconds / result.Seconds:0.00} cores), {cpuSeconds * 1e6 / Math.Max(1, result.Requests):0.0} µs a request, {cpuSeconds / Math.Max(1e-9, result.Bytes / (double)(1 << 30)):0.000} s a GiB");

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
