using System.CommandLine;
using System.Text.Json;
using Proxy.Bench.Report;
using Proxy.Bench.Trace;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench record</c> and <c>proxy-bench replay</c>.</summary>
internal static class TraceCommands
{
    public static Command Record()
    {
        var log = new Option<FileInfo>("--access-log") { Description = "Access log of the proxy (Telemetry:AccessLog)", Required = true };
        var trace = new Option<FileInfo>("--trace") { Description = "File to write", Required = true };
        var command = new Command("record", "Make a trace of an access log: its successful reads, without clients, users or data") { log, trace };
        command.SetAction(async (values, cancellation) =>
        {
            var lines = await ReadAsync(values.GetRequiredValue(log), cancellation);
            if (lines is null)
            {
                return ExitCode.Wrong;
            }

            await TraceLine.WriteAsync(values.GetRequiredValue(trace), lines, cancellation);
            await Console.Out.WriteLineAsync($"record: {lines.Count} reads, {lines.Sum(line => line.Bytes) >> 20} MiB");
            return ExitCode.Good;
        });
        return command;
    }

    public static Command Replay()
    {
        var target = new TargetOptions();
        var trace = new Option<FileInfo>("--trace") { Description = "Trace, or an access log as it is", Required = true };
        var speed = new Option<double>("--speed") { Description = "1 is the trace's own pace, 2 twice as fast, 0 without waiting", DefaultValueFactory = _ => 1 };
        var command = new Command("replay", "Send a trace's reads to an endpoint that holds its objects; statuses and lengths must be the trace's") { trace, speed };
        target.AddTo(command);
        command.SetAction(async (values, cancellation) =>
        {
            var lines = await ReadAsync(values.GetRequiredValue(trace), cancellation);
            if (lines is not { Count: > 0 })
            {
                await Console.Error.WriteLineAsync("replay: the trace has no reads");
                return ExitCode.Wrong;
            }

            var console = Terminal.Open();
            var report = new RunReport();
            // The bucket of the trace's first line: a trace is of one bucket.
            var endpoint = target.Read(values) with { Bucket = lines[0].Bucket! };
            await new TraceReplay(endpoint, report, values.GetValue(target.Concurrency), values.GetValue(speed)).RunAsync(lines, cancellation);
            report.Freeze();
            ReportWriter.Show(report, console);
            if (values.GetValue(target.Json) is { } json)
            {
                var subject = new Dictionary<string, object>(StringComparer.Ordinal) { ["endpoint"] = endpoint.Endpoint, ["requests"] = lines.Count, ["speed"] = values.GetValue(speed) };
                await ReportWriter.SaveAsync(report, "replay", subject, json, TimeProvider.System, cancellation);
            }

            return report.FindingCount == 0 ? ExitCode.Good : ExitCode.Wrong;
        });
        return command;
    }

    private static async Task<IReadOnlyList<TraceLine>?> ReadAsync(FileInfo file, CancellationToken cancellation)
    {
        try
        {
            return await TraceLine.ReadAsync(file, cancellation);
        }
        catch (Exception error) when (error is JsonException or IOException)
        {
            await Console.Error.WriteLineAsync(error.Message);
            return null;
        }
    }
}
