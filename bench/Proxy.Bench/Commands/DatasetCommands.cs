using System.CommandLine;
using Proxy.Bench.Http;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench dataset</c> and <c>proxy-bench verify</c>.</summary>
internal static class DatasetCommands
{
    public static Command Dataset()
    {
        var target = new TargetOptions();
        var dataset = new DatasetOptions();
        var signing = new Option<string>("--signing")
        {
            Description = "Body signing: auto (as the client that writes each kind does), sha256, streaming, unsigned",
            DefaultValueFactory = _ => "auto",
        };
        signing.AcceptOnlyFromAmong("auto", "sha256", "streaming", "unsigned");
        var command = new Command("dataset", "Write a Milvus-shaped tree (insert logs, index slices, stats, deltas) through an S3 endpoint");
        target.AddTo(command);
        dataset.AddTo(command);
        command.Options.Add(signing);
        command.SetAction((values, cancellation) => DatasetRun.ExecuteAsync(
            "dataset", values, target, dataset.Describe(values),
            (clients, report) => new DatasetWriter(clients, report, dataset.ReadEtagRule(values), Parse(values.GetRequiredValue(signing))).WriteAsync,
            cancellation));
        return command;
    }

    public static Command Verify()
    {
        var target = new TargetOptions();
        var dataset = new DatasetOptions();
        var ranges = new Option<int>("--ranges") { Description = "Seeded range reads per object, beside the fixed ones", DefaultValueFactory = _ => 4 }.AtLeast(0);
        var command = new Command("verify", "Read a dataset back (same --size --seed --segments --root) and compare every byte; exit code 1 on any difference");
        target.AddTo(command);
        dataset.AddTo(command);
        command.Options.Add(ranges);
        command.SetAction((values, cancellation) => DatasetRun.ExecuteAsync(
            "verify", values, target, dataset.Describe(values),
            (clients, report) => new DatasetVerifier(clients, report, dataset.ReadEtagRule(values), values.GetValue(ranges)).VerifyAsync,
            cancellation));
        return command;
    }

    private static PayloadSigning? Parse(string signing) => signing switch
    {
        "sha256" => PayloadSigning.Sha256,
        "streaming" => PayloadSigning.Streaming,
        "unsigned" => PayloadSigning.Unsigned,
        _ => null,
    };
}
