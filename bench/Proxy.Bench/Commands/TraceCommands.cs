using System.CommandLine;
using Proxy.Bench.Report;
using Proxy.Bench.Trace;
using Proxy.Bench.Workloads;

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
            OutputFiles.Require("--trace", values.GetRequiredValue(trace).FullName);
            var lines = await TraceLine.ReadAsync(values.GetRequiredValue(log), cancellation);
            await TraceLine.WriteAsync(values.GetRequiredValue(trace), lines, cancellation);
            await Console.Out.WriteLineAsync($"record: {lines.Count} reads, {lines.Sum(line => line.Bytes) >> 20} MiB");
            return ExitCode.Good;
        });
        return command;
    }

    public static Command Replay()
    {
        var target = new TargetOptions(withEndpoint: false);
        var endpoints = new Option<string[]>("--endpoint")
        {
            Description = "S3 endpoint, as http://host:port or NAME=http://host:port; may be repeated: each has its turn in every piece of the trace",
            DefaultValueFactory = _ => ["http://127.0.0.1:9000"],
        };
        endpoints.Validators.Add(result =>
        {
            if (result.Tokens.Select(token => token.Value).FirstOrDefault(text => !TryRead(text, out _, out _)) is { } strange)
            {
                result.AddError($"--endpoint {strange}: write it as http://host:port or NAME=http://host:port");
            }
        });
        var trace = new Option<FileInfo>("--trace") { Description = "Trace, or an access log as it is", Required = true };
        var speed = new Option<double>("--speed") { Description = "1 is the trace's own pace, 2 twice as fast, 0 without waiting", DefaultValueFactory = _ => 1 }.AtLeast(0);
        var turns = new Option<int>("--turns") { Description = "Pieces the trace is cut into; with one endpoint it is one", DefaultValueFactory = _ => 8 }.AtLeast(1);
        var command = new Command("replay", "Send a trace's reads to endpoints that hold its objects; statuses and lengths must be the trace's. Without --bucket to the buckets it names")
        {
            trace, endpoints, speed, turns,
        };
        target.AddTo(command);
        command.SetAction(async (values, cancellation) =>
        {
            var lines = await TraceLine.ReadAsync(values.GetRequiredValue(trace), cancellation);
            RunFailedException.Unless(lines.Count > 0, $"{values.GetRequiredValue(trace)} has no successful reads");
            var replayed = new List<ReplayEndpoint>();
            foreach (var text in values.GetRequiredValue(endpoints))
            {
                _ = TryRead(text, out var name, out var endpoint);
                RunFailedException.Unless(!replayed.Exists(other => other.Name == name), $"--endpoint {name} is there twice: give each a name of its own, as NAME=http://host:port");
                var one = new ReplayEndpoint(name, target.Read(values, endpoint!), values.GetValue(target.Concurrency));
                replayed.Add(one);
                await EndpointText.RequireAnswerAsync(one.Target, cancellation);
            }

            return await RunAsync(
                new TraceReplay(replayed, target.GivenBucket(values), values.GetValue(target.Concurrency), values.GetValue(speed), replayed.Count == 1 ? 1 : values.GetValue(turns)),
                lines, BenchProgram.Line(values), values.GetValue(target.Json), cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(TraceReplay replay, IReadOnlyList<TraceLine> lines, string commandLine, FileInfo? json, CancellationToken cancellation)
    {
        var console = Terminal.Open();
        var report = new TraceReport(replay, lines.Count, commandLine);
        try
        {
            await RunProgress.ShowAsync(console, "replay", (double)lines.Count * replay.Endpoints.Count, async progress =>
            {
                await replay.RunAsync(lines, progress, cancellation);
                return lines.Count;
            });
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            report.WasInterrupted = true;
        }

        report.Show(console);
        if (json is not null)
        {
            await report.SaveAsync(json, CancellationToken.None);
        }

        foreach (var endpoint in replay.Endpoints)
        {
            endpoint.Dispose();
        }

        return report.WasInterrupted ? ExitCode.Interrupted : report.WrongCount > 0 ? ExitCode.Wrong : ExitCode.Good;
    }

    private static bool TryRead(string text, out string name, out Uri? endpoint)
    {
        var words = text.Split('=', 2);
        var isRead = EndpointText.TryRead(words[^1], out endpoint);
        name = words.Length == 2 ? words[0] : endpoint?.Authority ?? "";
        return isRead && name.Length > 0;
    }
}
