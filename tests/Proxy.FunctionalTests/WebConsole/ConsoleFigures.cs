using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.Playwright;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.WebConsole;

/// <summary>
/// What open console pages cost the server beside hot reads: figures for a quiet machine, run by hand (<c>-explicit only -showLiveOutput</c>).
/// bench/results/console-cost holds what was measured.
/// </summary>
/// <remarks>Tabs that show nothing of the measured proxy show the same page of another one: a browser that paints beside it costs any server something.</remarks>
public sealed class ConsoleFigures(ITestOutputHelper output)
{
    private const int Rounds = 7;
    private const string Data = "--size 128MiB --seed 1";
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    // What draws the pages and carries them: nothing else in the server uses these.
    private static readonly string[] ConsoleFrames = ["WebConsole", "AspNetCore.Components", "AspNetCore.SignalR", "Http.Connections", "WebSocket", "Radzen", "CacheAdmin"];

    private static readonly string[] Pages = ["/", "/milvus", "/cache", "/backends", "/objects"];

    [Fact(Explicit = true)]
    public async Task OpenPages_OfAProxyWithoutRequests_CpuOfTheServer()
    {
        await using var stage = await Stage.StartAsync();
        await stage.LoadAsync("4KiB", seconds: 5); // something to draw

        // Once before it is looked at: the first drawings are compiled while they are made.
        foreach (var page in Pages)
        {
            await stage.ShowAsync([page]);
        }

        await stage.ShowAsync(Pages);
        await Task.Delay(2 * Look);
        foreach (var shown in (string[][])[Pages, Pages[..1], ["/milvus"], ["/cache"]])
        {
            var (without, with) = (new List<double>(), new List<double>());
            for (var round = 0; round < 2; round++)
            {
                without.Add(await MeasureAsync([]));
                with.Add(await MeasureAsync(shown));
            }

            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{string.Join(' ', shown)}: {without.Average():0.0} ms of CPU a second without, {with.Average():0.0} with, {with.Average() - without.Average():0.0} for the pages"));
        }

        async Task<double> MeasureAsync(string[] pages)
        {
            await stage.ShowAsync(pages);
            var before = stage.ServerCpu;
            var started = Stopwatch.GetTimestamp();
            await Task.Delay(Look);
            return 1000 * (stage.ServerCpu - before) / Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }

    [Theory(Explicit = true)]
    [InlineData("4KiB")]
    [InlineData("64KiB")]
    public async Task OpenPages_BesideHotReads_ServerCpuOfARequest(string range)
    {
        await using var stage = await Stage.StartAsync();
        await stage.LoadAsync(range, seconds: 5);
        string[][] cases = [[], Pages[..1], Pages];
        var costs = new List<double>[] { [], [], [] };
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < cases.Length; i++)
            {
                await stage.ShowAsync(cases[i]);
                costs[i].Add(await stage.LoadAsync(range, seconds: 3));
            }
        }

