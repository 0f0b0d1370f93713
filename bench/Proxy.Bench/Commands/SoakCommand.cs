using System.CommandLine;
using System.Diagnostics;
using System.Net.Sockets;
using Proxy.Bench.Milvus;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Shape;
using Proxy.Bench.Soak;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench soak</c>: hours of one steady load, to see that nothing grows.</summary>
internal sealed class SoakCommand
{
    private const long SegmentBytes = 64 << 20;

    private readonly StackOptions _stack = new();
    private readonly Option<string> _profile = StackOptions.Profile("minio-like");
    private readonly Option<long> _data = ByteSize.Option("--data-size", "Bytes of segments alive at a time", 2L << 30);
    private readonly Option<double> _minutes = new Option<double>("--minutes") { Description = "How long", DefaultValueFactory = _ => 60 }.Above(0);
    private readonly Option<double> _every = new Option<double>("--every") { Description = "Seconds between samples; no fewer than four are taken", DefaultValueFactory = _ => 60 }.Above(0);
    private readonly Option<int> _rate = new Option<int>("--rate") { Description = "Reads a second", DefaultValueFactory = _ => 200 }.AtLeast(1);
    private readonly Option<double> _turnover = new Option<double>("--turnover") { Description = "Seconds after which the oldest segment gives way to a new one", DefaultValueFactory = _ => 20 }.Above(0);
    private readonly Option<FileInfo?> _html = OutputFiles.Html();
    private readonly Option<DirectoryInfo?> _png = OutputFiles.Png();

    public static Command Build()
    {
        var self = new SoakCommand();
        var command = new Command("soak", "Read and replace segments at a steady rate for an hour through a proxy it starts: memory, handles, latency and CPU a request must stay flat; every byte is compared");
        self._stack.AddTo(command, withScale: false);
        Option[] options = [self._profile, self._data, self._minutes, self._every, self._rate, self._turnover, self._html, self._png];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        command.SetAction((values, cancellation) => BenchRun.InFolderAsync("soak", (folder, console) => self.RunAsync(values, folder, console, cancellation), cancellation));
        return command;
    }

    private async Task<int> RunAsync(ParseResult values, string folder, IAnsiConsole console, CancellationToken cancellation)
    {
        var profile = BackendProfile.Find(values.GetRequiredValue(_profile));
        Ports.RequireFree(values.GetValue(_stack.Ports), Ports.OfAStack);
        await using var stack = await BenchStack.StartAsync(
            _stack.Assembly(values), profile, values.GetRequiredValue(_stack.Memory), values.GetRequiredValue(_stack.Nvme), folder, values.GetValue(_stack.Ports), cancellation);
        string[] setup = [$"{stack.Proxied.Proxy!.Description}: a local store behind {profile}"];
        console.WriteLine(setup[0]);

        var report = new RunReport();
        using var context = new MilvusContext(stack.Proxied, MilvusScale.Find("XS"), "files", report, connections: 24);
        var segments = (int)Math.Max(2, values.GetRequiredValue(_data) / SegmentBytes);
        var load = new SoakLoad(context, new SoakPlan(values.GetValue(_rate), SegmentBytes, segments, TimeSpan.FromSeconds(values.GetValue(_turnover))));
        var every = TimeSpan.FromSeconds(values.GetValue(_every));
        var count = Math.Max(SoakReport.LeastSamples, (int)(TimeSpan.FromMinutes(values.GetValue(_minutes)) / every));
        var samples = new List<SoakSample>();

        // What was sampled until an interruption, a server's end or the load's is told all the same.
        await using var watch = new ServerWatch(() => stack.Servers, cancellation);
        var isWhole = await watch.RunAsync(async token =>
        {
            await RunProgress.ShowAsync(console, "writing segments", segments, async progress =>
            {
                await load.WriteFirstAsync(_ => progress.Advance(), token);
                return segments;
            });
            console.WriteLine($"{segments} segments of {SegmentBytes >> 20} MiB are written");
            var sampler = new SoakSampler(load, report, stack.Proxied.Proxy!);
            try
            {
                await RunProgress.ShowAsync(console, "soak", (every * count).TotalSeconds, progress => SampleAsync(load, sampler, samples, count, every, progress, token));
            }
            catch (Exception error) when (!token.IsCancellationRequested && error is RunFailedException or IOException or SocketException)
            {
                report.AddFinding($"the load ended after {load.Ran.TotalMinutes:0.0} min: {error.Message}");
            }
        });

        var result = new SoakReport(samples, report, BenchProgram.Line(values), setup, !isWhole);
        result.Show(console);
        await SaveAsync(values, result);
        watch.ThrowIfEnded();
        return !isWhole ? ExitCode.Interrupted : result.IsGood ? ExitCode.Good : ExitCode.Wrong;
    }

    private async Task SaveAsync(ParseResult values, SoakReport result)
    {
        if (values.GetValue(_stack.Json) is { } json)
        {
            await result.SaveJsonAsync(json, CancellationToken.None);
        }

        await OutputFiles.SaveAsync(result.Page, values.GetValue(_html), values.GetValue(_png));
    }

    /// <summary>One sample an interval, told as it is taken, while the load runs.</summary>
    private static async Task<int> SampleAsync(
        SoakLoad load, SoakSampler sampler, List<SoakSample> samples, int count, TimeSpan every, RunProgress progress, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var running = load.RunAsync(over.Token);
        try
        {
            var started = Stopwatch.GetTimestamp();
            var told = TimeSpan.Zero;
            while (samples.Count < count)
            {
                // By the second, for the bar; samples when they are due.
                var due = every * (samples.Count + 1);
                var next = told + TimeSpan.FromSeconds(1) < due ? told + TimeSpan.FromSeconds(1) : due;
                var left = next - Stopwatch.GetElapsedTime(started);
                // The load ends by itself only when it cannot go on: then it says why.
                if (left > TimeSpan.Zero && await Task.WhenAny(running, Task.Delay(left, cancellation)) == running)
                {
                    await running;
                }

                cancellation.ThrowIfCancellationRequested();
                progress.Advance((next - told).TotalSeconds);
                told = next;
                if (next == due)
                {
                    samples.Add(await sampler.TakeAsync(cancellation));
                    progress.Line(SoakReport.Line(samples[^1]));
                }
            }
        }
        finally
        {
            await over.CancelAsync();
            await running;
        }

        return samples.Count;
    }
}
