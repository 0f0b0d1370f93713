using System.CommandLine;
using Proxy.Bench.Milvus;
using Proxy.Bench.Paper;
using Proxy.Bench.Report;
using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench paper</c>: the table people compare backends by, for two kinds of backend, without and with the proxy.</summary>
internal sealed class PaperCommand
{
    private readonly StackOptions _stack = new();
    private readonly Option<string[]> _profiles = new("--profiles") { Description = "Kinds of backend", DefaultValueFactory = _ => ["minio-like", "rustfs-like"], AllowMultipleArgumentsPerToken = true };
    private readonly Option<int> _rounds = new Option<int>("--rounds") { Description = "Turns of every kind of backend, each from empty stores; the table has the medians", DefaultValueFactory = _ => 3 }.AtLeast(1);
    private readonly Option<double> _warmup = new Option<double>("--warmup") { Description = "Seconds every endpoint is used, with other objects, before it is measured", DefaultValueFactory = _ => 5 }.AtLeast(0);
    private readonly Option<FileInfo?> _html = OutputFiles.Html();
    private readonly Option<DirectoryInfo?> _png = OutputFiles.Png();

    public static Command Build()
    {
        var self = new PaperCommand();
        var command = new Command("paper", "Insert, index build, loads, random reads and storage on MinIO-like and RustFS-like backends, without and with the proxy");
        self._stack.AddTo(command);
        self._profiles.AcceptOnlyFromAmong([.. BackendProfile.All.Select(profile => profile.Name)]);
        Option[] options = [self._profiles, self._rounds, self._warmup, self._html, self._png];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        command.SetAction((values, cancellation) => BenchRun.InFolderAsync("paper", (folder, console) => self.RunAsync(values, folder, console, cancellation), cancellation));
        return command;
    }

    private async Task<int> RunAsync(ParseResult values, string folder, IAnsiConsole console, CancellationToken cancellation)
    {
        var plan = new PaperPlan(
            _stack.Assembly(values), values.GetRequiredValue(_stack.Memory), values.GetRequiredValue(_stack.Nvme), MilvusScale.Find(values.GetRequiredValue(_stack.Scale)),
            [.. values.GetRequiredValue(_profiles).Distinct().Select(BackendProfile.Find)], values.GetValue(_rounds), TimeSpan.FromSeconds(values.GetValue(_warmup)), values.GetValue(_stack.Ports));
        Ports.RequireFree(plan.FirstPort, Ports.OfAStack);
        foreach (var profile in plan.Profiles)
        {
            console.WriteLine(profile.ToString());
        }

        var run = new PaperRun(plan);
        var report = new PaperReport(run, plan, BenchProgram.Line(values));
        RunFailedException? failure = null;
        try
        {
            await RunProgress.ShowAsync(console, "paper", plan.Steps, async progress =>
            {
                await run.RunAsync(folder, progress, cancellation);
                return plan.Steps;
            });
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The rounds until now are told all the same.
            report.WasInterrupted = true;
        }
        catch (RunFailedException error)
        {
            (report.WasInterrupted, failure) = (true, error);
        }

        report.Show(console);
        if (values.GetValue(_stack.Json) is { } json)
        {
            await report.SaveJsonAsync(json, CancellationToken.None);
        }

        await OutputFiles.SaveAsync(report.Page, values.GetValue(_html), values.GetValue(_png));
        RunFailedException.Unless(failure is null, failure?.Message ?? "");
        return report.WasInterrupted ? ExitCode.Interrupted : report.IsGood ? ExitCode.Good : ExitCode.Wrong;
    }
}