        for (var i = 0; i < cases.Length; i++)
        {
            var ratios = costs[0].Zip(costs[i], (none, some) => none / some).Order().ToList();
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{range}, {cases[i].Length} pages open: {Median(costs[i]):0.000} µs of the server a request ({costs[i].Min():0.000} to {costs[i].Max():0.000}); capacity ÷ none's of the same round: {Median(ratios):0.0000}"));
        }
    }

    /// <summary>The share of the server's own time that has the console on its stack, by samples: noise of a shared machine does not move it, as it moves a comparison of rates.</summary>
    /// <remarks>All code is compiled at run time here, so that every frame has a name. Needs <c>perf</c> and the right to sample one's own processes.</remarks>
    [Theory(Explicit = true)]
    [InlineData("4KiB")]
    [InlineData("64KiB")]
    public async Task OpenPages_BesideHotReads_ShareOfTheServersSamples(string range)
    {
        const int Seconds = 20;
        Assert.SkipUnless(await ToolProcess.SucceedsAsync("perf", "--version"), "perf is not installed");
        await using var stage = await Stage.StartAsync(new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["DOTNET_PerfMapEnabled"] = "1",
            ["DOTNET_EnableWriteXorExecute"] = "0",
            ["DOTNET_ReadyToRun"] = "0",
        });
        foreach (var shown in (string[][])[[], Pages])
        {
            await stage.ShowAsync(shown);
            await stage.LoadAsync(range, Seconds); // what is drawn again and again is compiled for good meanwhile
            var file = Path.GetTempFileName();
            var load = stage.LoadAsync(range, Seconds + 8);
            await Task.Delay(TimeSpan.FromSeconds(5));
            var recorded = await ToolProcess.RunAsync("perf", ["record", "-F", "499", "-g", "-o", file, "-p", Text(stage.ProcessId), "--", "sleep", Text(Seconds)], Limit);
            Assert.True(recorded.ExitCode == 0, recorded.Output);
            await load;
            var script = await ToolProcess.RunAsync("perf", ["script", "-F", "comm,ip,sym", "-i", file], Limit);
            File.Delete(file);
            var samples = script.Output.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(static sample => sample.Contains('\n', StringComparison.Ordinal)).ToList();
            var ofConsole = samples.Count(static sample => ConsoleFrames.Any(name => sample.Contains(name, StringComparison.Ordinal)));
            var ofCollector = samples.Count(static sample => sample.Contains("gc_heap", StringComparison.Ordinal));

            // The kernel's own threads, and stacks that were cut before they came to our code: not known whose they are.
            var known = samples.Count(static sample => sample.Contains("Proxy.", StringComparison.Ordinal) || sample.Contains("Microsoft.", StringComparison.Ordinal) || sample.Contains("System.", StringComparison.Ordinal));
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{range}, {shown.Length} pages open: {samples.Count} samples, {known} with managed code on the stack, the console on that of {ofConsole} ({100.0 * ofConsole / known:0.00} % of those), the collector on that of {ofCollector}"));
        }

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }

    /// <summary>A proxy with Milvus-shaped objects in memory, and five signed-in tabs before it.</summary>
    private sealed class Stage(ProxyProcess proxy, ProxyProcess other, IPlaywright playwright, IBrowser browser, IReadOnlyList<IPage> tabs) : IAsyncDisposable
    {
        public int ProcessId => proxy.ProcessId;

        public double ServerCpu
        {
            get
            {
                using var process = Process.GetProcessById(proxy.ProcessId);
                return process.TotalProcessorTime.TotalSeconds;
            }
        }

        public static async Task<Stage> StartAsync(IReadOnlyDictionary<string, string>? environment = null)
        {
            var proxy = await ProxyProcess.StartAsync(["--memory", "512MiB"], environment: environment);
            await BenchAsync($"dataset --endpoint {proxy.Endpoint} {Data}");
            await BenchAsync($"verify --endpoint {proxy.Endpoint} {Data}");
            var other = await ProxyProcess.StartAsync();
            await BenchAsync($"dataset --endpoint {other.Endpoint} {Data}");
            var playwright = await Playwright.CreateAsync();
            var browser = await playwright.Chromium.LaunchAsync(ConsoleFixture.LaunchOptions);
            var tabs = new List<IPage>();
            foreach (var _ in Pages)
            {
                // A session each, as five people would have.
                var context = await browser.NewContextAsync(new BrowserNewContextOptions { BaseURL = proxy.Admin.ToString(), ViewportSize = new ViewportSize { Width = 1440, Height = 1000 } });
                tabs.Add(await context.NewPageAsync());
                await ConsoleFixture.SignInAsync(tabs[^1], "/");
                await ConsoleFixture.SignInAsync(tabs[^1], Elsewhere(other, "/"));
            }

            return new Stage(proxy, other, playwright, browser, tabs);
        }

        /// <summary>Opens these pages, one a tab, and in the other tabs the other proxy's.</summary>
        public async Task ShowAsync(string[] pages)
        {
            for (var i = 0; i < tabs.Count; i++)
            {
                await tabs[i].GotoAsync(i < pages.Length ? pages[i] : Elsewhere(other, Pages[i]));
            }

            // Until the pages are alive and what was closed is gone.
            await Task.Delay(TimeSpan.FromSeconds(3));
        }

        /// <returns>Microseconds of the server's CPU a request.</returns>
        public async Task<double> LoadAsync(string range, int seconds)
        {
            var file = Path.GetTempFileName();
            await BenchAsync($"load --endpoint {proxy.Endpoint} {Data} --mix range --range-size {range} --only index --concurrency 32 --warmup 0.5 --seconds {seconds} --server-pid {proxy.ProcessId} --json {file}");
            using var result = JsonDocument.Parse(await File.ReadAllTextAsync(file));
            File.Delete(file);
            var reads = result.RootElement.GetProperty("operations").GetProperty("Range");
            Assert.Equal("Memory 100 %", reads.GetProperty("cache").GetString());
            return 1e6 * result.RootElement.GetProperty("serverCpuSeconds").GetDouble() / reads.GetProperty("requests").GetInt64();
        }

        public async ValueTask DisposeAsync()
        {
            await browser.DisposeAsync();
            playwright.Dispose();
            await proxy.DisposeAsync();
            await other.DisposeAsync();
        }

        // By another name: cookies know no ports.
        private static string Elsewhere(ProxyProcess other, string page) => $"http://localhost:{other.Admin.Port}{page}";

        private static async Task BenchAsync(string arguments)
        {
            var bench = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Bench", Loopback.Configuration, "proxy-bench.dll");
            var result = await ToolProcess.RunAsync("dotnet", [bench, .. arguments.Split(' ')], Limit);
            Assert.True(result.ExitCode == 0, result.Output);
        }
    }
}
