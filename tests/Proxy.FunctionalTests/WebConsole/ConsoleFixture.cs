using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Playwright;
using Proxy.FunctionalTests.Admin;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.WebConsole;

/// <summary>A proxy in front of another, with a small Milvus tree that was read, and a real Chromium before its console.</summary>
/// <remarks>Tests that stop or fill a proxy show their own in its browser. Skips the calling test where there is no Chromium. With CONSOLE_SCREENSHOTS set to a folder, tests leave pictures there for people.</remarks>
public sealed class ConsoleFixture : IAsyncLifetime
{
    public const string Collection = "console";

    private const string Chromium = "/usr/bin/chromium";
    private static readonly string[] Arguments =
    [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];

    internal static BrowserTypeLaunchOptions LaunchOptions { get; } = new() { ExecutablePath = Chromium, Args = Arguments };

    private readonly List<IBrowserContext> _contexts = [];
    private ProxyProcess? _far;
    private AdminFixture? _near;
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public AdminFixture Near => _near!;

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium))
        {
            return;
        }

        _far = await ProxyProcess.StartAsync();
        _near = new AdminFixture(await ProxyProcess.StartAsync(["--memory", "48MiB", "--nvme", "256MiB"], _far.Endpoint));
        await _near.PutAsync("/milvus-bucket");
        var random = new Random(7);
        var keys = new List<string>();
        for (var collection = 0; collection < 3; collection++)
        {
            for (var segment = 0; segment < 4; segment++)
            {
                var body = new byte[(1 << 20) + random.Next(3 << 20)];
                random.NextBytes(body);
                var partition = Id(900 + collection);
                foreach (var key in new[]
                {
                    $"insert_log/{Id(440 + collection)}/{partition}/{Id(10 * collection + segment)}/101/{Id(5)}",
                    $"insert_log/{Id(440 + collection)}/{partition}/{Id(10 * collection + segment)}/102/{Id(6)}",
                    $"stats_log/{Id(440 + collection)}/{partition}/{Id(10 * collection + segment)}/100/{Id(7)}",
                    $"index_files/{Id(7000 + (10 * collection) + segment)}/1/{partition}/{Id(10 * collection + segment)}/HNSW_0",
                })
                {
                    keys.Add("/milvus-bucket/files/" + key);
                    await _near.PutAsync(keys[^1], key.StartsWith("stats", StringComparison.Ordinal) ? body[..20_000] : body);
                }
            }
        }

        // One collection was never read here, so that there is something to warm.
        await _near.TellAsync("/purge", new { bucket = "milvus-bucket", collection = Id(442) });
        for (var i = 0; i < 400; i++)
        {
            await _near.GetAsync(keys[(int)(Math.Pow(random.NextDouble(), 3) * (keys.Count * 2 / 3))]);
        }

        // A browser, two proxies and the rest of the tests share few processors: waiting longer costs nothing when nothing is wrong.
        Assertions.SetDefaultExpectTimeout(60_000);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(LaunchOptions);
    }

    /// <summary>A milvus-sized id: 18 digits.</summary>
    public static string Id(long small) => (450_000_000_000_000_000 + small).ToString(CultureInfo.InvariantCulture);

    /// <summary>A browser of its own cookies, and a list of every request it makes.</summary>
    /// <param name="of">Another proxy than <see cref="Near"/>.</param>
    public async Task<(IPage Page, ConcurrentQueue<string> Requests)> OpenAsync(int width = 1440, int height = 1000, ColorScheme scheme = ColorScheme.Light, ProxyProcess? of = null)
    {
        if (_browser is null)
        {
            Assert.Skip($"{Chromium} is not there");
        }

        var context = await _browser.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = (of ?? Near.Proxy).Admin.ToString(),
            ColorScheme = scheme,
            ViewportSize = new ViewportSize { Width = width, Height = height },
        });
        _contexts.Add(context);
        context.SetDefaultTimeout(60_000);
        var page = await context.NewPageAsync();
        var requests = new ConcurrentQueue<string>(); // the browser goes on while a test looks
        page.Request += (_, request) => requests.Enqueue(request.Url);
        page.Console += (_, message) => requests.Enqueue($"console {message.Type}: {message.Text}");
        page.PageError += (_, error) => requests.Enqueue("pageerror: " + error);
        return (page, requests);
    }

    /// <summary>Closes what a test opened: a page that nobody looks at any more is drawn anew every second all the same, for every other test's CPU.</summary>
    public async ValueTask ClosePagesAsync()
    {
        foreach (var context in _contexts)
        {
            await context.CloseAsync();
        }

        _contexts.Clear();
    }

    public async Task<(IPage Page, ConcurrentQueue<string> Requests)> SignInAsync(int width = 1440, int height = 1000, ColorScheme scheme = ColorScheme.Light, ProxyProcess? of = null)
    {
        var (page, requests) = await OpenAsync(width, height, scheme, of);
        await SignInAsync(page, "/");
        return (page, requests);
    }

    /// <summary>Ends a page's session as another page of the same browser would.</summary>
    public async Task SignOutAsync(IPage page)
    {
        var cookie = (await page.Context.CookiesAsync()).Single(one => one.Name == "s3-proxy-session");
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = Near.Proxy.Admin };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/signout");
        request.Headers.Add("Cookie", $"{cookie.Name}={cookie.Value}");
        request.Headers.Add("Origin", Near.Proxy.Admin.ToString().TrimEnd('/'));
        using var answer = await http.SendAsync(request);
        Assert.Equal(302, (int)answer.StatusCode);
    }

    internal static async Task SignInAsync(IPage page, string overview)
    {
        await page.GotoAsync(overview);
        await page.GetByLabel("Access key").FillAsync(ProxyProcess.AccessKey);
        await page.GetByLabel("Secret key").FillAsync(ProxyProcess.SecretKey);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await page.WaitForURLAsync("**/");
    }

    /// <summary>Leaves a picture when somebody asked for them.</summary>
    public static async Task PictureAsync(IPage page, string name)
    {
        if (Environment.GetEnvironmentVariable("CONSOLE_SCREENSHOTS") is { Length: > 0 } folder)
        {
            await page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, name + ".png"), FullPage = true });
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
        if (_near is not null)
        {
            await _near.DisposeAsync();
        }

        if (_far is not null)
        {
            await _far.DisposeAsync();
        }
    }
}

[CollectionDefinition(ConsoleFixture.Collection)]
public sealed class ConsoleCollection : ICollectionFixture<ConsoleFixture>;
