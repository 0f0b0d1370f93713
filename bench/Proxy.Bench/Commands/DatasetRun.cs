using System.CommandLine;
using System.Net.Sockets;
using Proxy.Bench.Http;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary>What goes through a dataset's objects, telling how many bytes are done.</summary>
internal delegate Task DatasetWork(IReadOnlyList<DatasetObject> objects, int concurrency, Action<long> progress, CancellationToken cancellation);

/// <summary>Runs a workload over a dataset, with progress, report and an exit code that means what it says.</summary>
internal static class DatasetRun
{
    public static async Task<int> ExecuteAsync(
        string command, ParseResult values, TargetOptions options, IReadOnlyList<DatasetObject> objects,
        Func<S3ClientPool, RunReport, DatasetWork> prepare, CancellationToken cancellation)
    {
        var target = options.Read(values);
        await EndpointText.RequireAnswerAsync(target, cancellation);
        var concurrency = values.GetValue(options.Concurrency);
        var bytes = objects.Sum(item => item.Size);
        var console = Terminal.Open();
        console.Profile.Out.Writer.WriteLine($"{command}: {objects.Count} objects, {bytes >> 20} MiB, {target.Endpoint} bucket {target.Bucket}, {concurrency} connections");

        var report = new RunReport();
        var wasInterrupted = false;
        using (var clients = new S3ClientPool(target, report, TimeProvider.System, concurrency))
        {
            var work = prepare(clients, report);
            try
            {
                await WithProgressAsync(console, command, bytes, progress => work(objects, concurrency, progress, cancellation));
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                wasInterrupted = true;
            }
            catch (Exception error) when (error is RunFailedException or IOException or SocketException)
            {
                report.AddFinding($"the run ended: {error.Message}");
            }
        }

        report.Freeze();
        ReportWriter.Show(report, console);
        if (values.GetValue(options.Json) is { } file)
        {
            var subject = new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["endpoint"] = target.Endpoint,
                ["objects"] = objects.Count,
                ["bytes"] = bytes,
                ["concurrency"] = concurrency,
                ["interrupted"] = wasInterrupted,
            };
            // Also of a run that was interrupted: what was measured until then.
            await ReportWriter.SaveAsync(report, command, subject, file, TimeProvider.System, CancellationToken.None);
        }

        var verdict = wasInterrupted ? "INTERRUPTED" : report.FindingCount == 0 ? "good" : "NOT GOOD";
        console.WriteLine(
            $"{command}: {verdict}: {report.Elapsed.TotalSeconds:0.0} s, {report.Checks} checks, {report.FindingCount} wrong, {report.Retries.Values.Sum()} retries");
        return wasInterrupted ? ExitCode.Interrupted : report.FindingCount > 0 ? ExitCode.Wrong : ExitCode.Good;
    }

    private static async Task WithProgressAsync(IAnsiConsole console, string title, long bytes, Func<Action<long>, Task> work)
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            await work(_ => { });
            return;
        }

        await console.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask(title, maxValue: bytes);
                await work(done => task.Increment(done));
            });
    }
}
