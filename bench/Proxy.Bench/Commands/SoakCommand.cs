using System.CommandLine;
using Proxy.Bench.Milvus;
using Proxy.Bench.Report;
using Proxy.Bench.Shape;
using Proxy.Bench.Soak;
using Spectre.Console;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench soak</c>: hours of one steady load, to see that nothing grows.</summary>
internal sealed class SoakCommand
{
    private const long SegmentBytes = 64 << 20;

    private readonly StackOptions _stack = new();
    private readonly Option<string> _profile = StackOptions.Profile("minio-like");
    private readonly Option<long> _data = ByteSize.Option("--data-size", "Bytes of segments alive at a time", 2L << 30);
    private readonly Option<double> _minutes = new("--minutes") { Description = "How long", DefaultValueFactory = _ => 60 };
    private readonly Option<double> _every = new("--every") { Description = "Seconds between samples", DefaultValueFactory = _ => 60 };
    private readonly Option<int> _rate = new("--rate") { Description = "Reads a second", DefaultValueFactory = _ => 200 };
    private readonly Option<double> _turnover = new("--turnover") { Description = "Seconds after which the oldest segment gives way to a new one", DefaultValueFactory = _ => 20 };
    private readonly Option<FileInfo?> _html = new("--html") { Description = "Also write a page with plots" };

    public static Command Build()
    {
        var self = new SoakCommand();
        var command = new Command("soak", "Read and replace segments at a steady rate for an hour through a proxy it starts: memory, handles, latency and CPU a request must stay flat; every byte is compared");
        self._stack.AddTo(command, withScale: false);
        Option[] options = [self._profile, self._data, self._minutes, self._every, self._rate, self._turnover, self._html];
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
        await using var stack = await BenchStack.StartAsync(
            _stack.Assembly(values), profile, values.GetRequiredValue(_stack.Memory), values.GetRequiredValue(_stack.Nvme), folder, values.GetValue(_stack.Ports), cancellation);
        string[] setup = [$"{stack.Proxied.Proxy!.Description}: a local store behind {profile}"];
        console.WriteLine(setup[0]);

        var report = new RunReport();
        using var context = new MilvusContext(stack.Proxied, MilvusScale.Find("XS"), "files", report, connections: 24);
        var segments = (int)Math.Max(2, values.GetRequiredValue(_data) / SegmentBytes);
        var load = new SoakLoad(context, new SoakPlan(values.GetValue(_rate), SegmentBytes, segments, TimeSpan.FromSeconds(values.GetValue(_turnover))));
        await load.WriteFirstAsync(done => console.WriteLine($"  {done} of {segments} segments written"), cancellation);

        var samples = await SampleAsync(
            load, new SoakSampler(load, report, stack.Proxied.Proxy!.Processes[0]), TimeSpan.FromMinutes(values.GetValue(_minutes)), TimeSpan.FromSeconds(values.GetValue(_every)), console, cancellation);
        var result = new SoakReport(samples, report, "proxy-bench " + string.Join(' ', values.Tokens.Select(token => token.Value)), setup);
        result.Show(console);
        if (values.GetValue(_stack.Json) is { } json)
        {
            await result.SaveJsonAsync(json, cancellation);
        }

        if (values.GetValue(_html) is { } html)
        {
            await result.SaveHtmlAsync(html, cancellation);
        }

        var grew = result.Growth().Count;
        var isGood = report.FindingCount == 0 && grew == 0;
        console.WriteLine($"soak: {(isGood ? "good" : "NOT GOOD")}: {report.Checks} checks, {report.FindingCount} wrong; {(grew == 0 ? "nothing grew" : $"{grew} figures grew")}");
        return isGood ? ExitCode.Good : ExitCode.Wrong;
    }

    /// <summary>One sample an interval, told as it is taken, while the load runs.</summary>
    private static async Task<IReadOnlyList<SoakSample>> SampleAsync(
        SoakLoad load, SoakSampler sampler, TimeSpan duration, TimeSpan every, IAnsiConsole console, CancellationToken cancellation)
    {
        var samples = new List<SoakSample>();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var running = load.RunAsync(over.Token);
        for (var taken = 0; taken < Math.Max(4, (int)(duration / every)); taken++)
        {
            // The load ends by itself only when it cannot go on: then it says why.
            if (await Task.WhenAny(running, Task.Delay(every, cancellation)) == running)
            {
                await running;
            }

            cancellation.ThrowIfCancellationRequested();
            samples.Add(sampler.Take());
            console.Profile.Out.Writer.WriteLine(SoakReport.Line(samples[^1]));
        }

        await over.CancelAsync();
        await running;
        return samples;
    }
}
