using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Proxy.FunctionalTests.Admin;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Telemetry;
using Proxy.Server.Hosting;
using Proxy.Server.WebConsole;
using static Microsoft.Playwright.Assertions;

namespace Proxy.FunctionalTests.WebConsole;

/// <summary>What the console shows of a proxy that something happens to. Each test has its own, and watches it without loading the page anew.</summary>
[Collection(ConsoleFixture.Collection)]
public sealed partial class ConsoleStateTests(ConsoleFixture fixture) : IAsyncDisposable
{
    private const string Key = "files/index_files/77/1/55/66/HNSW_0";
    private const int MiB = 1 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public ValueTask DisposeAsync() => fixture.ClosePagesAsync();

    [Fact]
    public async Task Backends_WhoseProcessStops_ShowAnOpenBreakerUntilItIsBack()
    {
        await using var far = await ProxyProcess.StartAsync();
        await using var near = new AdminFixture(await ProxyProcess.StartAsync(backend: far.Endpoint));
        using var client = new SignedClient(near.Proxy.Endpoint);
        var bytes = Random(MiB);
        await near.PutAsync("/a-bucket");
        await near.PutAsync("/a-bucket/" + Key, bytes);
        await near.TellAsync("/purge", new { bucket = "a-bucket" });

        var (page, _) = await fixture.SignInAsync(of: near.Proxy);
        var (breaker, dot) = (page.Locator("dt:text-is('Breaker') + dd"), page.Locator("h2 .dot"));
        await GoAsync(page, "Backends");
        await Expect(breaker).ToHaveTextAsync("closed: it answers");
        await Expect(dot).ToHaveClassAsync("dot good");
        await Expect(page.Locator("dt:text-is('Errors') + dd")).ToHaveTextAsync(None());

        await far.StopAsync();
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(503, (await client.GetAsync("/a-bucket/" + Key)).Status);
        }

        await Expect(breaker).ToHaveTextAsync("open: left alone until a probe succeeds");
        await Expect(dot).ToHaveClassAsync("dot bad");
        await Expect(page.Locator("dt:text-is('Errors') + dd")).Not.ToHaveTextAsync(None());
        await Expect(page.Locator("tr:has-text('no answer')").First).ToBeVisibleAsync();
        Assert.Equal(1, new MetricsPage(await near.Proxy.ReadMetricsAsync()).Sum("s3_proxy_backend_breakers_open"));
        await ConsoleFixture.PictureAsync(page, "breaker-open");
        await GoAsync(page, "Overview");
        await Expect(page.Locator(".health li:has-text('Backend')")).ToContainTextAsync("breaker open");
        await Expect(page.Locator(".health li:has-text('Backend') .dot")).ToHaveClassAsync("dot bad");
        await GoAsync(page, "Backends");

