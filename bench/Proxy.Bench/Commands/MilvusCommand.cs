using System.CommandLine;
using Proxy.Bench.Http;
using Proxy.Bench.Milvus;
using Proxy.Bench.Shape;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench milvus</c>: the workloads W1 to W10 on several endpoints in one run.</summary>
internal sealed class MilvusCommand
{
    private readonly StackOptions _stack = new();
    private readonly Option<string> _profile = StackOptions.Profile("minio-like");
    private readonly Option<string> _work = new Option<string>("--work") { Description = "W1,W2,… or all", DefaultValueFactory = _ => "all" }.ListOf([.. MilvusWorkload.All.Select(workload => workload.Name), "all"]);
    private readonly Option<string[]> _endpoints = new("--endpoint")
    {
        Description = "A running endpoint, as NAME=http://host:port (keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else minioadmin); may be repeated. Without one, a backend and a proxy before it are started",
        DefaultValueFactory = _ => [],
    };

    private readonly Option<bool> _oneStore = new("--one-store") { Description = "Endpoint and proxy in front of one store: half the disk, for scale M (what one writes the other overwrites)" };
    private readonly Option<FileInfo?> _html = OutputFiles.Html();
    private readonly Option<DirectoryInfo?> _png = OutputFiles.Png();

    public static Command Build()
    {
        var self = new MilvusCommand();
        var command = new Command("milvus", "Run Milvus's ten workloads against endpoints in turn; every byte is compared");
        self._stack.AddTo(command);
        Option[] options = [self._profile, self._work, self._endpoints, self._oneStore, self._html, self._png];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        command.SetAction((values, cancellation) => BenchRun.InFolderAsync("milvus", (folder, console) => self.RunAsync(values, folder, console, cancellation), cancellation));
        return command;
    }

    private async Task<int> RunAsync(ParseResult values, string folder, IAnsiConsole console, CancellationToken cancellation)
    {
        var scale = MilvusScale.Find(values.GetRequiredValue(_stack.Scale));
        var names = values.GetRequiredValue(_work).Split(',', StringSplitOptions.TrimEntries);
        var workloads = MilvusWorkload.All.Where(workload => names.Contains("all") || names.Contains(workload.Name, StringComparer.OrdinalIgnoreCase)).ToList();
        var endpoints = values.GetRequiredValue(_endpoints).Select(Read).ToList();
        RunFailedException.Unless(endpoints.Count == 0 || !values.GetValue(_oneStore), "--one-store is for the servers that the bench starts itself, not for --endpoint");
        var setup = endpoints.Select(endpoint => $"{endpoint.Name}: {endpoint.Target.Endpoint}").ToList();
        foreach (var endpoint in endpoints)
        {
            await EndpointText.RequireAnswerAsync(endpoint.Target, cancellation);
        }

        BenchStack? stack = null;
        if (endpoints.Count == 0)
        {
            var profile = BackendProfile.Find(values.GetRequiredValue(_profile));
            Ports.RequireFree(values.GetValue(_stack.Ports), Ports.OfAStack);
            stack = await BenchStack.StartAsync(
                _stack.Assembly(values), profile, values.GetRequiredValue(_stack.Memory), values.GetRequiredValue(_stack.Nvme), folder, values.GetValue(_stack.Ports), cancellation,
                values.GetValue(_oneStore));
            endpoints = [stack.Direct, stack.Proxied];
            setup.Add($"direct: local store behind {profile}");
            setup.Add($"proxy: {stack.Proxied.Proxy!.Description}, {(values.GetValue(_oneStore) ? "the same store" : "another local store")} behind the same profile");
        }

        await using (stack)
        {
            setup.ForEach(console.WriteLine);
            var run = new MilvusRun(endpoints, scale, "files");    // minio.rootPath, as Milvus and the proxy's rules have it by default
            var results = await ShowProgressAsync(console, workloads.Count * endpoints.Count, step => run.RunAsync(
                workloads, (workload, endpoint) => step($"{workload.Name} {workload.Title}: {endpoint.Name}", false), result => step(MilvusReport.Line(result), true), cancellation));
            var report = new MilvusReport(results, "proxy-bench " + string.Join(' ', values.Tokens.Select(token => token.Value)), setup);
            report.Show(console);
            foreach (var result in results)
            {
                console.Profile.Out.Writer.WriteLine(MilvusReport.Line(result));
                foreach (var finding in result.Report.Findings)
                {
                    console.MarkupLineInterpolated($"[red]WRONG[/] {result.Workload.Name} {result.Endpoint}: {finding}");
                }
            }

            // Also of a run that was interrupted: the workloads until then.
            if (values.GetValue(_stack.Json) is { } json)
            {
                await report.SaveJsonAsync(json, CancellationToken.None);
            }

            await OutputFiles.SaveAsync(report.Page, values.GetValue(_html), values.GetValue(_png));
            var (wrong, wasInterrupted) = (results.Sum(result => result.Report.FindingCount), cancellation.IsCancellationRequested);
            console.WriteLine($"milvus: {(wasInterrupted ? "INTERRUPTED" : wrong == 0 ? "good" : "NOT GOOD")}: {results.Sum(result => result.Report.Checks)} checks, {wrong} wrong");
            return wasInterrupted ? ExitCode.Interrupted : wrong == 0 ? ExitCode.Good : ExitCode.Wrong;
        }
    }

    /// <summary>A bar over the whole run on a terminal, a line a step elsewhere.</summary>
    private static async Task<T> ShowProgressAsync<T>(IAnsiConsole console, int steps, Func<Action<string, bool>, Task<T>> work)
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            return await work((text, isDone) => console.Profile.Out.Writer.WriteLine(isDone ? "  " + text : text));
        }

        return await console.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask("milvus", maxValue: steps);
                return await work((text, isDone) =>
                {
                    if (isDone)
                    {
                        task.Increment(1);
                    }
                    else
                    {
                        task.Description = Markup.Escape(text);
                    }
                });
            });
    }

    private static MilvusEndpoint Read(string text)
    {
        var words = text.Split('=', 2);
        RunFailedException.Unless(EndpointText.TryRead(words[^1], out var endpoint) && words.Length == 2, $"--endpoint {text}: write it as NAME=http://host:port");
        var target = new S3Target(
            endpoint!,
            Environment.GetEnvironmentVariable("AWS_ACCESS_KEY_ID") ?? "minioadmin", Environment.GetEnvironmentVariable("AWS_SECRET_ACCESS_KEY") ?? "minioadmin",
            "us-east-1", "a-bucket");
        return new MilvusEndpoint(words[0], target, target, null, null);
    }
}
