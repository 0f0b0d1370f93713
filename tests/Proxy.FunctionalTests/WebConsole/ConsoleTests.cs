using Microsoft.Playwright;
using Proxy.FunctionalTests.Telemetry;
using Proxy.Server.WebConsole;
using static Microsoft.Playwright.Assertions;

namespace Proxy.FunctionalTests.WebConsole;

/// <summary>The console as a person uses it, in a real browser.</summary>
[Collection(ConsoleFixture.Collection)]
public sealed class ConsoleTests(ConsoleFixture fixture) : IAsyncDisposable
{
    /// <summary>Texts whose contrast with what they stand on is below WCAG's 4.5 (3 for large ones); icons and charts are not looked at.</summary>
    private const string FaintText = """
        () => {
          const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
          const paint = colors => {
            canvas.clearRect(0, 0, 1, 1);
            for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const faint = new Set();
          for (const element of document.querySelectorAll('body *:not(svg *):not(.rzi)')) {
            const own = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.textContent.trim()).join('');
            if (!own || !element.checkVisibility()) continue;
            const style = getComputedStyle(element), grounds = [];
            for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
            const [low, high] = [paint(['white', ...grounds]), paint(['white', ...grounds, style.color])].sort((a, b) => a - b);
            const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
            if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5)) faint.add(`${own.slice(0, 30)}: ${ratio.toFixed(2)}`);
          }
          return [...faint].join();
        }
        """;

    public ValueTask DisposeAsync() => fixture.ClosePagesAsync();

    [Fact]
    public async Task SignIn_WrongThenRight_OpensTheOverview()
    {
        var (page, _) = await fixture.OpenAsync();
        await page.GotoAsync("/cache");
        await page.WaitForURLAsync("**/signin");
        await ConsoleFixture.PictureAsync(page, "signin");
        await page.GetByLabel("Access key").FillAsync("minioadmin");
        await page.GetByLabel("Secret key").FillAsync("wrong-wrong");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("wrong");

        // By keyboard alone.
        await page.GetByLabel("Access key").FocusAsync();
        await page.Keyboard.TypeAsync("minioadmin");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.TypeAsync("minioadmin");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Overview" })).ToBeVisibleAsync();

        var cookie = (await page.Context.CookiesAsync()).Single(c => c.Name == "s3-proxy-session");
        Assert.True(cookie.HttpOnly);
        Assert.Equal(SameSiteAttribute.Strict, cookie.SameSite);

        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Expect(page.GetByLabel("Secret key")).ToBeVisibleAsync();
        await page.GotoAsync("/milvus");
        await Expect(page.GetByLabel("Secret key")).ToBeVisibleAsync();
    }