        await far.StartAgainAsync();
        await Expect(breaker).ToHaveTextAsync("closed: it answers");
        await Expect(dot).ToHaveClassAsync("dot good");
        Assert.Equal(bytes, (await client.GetAsync("/a-bucket/" + Key)).Body);
        await GoAsync(page, "Overview");
        await Expect(page.Locator(".health li:has-text('Backend')")).ToContainTextAsync("breaker closed");
    }

    [Fact]
    public async Task Backends_OneReadLateAmongMany_ShowTheHedgeThatWon()
    {
        const int Reads = 250; // from 200 on a 99th percentile says something

        // No index slice: its siblings would be asked for beside it, and one of those questions might meet the fault instead.
        const string LogKey = "files/insert_log/77/1/55/100/";
        await using var far = await FaultyBackend.StartAsync(buckets: "data");
        await using var near = new AdminFixture(await ProxyProcess.StartAsync(backend: new Uri(far.Url)));
        for (var i = 0; i <= Reads; i++)
        {
            Assert.True(far.Store.TryPut("data", $"{LogKey}{i}", FaultyObject.Of(Random(100))));
        }

        for (var i = 0; i < Reads; i++)
        {
            await near.GetAsync($"/data/{LogKey}{i}");
        }

        far.Break("GetObject", new Fault { Latency = TimeSpan.FromSeconds(20) }, times: 1);
        var started = TimeProvider.System.GetTimestamp();
        await near.GetAsync($"/data/{LogKey}{Reads}");
        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(10), "the late answer was waited for");

        Assert.True(Hedges(new MetricsPage(await near.Proxy.ReadMetricsAsync()), "won") >= 1, "no hedge has won");
        var (page, _) = await fixture.SignInAsync(of: near.Proxy);
        await GoAsync(page, "Backends");

        // On a busy machine others were late too, and some of them end only now.
        var (shown, counted) = ("", "other");
        for (var looks = 0; looks < 100 && !shown.Contains(counted, StringComparison.Ordinal); looks++)
        {
            await Task.Delay(200);
            var metrics = new MetricsPage(await near.Proxy.ReadMetricsAsync());
            var (won, lost) = (Hedges(metrics, "won"), Hedges(metrics, "lost"));
            counted = $"{won + lost} sent: {won} won, {lost} lost";
            shown = await page.Locator("dt:text-is('Hedges') + dd").TextContentAsync() ?? "";
        }

        Assert.Contains(counted, shown, StringComparison.Ordinal);
        await ConsoleFixture.PictureAsync(page, "hedges");

        static double Hedges(MetricsPage metrics, string result) => metrics.Sum("s3_proxy_backend_hedges_ended_total", $"result=\"{result}\"");
    }

    /// <summary>A page asks on and on: who stops the proxy does not wait for somebody to close it.</summary>
    [Fact]
    public async Task OpenPage_DoesNotHoldAStopUp()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"]);
        var (page, _) = await fixture.SignInAsync(of: proxy);
        await GoAsync(page, "Overview");

        var told = TimeProvider.System.GetTimestamp();
        Assert.Equal(0, await proxy.StopAsync());
        Assert.InRange(TimeProvider.System.GetElapsedTime(told).TotalSeconds, 0, 10); // S3:ShutdownTimeout is 30
        Assert.Contains("Stopped: requests in flight were answered.", proxy.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cache_WriteBudget_IsADaysWorthOfWhatWasWritten()
    {
        const long Capacity = 256 * MiB;
        await using var proxy = new AdminFixture(await ProxyProcess.StartAsync(["--nvme", "256MiB"]));
        await proxy.PutAsync("/a-bucket");
        for (var i = 0; i < 6; i++)
        {
            await proxy.PutAsync($"/a-bucket/{i}", Random(4 * MiB));
        }

        var (page, _) = await fixture.SignInAsync(of: proxy.Proxy);
        await GoAsync(page, "Cache");
        var budget = page.Locator("dt:text-is('Write budget') + dd");

        // The page is a moment behind, and the log writes its last page when it finds the time: until both say the same.
        using var limit = new CancellationTokenSource(Patience);
        Match shown;
        while (!(shown = Budget().Match(await budget.InnerTextAsync())).Success || shown.Groups["written"].Value != Figures.Bytes(await WrittenAsync()) || await WrittenAsync() < 24 * MiB)
        {
            await Task.Delay(100, limit.Token);
        }

        // Half a second, or a twentieth of a minute, and a twentieth of a unit are lost to what is shown of them.
        var (unit, lost) = shown.Groups["unit"].Value == "s" ? (1, 0.5) : (60, 3);
        var (written, seconds) = (Size("written"), unit * double.Parse(shown.Groups["time"].Value, CultureInfo.InvariantCulture));
        Assert.InRange(seconds, WriteBudget.LeastSeconds, History.Span.TotalSeconds);
        Assert.InRange(Size("day"), 0.98 * written / (seconds + lost) * 86_400, 1.02 * written / (seconds - lost) * 86_400);
        var times = double.Parse(shown.Groups["times"].Value, CultureInfo.InvariantCulture);
        Assert.InRange(times, (0.98 * Size("day") / Capacity) - 0.5, (1.02 * Size("day") / Capacity) + 0.5);
        await ConsoleFixture.PictureAsync(page, "write-budget");

        async Task<double> WrittenAsync() => new MetricsPage(await proxy.Proxy.ReadMetricsAsync()).Sum("s3_proxy_nvme_written_bytes_total");

        double Size(string group) => ByteSize.TryParse(shown.Groups[group].Value, out var bytes) ? bytes : throw new FormatException(shown.Value);
    }

    [Fact]
    public async Task Objects_ExplainedKey_TellsWhatFilledIt()
    {
        await using var proxy = await AdminFixture.StartAsync();
        await proxy.PutAsync("/a-bucket");
        await proxy.PutAsync("/a-bucket/" + Key, Random(MiB));
        var (page, _) = await fixture.SignInAsync(of: proxy.Proxy);
        var filled = page.Locator("dt:text-is('Filled') + dd");
        await page.GotoAsync("/objects?bucket=a-bucket&key=" + Key);
        await Expect(filled).ToContainTextAsync(", by a PUT through this proxy");

        await proxy.TellAsync("/purge", new { bucket = "a-bucket" });
        await Expect(filled).ToHaveCountAsync(0);
        await proxy.GetAsync("/a-bucket/" + Key);
        await Expect(filled).ToContainTextAsync(", by a client's read");

        // By the page's own buttons: no longer lost once the page has redrawn by itself.
        await page.GetByRole(AriaRole.Button, new() { Name = "Purge", Exact = true }).ClickAsync();
        await Expect(filled).ToHaveCountAsync(0);
        await page.GetByLabel("Explain this key").GetByRole(AriaRole.Button, new() { Name = "Warm", Exact = true }).ClickAsync();
        await Expect(filled).ToContainTextAsync(", by a warm job");
        await Expect(page.Locator("dt:text-is('Learned of') + dd")).ToContainTextAsync("from a warm job");
        await ConsoleFixture.PictureAsync(page, "explain-warm");

        await proxy.Proxy.RestartAsync();
        (page, _) = await fixture.SignInAsync(of: proxy.Proxy);
        filled = page.Locator("dt:text-is('Filled') + dd");
        await page.GotoAsync("/objects?bucket=a-bucket&key=" + Key);
        await Expect(filled).ToHaveTextAsync("not known: before the last start");
        await ConsoleFixture.PictureAsync(page, "explain-restarted");
    }

    [Fact]
    public async Task Figures_OfKnownReads_AreOnTheirPages()
    {
        await using var far = await ProxyProcess.StartAsync();
        await using var near = new AdminFixture(await ProxyProcess.StartAsync(backend: far.Endpoint));
        await near.PutAsync("/a-bucket");
        await near.PutAsync("/a-bucket/" + Key, Random(MiB));
        await near.PutAsync("/a-bucket/large", Random(3 * MiB));
        await near.TellAsync("/purge", new { bucket = "a-bucket", key = Key });
        var (page, _) = await fixture.SignInAsync(of: near.Proxy);
        await Expect(page.Locator(".card svg").First).ToBeVisibleAsync();

        // One miss and nine hits.
        Assert.Equal("MISS", (await near.GetAsync("/a-bucket/" + Key)).Cache);
        await near.FilledAsync("bucket=a-bucket&key=" + Key);
        for (var i = 0; i < 9; i++)
        {
            Assert.Equal("HIT-MEMORY", (await near.GetAsync("/a-bucket/" + Key)).Cache);
        }

        await Expect(Kpi("Hit rate")).ToHaveTextAsync("90 %");
        await Expect(Kpi("Reads")).Not.ToHaveTextAsync("0/s");
        await Expect(Kpi("Latency p50")).Not.ToHaveTextAsync("–");
        await Expect(Kpi("Latency p99")).Not.ToHaveTextAsync("–");
        await Expect(page.Locator(".flow").GetByText("Clients 10 MiB")).ToBeVisibleAsync();

        // How much of the miss came out of the fill and how much was in memory already when its reader came to it, the metrics know.
        var metrics = new MetricsPage(await near.Proxy.ReadMetricsAsync());
        foreach (var (name, tier) in new[] { ("Memory", "memory"), ("Backend", "backend") })
        {
            var bytes = metrics.Sum("s3_proxy_object_read_bytes_total", $"tier=\"{tier}\"");
            await Expect(page.Locator(".flow").GetByText($"{name} {Figures.Bytes(bytes)}")).ToHaveCountAsync(bytes > 0 ? 1 : 0);
        }

        await GoAsync(page, "Cache");
        var (hottest, largest) = (page.Locator(".card:has(h2:text-is('Hottest')) tbody tr"), page.Locator(".card:has(h2:text-is('Largest')) tbody tr"));
        await Expect(hottest).ToHaveCountAsync(1);
        await Expect(hottest.Locator(".key")).ToHaveTextAsync("a-bucket/" + Key);
        await Expect(hottest.Locator("[data-name=read]")).ToHaveTextAsync("10");
        await Expect(largest.Locator(".key")).ToHaveTextAsync(["a-bucket/large", "a-bucket/" + Key]);
        await Expect(page.Locator("dt:text-is('Amplification') + dd")).ToContainTextAsync("1× ");

        ILocator Kpi(string name) => page.Locator($".kpi:has-text('{name}') .kpi-value");
    }

    [Fact]
    public async Task SignIn_AfterFiveWrongSecrets_HasToWait()
    {
        await using var proxy = await ProxyProcess.StartAsync();
        var (page, _) = await fixture.OpenAsync(of: proxy);
        for (var i = 0; i < 5; i++)
        {
            await SignInAsync("guess-guess");
            await Expect(page.GetByRole(AriaRole.Alert)).ToHaveTextAsync("Access key or secret key is wrong.");
        }

        await SignInAsync(ProxyProcess.SecretKey);
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("Too many wrong secrets. Wait ");

        async Task SignInAsync(string secret)
        {
            await page.GotoAsync("/signin");
            await page.GetByLabel("Access key").FillAsync(ProxyProcess.AccessKey);
            await page.GetByLabel("Secret key").FillAsync(secret);
            await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        }
    }

    /// <summary>By the bar, once the page is alive: a click before that may be lost.</summary>
    private static async Task GoAsync(IPage page, string name)
    {
        await Expect(page.Locator(".card svg").First).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = name, Level = 1 })).ToBeVisibleAsync();
    }

    private static byte[] Random(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    [GeneratedRegex("^0 ", RegexOptions.None, 5000)]
    private static partial Regex None();

    [GeneratedRegex(@"^\s*(?<day>[\d.]+ \w+) a day, (?<times>[\d.]+)× its size by the (?<written>[\d.]+ \w+) of the last (?<time>[\d.]+) (?<unit>s|min)\s*$", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Budget();
}