    [Theory]
    [InlineData("light")]
    [InlineData("dark")]
    public async Task EachPage_ShowsItsFiguresAndAsksOnlyThisServer(string theme)
    {
        var (page, requests) = await fixture.SignInAsync(scheme: theme == "dark" ? ColorScheme.Dark : ColorScheme.Light);
        await fixture.Near.GetAsync($"/milvus-bucket/files/index_files/{ConsoleFixture.Id(7000)}/1/{ConsoleFixture.Id(900)}/{ConsoleFixture.Id(0)}/HNSW_0"); // a figure for the last minute
        await Expect(page.GetByText("Hit rate").First).ToBeVisibleAsync();
        await Expect(page.Locator(".card:has-text('Latency') svg").First).ToBeVisibleAsync();
        await Expect(page.Locator(".card:has-text('Flow') svg").First).ToBeVisibleAsync();
        await Expect(page.Locator(".kpi-value").First).Not.ToHaveTextAsync("–");
        await ConsoleFixture.PictureAsync(page, "overview-" + theme);

        await page.GetByRole(AriaRole.Link, new() { Name = "Milvus" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "milvus-bucket: " + ConsoleFixture.Id(440), Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "partition " + ConsoleFixture.Id(900), Exact = true }).First.ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "segment " + ConsoleFixture.Id(0), Exact = true }).First.ClickAsync();
        await Expect(page.GetByText("index build").First).ToBeVisibleAsync();
        await ConsoleFixture.PictureAsync(page, "milvus-" + theme);

        await page.GetByRole(AriaRole.Link, new() { Name = "Cache" }).ClickAsync();
        await Expect(page.GetByText("What a bigger cache would give")).ToBeVisibleAsync();
        await Expect(page.GetByText("would hit")).ToBeVisibleAsync();
        await Expect(page.Locator(".card:has-text('bigger cache') svg").First).ToBeVisibleAsync();
        await ConsoleFixture.PictureAsync(page, "cache-" + theme);

        await page.GetByRole(AriaRole.Link, new() { Name = "Backends" }).ClickAsync();
        await Expect(page.GetByText("closed: it answers")).ToBeVisibleAsync();
        await Expect(page.Locator("dt:text-is('Hedges') + dd")).ToContainTextAsync("sent: 0 won, 0 lost");
        await Expect(page.Locator(".card svg").GetByText("now")).ToHaveCountAsync(4); // every chart has its axis

        await ConsoleFixture.PictureAsync(page, "backends-" + theme);

        await page.GetByRole(AriaRole.Link, new() { Name = "Objects" }).ClickAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "files/" }).ClickAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "index_files/" }).ClickAsync();
        await page.GotoAsync("/objects?bucket=milvus-bucket&key=files/index_files/" + ConsoleFixture.Id(7000) + "/1/" + ConsoleFixture.Id(900) + "/" + ConsoleFixture.Id(0) + "/HNSW_0");
        await Expect(page.Locator("dt:text-is('Filled') + dd")).ToContainTextAsync(", by a PUT through this proxy");
        await Expect(page.Locator("dt:text-is('Learned of') + dd")).ToContainTextAsync("from a PUT through this proxy");
        await ConsoleFixture.PictureAsync(page, "objects-" + theme);

        string[] expected = [fixture.Near.Proxy.Admin.ToString(), "data:", "console info", "console log"];
        Assert.DoesNotContain(requests, request => !Array.Exists(expected, start => request.StartsWith(start, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Milvus_Filtered_ShowsTheCollectionsThatMatch()
    {
        var (page, _) = await fixture.SignInAsync();
        await Expect(page.Locator(".card svg").First).ToBeVisibleAsync(); // alive: a click before that may be lost
        await page.GetByRole(AriaRole.Link, new() { Name = "Milvus" }).ClickAsync();
        var rows = page.GetByRole(AriaRole.Button, new() { Name = "milvus-bucket: " + ConsoleFixture.Id(440), Exact = true });
        await Expect(rows).ToBeVisibleAsync();
        var filter = page.GetByLabel("Filter collections by name");
        await filter.PressSequentiallyAsync("00441");
        await Expect(rows).ToHaveCountAsync(0);
        await Expect(page.GetByRole(AriaRole.Button, new() { Name = "milvus-bucket: " + ConsoleFixture.Id(441), Exact = true })).ToBeVisibleAsync();
        await filter.PressSequentiallyAsync("x");
        await Expect(page.GetByText("No collection's name has “00441x” in it.")).ToBeVisibleAsync();
        await filter.ClearAsync();
        await Expect(rows).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Overview_OfWhatWasSaved_SaysWhatTheMetricsDo()
    {
        var metrics = new MetricsPage(await fixture.Near.Proxy.ReadMetricsAsync());
        var (page, _) = await fixture.SignInAsync();
        Assert.True(metrics.Sum("s3_proxy_saved_dollars_total") > 0);
        await Expect(Kpi("Requests saved")).ToHaveTextAsync(Figures.Count(metrics.Sum("s3_proxy_saved_requests_total")));
        await Expect(Kpi("Bytes saved")).ToHaveTextAsync(Figures.Bytes(metrics.Sum("s3_proxy_saved_bytes_total")));
        await Expect(Kpi("Money saved")).ToHaveTextAsync(Figures.Money(metrics.Sum("s3_proxy_saved_dollars_total")));

        ILocator Kpi(string name) => page.Locator($".kpi:has-text('{name}') .kpi-value");
    }

    [Fact]
    public async Task WarmJob_FromClickToFinish_FillsTheBar()
    {
        var (page, _) = await fixture.SignInAsync();
        await Expect(page.Locator(".card svg").First).ToBeVisibleAsync(); // alive: what is filled in and clicked before that may be lost
        await page.GetByRole(AriaRole.Link, new() { Name = "Milvus" }).ClickAsync();
        await page.GetByLabel("Collection", new() { Exact = true }).FillAsync(ConsoleFixture.Id(442));
        await page.GetByLabel("At most MiB/s").FillAsync("8");
        await page.GetByRole(AriaRole.Button, new() { Name = "Warm", Exact = true }).Last.ClickAsync();
        var bar = page.GetByRole(AriaRole.Progressbar).First;
        await Expect(bar).ToBeVisibleAsync();
        await Expect(bar).Not.ToHaveAttributeAsync("aria-valuenow", "0");
        await ConsoleFixture.PictureAsync(page, "warming");
        await Expect(page.Locator(".job-state").First).ToHaveTextAsync("completed");
        await Expect(bar).ToHaveAttributeAsync("aria-valuenow", "100");
        Assert.Equal(100, await fixture.Near.PercentAsync($"bucket=milvus-bucket&collection={ConsoleFixture.Id(442)}"));
        await Expect(page.GetByRole(AriaRole.Button, new() { Name = "milvus-bucket: " + ConsoleFixture.Id(442), Exact = true })).ToBeVisibleAsync();

        // Pinned and let go again, then purged, which asks first.
        await page.GetByRole(AriaRole.Button, new() { Name = $"Pin milvus-bucket: {ConsoleFixture.Id(442)}" }).ClickAsync();
        await Expect(page.GetByText("pinned").First).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = $"Unpin milvus-bucket: {ConsoleFixture.Id(442)}" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = $"Purge milvus-bucket: {ConsoleFixture.Id(442)}" }).ClickAsync();
        await ConsoleFixture.PictureAsync(page, "purge");
        await page.GetByRole(AriaRole.Button, new() { Name = "Purge", Exact = true }).Last.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Status)).ToContainTextAsync("forgotten");
        Assert.Equal(0, await fixture.Near.PercentAsync($"bucket=milvus-bucket&collection={ConsoleFixture.Id(442)}"));
    }

    [Theory]
    [InlineData("light")]
    [InlineData("dark")]
    public async Task NarrowScreen_EveryPage_FitsItsWidth(string theme)
    {
        var (page, _) = await fixture.SignInAsync(width: 390, height: 844, scheme: theme == "dark" ? ColorScheme.Dark : ColorScheme.Light);
        var tree = $"files/index_files/{ConsoleFixture.Id(7000)}/1/{ConsoleFixture.Id(900)}/{ConsoleFixture.Id(0)}";
        foreach (var (picture, heading, path) in new[]
        {
            ("overview", "Overview", "/"), ("milvus", "Milvus", "/milvus"), ("cache", "Cache", "/cache"), ("backends", "Backends", "/backends"), ("objects", "Objects", "/objects"),
            ("folder", "Objects", $"/objects?bucket=milvus-bucket&prefix={tree}/"), ("object", "Objects", $"/objects?bucket=milvus-bucket&key={tree}/HNSW_0"),
        })
        {
            if (path == "/milvus")
            {
                // Not loaded anew: a click before the page is alive would be lost.
                await page.GetByRole(AriaRole.Link, new() { Name = "Milvus" }).ClickAsync();
            }
            else
            {
                await page.GotoAsync(path);
            }

            await Expect(page.GetByRole(AriaRole.Heading, new() { Name = heading, Level = 1 })).ToBeVisibleAsync();
            if (path is "/" or "/cache" or "/backends")
            {
                await Expect(page.Locator(".card svg").Last).ToBeVisibleAsync();
            }

            if (path == "/milvus")
            {
                await page.GetByRole(AriaRole.Button, new() { Name = "milvus-bucket: " + ConsoleFixture.Id(440), Exact = true }).ClickAsync();
                await page.GetByRole(AriaRole.Button, new() { Name = "partition " + ConsoleFixture.Id(900), Exact = true }).First.ClickAsync();
                await page.GetByRole(AriaRole.Button, new() { Name = "segment " + ConsoleFixture.Id(0), Exact = true }).First.ClickAsync();
                await Expect(page.GetByText("index build").First).ToBeVisibleAsync();
            }

            await ConsoleFixture.PictureAsync(page, $"narrow-{picture}-{theme}");
            Assert.InRange(await page.EvaluateAsync<int>("document.documentElement.scrollWidth"), 0, 390);

            Assert.Equal("", await page.EvaluateAsync<string>(FaintText));

            // Nor is a part of it out of sight until somebody thinks of pushing it sideways.
            Assert.Equal("", await page.EvaluateAsync<string>("""
                [...document.querySelectorAll('nav, .scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => `${e.className || e.ariaLabel} ${e.scrollWidth} > ${e.clientWidth}`).join()
                """));
        }
    }

    [Theory]
    [InlineData("light")]
    [InlineData("dark")]
    public async Task Keyboard_ThroughTheBar_ShowsWhereItIsAndGoesThere(string theme)
    {
        var (page, _) = await fixture.SignInAsync(width: 390, height: 844, scheme: theme == "dark" ? ColorScheme.Dark : ColorScheme.Light);
        await Expect(page.Locator(".card svg").First).ToBeVisibleAsync();
        await page.Locator(".brand").FocusAsync();
        for (var i = 0; i < 5; i++)
        {
            await page.Keyboard.PressAsync("Tab");

            // White on the bar's dark ground, and inside the link: nothing around it can cut it off.
            Assert.Equal("solid rgb(255, 255, 255) -2px", await page.EvaluateAsync<string>(
                "(style => `${style.outlineStyle} ${style.outlineColor} ${style.outlineOffset}`)(getComputedStyle(document.activeElement))"));
        }

        await ConsoleFixture.PictureAsync(page, "focus-" + theme);
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Objects", Level = 1 })).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Theme_Chosen_Stays()
    {
        var (page, _) = await fixture.SignInAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "Use the dark theme" }).ClickAsync();
        await Expect(page.Locator("html")).ToHaveClassAsync("theme-dark");
        await page.ReloadAsync();
        await Expect(page.Locator("html")).ToHaveClassAsync("theme-dark");
        await page.GetByRole(AriaRole.Link, new() { Name = "Use the light theme" }).ClickAsync();
        await Expect(page.Locator("html")).ToHaveClassAsync("theme-light");
    }

    /// <summary>A page that stays open, because it does not go where it is sent, has no more power than who looks at it.</summary>
    [Fact]
    public async Task Purge_SignedOutElsewhere_PurgesNothing()
    {
        var (page, _) = await fixture.SignInAsync();
        await Expect(page.Locator(".card svg").First).ToBeVisibleAsync(); // alive: a click before that may be lost
        await page.GetByRole(AriaRole.Link, new() { Name = "Milvus" }).ClickAsync();
        var selection = $"bucket=milvus-bucket&collection={ConsoleFixture.Id(440)}";
        var before = await fixture.Near.PercentAsync(selection);
        Assert.True(before > 0, "nothing to purge");
        await page.GetByRole(AriaRole.Button, new() { Name = $"Purge milvus-bucket: {ConsoleFixture.Id(440)}" }).ClickAsync();
        var confirm = page.GetByRole(AriaRole.Button, new() { Name = "Purge", Exact = true }).Last;
        await Expect(confirm).ToBeVisibleAsync();
        var button = await confirm.ElementHandleAsync(); // a locator would wait until the page has gone where it is sent

        var sentAway = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await page.RouteAsync("**/signin", async route =>
        {
            sentAway.TrySetResult();
            await route.FulfillAsync(new RouteFulfillOptions { Status = 204 }); // and stays where it is
        });
        await fixture.SignOutAsync(page);
        await sentAway.Task.WaitAsync(TimeSpan.FromMinutes(1));
        await button.EvaluateAsync("button => button.click()");
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (await button.EvaluateAsync<bool>("button => button.isConnected"))
        {
            await Task.Delay(50, patience.Token);
        }

        await Task.Delay(TimeSpan.FromSeconds(1)); // what does not happen has no event
        Assert.Equal(before, await fixture.Near.PercentAsync(selection));
    }

    [Fact]
    public async Task Cookie_FromAnotherOrigin_ChangesNothing()
    {
        var (page, _) = await fixture.SignInAsync();
        var cookie = (await page.Context.CookiesAsync()).Single(c => c.Name == "s3-proxy-session");
        using var http = new HttpClient { BaseAddress = fixture.Near.Proxy.Admin };
        foreach (var (origin, status) in new[] { ("http://127.0.0.1:9000", 403), (fixture.Near.Proxy.Admin.ToString().TrimEnd('/'), 200) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/purge") { Content = new StringContent("""{"bucket":"no-such"}""", System.Text.Encoding.UTF8, "application/json") };
            request.Headers.Add("Cookie", $"{cookie.Name}={cookie.Value}");
            request.Headers.Add("Origin", origin);
            using var answer = await http.SendAsync(request);
            Assert.Equal(status, (int)answer.StatusCode);
        }
    }
}
