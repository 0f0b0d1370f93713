using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Admin;

/// <summary>The admin API of a real proxy: who may use it, and that each call does what it says.</summary>
public sealed class AdminApiTests
{
    private const int MiB = 1 << 20;
    private const string Logs = "/a-bucket/files/insert_log/44/55/66/100/";
    private const string Index = "/a-bucket/files/index_files/77/1/55/66/HNSW_0";

    [Fact]
    public async Task Call_WithoutOrWithWrongKeys_IsRefused()
    {
        await using var fixture = await AdminFixture.StartAsync();
        using var nobody = new HttpClient { BaseAddress = fixture.Proxy.Admin };
        using var unsigned = await nobody.GetAsync("/api/v1/stats");
        Assert.Equal(HttpStatusCode.Unauthorized, unsigned.StatusCode);
        Assert.Contains("Basic", unsigned.Headers.WwwAuthenticate.ToString());
        using var purge = await nobody.PostAsJsonAsync("/api/v1/purge", new { bucket = "a-bucket" });
        Assert.Equal(HttpStatusCode.Unauthorized, purge.StatusCode);
        using var health = await nobody.GetAsync("/health/ready");
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);

        using var unknown = AdminFixture.ApiOf(fixture.Proxy, "nobody", ProxyProcess.SecretKey);
        using var answer = await unknown.GetAsync("/api/v1/stats");
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Fact]
    public async Task WrongSecret_SixthTime_Is429AlsoWithTheRightOne()
    {
        await using var fixture = await AdminFixture.StartAsync();
        using var guesser = AdminFixture.ApiOf(fixture.Proxy, ProxyProcess.AccessKey, "guess-guess");
        for (var i = 0; i < 5; i++)
        {
            using var refused = await guesser.GetAsync("/api/v1/stats");
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        }

        using var limited = await guesser.GetAsync("/api/v1/stats");
        Assert.Equal(HttpStatusCode.TooManyRequests, limited.StatusCode);
        Assert.InRange(limited.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        using var right = await fixture.Api.GetAsync("/api/v1/stats");
        Assert.Equal(HttpStatusCode.TooManyRequests, right.StatusCode);
    }

    [Fact]
    public async Task Credential_ThatMayNotDoEverything_IsForbidden()
    {
        await using var fixture = await AdminFixture.StartAsync(
            "--set", "S3:Credentials:0:AccessKey=reader", "--set", "S3:Credentials:0:SecretKey=reader-secret", "--set", "S3:Credentials:0:ReadOnly=true",
            "--set", "S3:Credentials:1:AccessKey=tenant", "--set", "S3:Credentials:1:SecretKey=tenant-secret", "--set", "S3:Credentials:1:Buckets:0=tenant-*",
            "--set", "S3:Credentials:2:AccessKey=root", "--set", "S3:Credentials:2:SecretKey=root-secret");
        foreach (var (name, status) in new[] { ("reader", HttpStatusCode.Forbidden), ("tenant", HttpStatusCode.Forbidden), ("root", HttpStatusCode.OK) })
        {
            using var api = AdminFixture.ApiOf(fixture.Proxy, name, name + "-secret");
            using var answer = await api.GetAsync("/api/v1/stats");
            Assert.Equal(status, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Selection_ThatMakesNoSense_Is400WithTheNextStep()
    {
        await using var fixture = await AdminFixture.StartAsync();
        foreach (var body in new object[]
        {
            new { prefix = "files/" }, new { bucket = "a-bucket", key = "k", collection = 1 }, new { bucket = "a-bucket", segment = -1 }, new { bucket = "a-bucket", key = "" },
            new { bucket = "a-bucket", colection = 7 }, new { bucket = "a-bucket", collection = "seven" }, Array.Empty<int>(),
        })
        {
            using var answer = await fixture.Api.PostAsJsonAsync("/api/v1/purge", body);
            Assert.NotEmpty(await RefusedAsync(answer, HttpStatusCode.BadRequest));
        }

        using var form = await fixture.Api.PostAsync("/api/v1/purge", new FormUrlEncodedContent([new("bucket", "a-bucket")]));
        Assert.Contains("application/json", await RefusedAsync(form, HttpStatusCode.UnsupportedMediaType), StringComparison.Ordinal);
        using var keyless = await fixture.Api.GetAsync("/api/v1/explain?bucket=a-bucket");
        Assert.Contains("key", await RefusedAsync(keyless, HttpStatusCode.BadRequest), StringComparison.Ordinal);

        static async Task<string> RefusedAsync(HttpResponseMessage answer, HttpStatusCode status)
        {
            Assert.Equal(status, answer.StatusCode);
            return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString()!;
        }
    }

    /// <summary>Whoever may not sign in could make the proxy keep 28 MB of each request.</summary>
    [Fact]
    public async Task SignIn_WithALargeForm_IsNotRead()
    {
        await using var fixture = await AdminFixture.StartAsync();
        using var nobody = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = fixture.Proxy.Admin };
        nobody.DefaultRequestHeaders.Add("Origin", fixture.Proxy.Admin.GetLeftPart(UriPartial.Authority));
        using var large = await nobody.PostAsync("/signin/session", new FormUrlEncodedContent([new("accessKey", new string('a', 100_000))]));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
        using var none = await nobody.PostAsync("/signin/session", null);
        Assert.Equal(HttpStatusCode.BadRequest, none.StatusCode);
        using var pair = await nobody.PostAsync("/signin/session", new FormUrlEncodedContent([new("accessKey", ProxyProcess.AccessKey), new("secretKey", ProxyProcess.SecretKey)]));
        Assert.Equal("/", pair.Headers.Location!.OriginalString);
    }

    [Fact]
    public async Task Theme_NeverLeadsElsewhere()
    {
        await using var fixture = await AdminFixture.StartAsync();
        using var nobody = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = fixture.Proxy.Admin };
        foreach (var back in (string[])["//elsewhere", "/%5Celsewhere", "/%09/elsewhere", "https://elsewhere"])
        {
            using var answer = await nobody.GetAsync("/console/theme/dark?back=" + back);
            Assert.Equal("/", answer.Headers.Location?.OriginalString);
        }
    }

    [Fact]
    public async Task Purge_ByMilvusNames_ForgetsThemAndNothingElse()
    {
        await using var fixture = await AdminFixture.StartAsync();
        var bytes = await FillAsync(fixture);
        await fixture.PutAsync("/a-bucket/files/insert_log/45/56/67/100/1", bytes);
        Assert.Equal(100, await fixture.PercentAsync("bucket=a-bucket"));

        Assert.Equal(1, (await fixture.TellAsync("/purge", new { bucket = "a-bucket", build = 77 })).GetProperty("objects").GetInt32());
        Assert.Equal(0, await fixture.PercentAsync("bucket=a-bucket&build=77"));
        await AssertReadAsync(fixture, Index, bytes, "MISS");

        // The index file's key does not name its collection: its partition does.
        Assert.Equal(4, (await fixture.TellAsync("/purge", new { bucket = "a-bucket", collection = 44 })).GetProperty("objects").GetInt32());
        Assert.Equal(0, await fixture.PercentAsync("bucket=a-bucket&collection=44"));
        Assert.Equal(100, await fixture.PercentAsync("bucket=a-bucket&collection=45"));
        await AssertReadAsync(fixture, Logs + "1", bytes, "MISS");

        Assert.Equal(1, (await fixture.TellAsync("/purge", new { bucket = "a-bucket", key = "files/insert_log/45/56/67/100/1" })).GetProperty("objects").GetInt32());
        Assert.Equal(0, await fixture.PercentAsync("bucket=a-bucket&segment=67"));
    }

    [Fact]
    public async Task Warm_WithRate_ShowsProgressAndEndsWithHits()
    {
        await using var fixture = await AdminFixture.StartAsync();
        var bytes = await FillAsync(fixture);
        await fixture.TellAsync("/purge", new { bucket = "a-bucket" });

        var started = await fixture.TellAsync("/warm", new { bucket = "a-bucket", collection = 44, bytesPerSecond = 8 * MiB, concurrency = 1 });
        var id = started.GetProperty("id").GetString()!;
        var between = await fixture.JobAsync(id, job => job.GetProperty("percent").GetDouble() > 0);
        Assert.Equal("running", between.GetProperty("state").GetString());
        Assert.InRange(between.GetProperty("percent").GetDouble(), 1, 99);

        var done = await fixture.JobAsync(id, job => job.GetProperty("isOver").GetBoolean());
        Assert.Equal("completed", done.GetProperty("state").GetString());
        Assert.Equal(4, done.GetProperty("doneObjects").GetInt32());
        Assert.Equal(4L * bytes.Length, done.GetProperty("fetchedBytes").GetInt64());
        Assert.True(done.GetProperty("seconds").GetDouble() > 1, "12 MiB at 8 MiB/s took no second");
        Assert.Equal(100, await fixture.PercentAsync("bucket=a-bucket&collection=44"));
        await AssertReadAsync(fixture, Logs + "1", bytes, "HIT-MEMORY");

        // What is there already is not fetched again.
        var again = await fixture.TellAsync("/warm", new { bucket = "a-bucket", prefix = "files/" });
        again = await fixture.JobAsync(again.GetProperty("id").GetString()!, job => job.GetProperty("isOver").GetBoolean());
        Assert.Equal(0, again.GetProperty("fetchedBytes").GetInt64());
        Assert.Equal(2, (await fixture.AskAsync("/jobs")).GetArrayLength());
    }

    [Fact]
    public async Task Warm_Cancelled_LeavesTheRestCold()
    {
        await using var fixture = await AdminFixture.StartAsync();
        await FillAsync(fixture);
        await fixture.TellAsync("/purge", new { bucket = "a-bucket" });
        var started = await fixture.TellAsync("/warm", new { bucket = "a-bucket", bytesPerSecond = MiB, concurrency = 1 });
        var id = started.GetProperty("id").GetString()!;
        await fixture.JobAsync(id, job => job.GetProperty("state").GetString() == "running");
        using var cancelled = await fixture.Api.DeleteAsync("/api/v1/jobs/" + id);
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        var over = await fixture.JobAsync(id, job => job.GetProperty("isOver").GetBoolean());
        Assert.Equal("cancelled", over.GetProperty("state").GetString());
        Assert.InRange(await fixture.PercentAsync("bucket=a-bucket"), 0, 75);
    }

    [Fact]
    public async Task Warm_OfNoBucket_FailsAndSaysWhy()
    {
        await using var fixture = await AdminFixture.StartAsync();
        var started = await fixture.TellAsync("/warm", new { bucket = "nowhere" });
        var over = await fixture.JobAsync(started.GetProperty("id").GetString()!, job => job.GetProperty("isOver").GetBoolean());
        Assert.Equal("failed", over.GetProperty("state").GetString());
        Assert.Contains("NoSuchBucket", over.GetProperty("error").GetString());
    }

    [Fact]
    public async Task Explain_TellsWhereAKeyIsAndHowItCame()
    {
        await using var fixture = await AdminFixture.StartAsync();
        await FillAsync(fixture);
        var unread = await fixture.AskAsync("/explain?bucket=a-bucket&key=" + Logs["/a-bucket/".Length..] + "1");
        Assert.Equal("immutable", unread.GetProperty("report").GetProperty("class").GetString());
        Assert.Equal("put", unread.GetProperty("cached").GetProperty("origin").GetString());
        Assert.Equal(0, unread.GetProperty("cached").GetProperty("reads").GetInt32());
        Assert.Equal("put", FilledBy(unread));
        await fixture.GetAsync(Logs + "1");
        var read = await fixture.AskAsync("/explain?bucket=a-bucket&key=" + Logs["/a-bucket/".Length..] + "1");
        Assert.Equal(1, read.GetProperty("cached").GetProperty("reads").GetInt32());
        Assert.True(read.GetProperty("cached").GetProperty("firstReadWasHit").GetBoolean());
        Assert.False((await fixture.AskAsync("/explain?bucket=a-bucket&key=nothing")).GetProperty("report").GetProperty("known").GetBoolean());
    }

    [Fact]
    public async Task Explain_TellsAReadFromAWarmJobAndARestart()
    {
        await using var fixture = await AdminFixture.StartAsync();
        var bytes = await FillAsync(fixture);
        var before = TimeProvider.System.GetUtcNow().AddMilliseconds(-1); // it is told in whole milliseconds
        await fixture.TellAsync("/purge", new { bucket = "a-bucket" });
        var job = await fixture.TellAsync("/warm", new { bucket = "a-bucket", prefix = "files/insert_log/" });
        await fixture.JobAsync(job.GetProperty("id").GetString()!, job => job.GetProperty("isOver").GetBoolean());
        await AssertReadAsync(fixture, Logs + "1", bytes, "HIT-MEMORY");
        var warmed = await ExplainAsync("1");
        Assert.Equal("warm", FilledBy(warmed));
        Assert.Equal("warm", warmed.GetProperty("cached").GetProperty("origin").GetString());
        Assert.InRange(warmed.GetProperty("report").GetProperty("filled").GetProperty("at").GetDateTimeOffset(), before, TimeProvider.System.GetUtcNow());

        await fixture.TellAsync("/purge", new { bucket = "a-bucket" });
        await AssertReadAsync(fixture, Logs + "2", bytes, "MISS");
        await fixture.FilledAsync("bucket=a-bucket&key=" + Logs["/a-bucket/".Length..] + "2");
        Assert.Equal("read", FilledBy(await ExplainAsync("2")));

        await fixture.Proxy.RestartAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        JsonElement recovered;
        while (!(recovered = await ExplainAsync("2")).GetProperty("report").GetProperty("known").GetBoolean())
        {
            // Ready is before the catalog is back.
            await Task.Delay(20, limit.Token);
        }

        Assert.Equal("recovered", FilledBy(recovered));
        Assert.False(recovered.GetProperty("report").GetProperty("filled").TryGetProperty("at", out _));

        Task<JsonElement> ExplainAsync(string log) => fixture.AskAsync("/explain?bucket=a-bucket&key=" + Logs["/a-bucket/".Length..] + log);
    }

    [Fact]
    public async Task Pin_SurvivesARestartAndIsLetGo()
    {
        await using var fixture = await AdminFixture.StartAsync();
        await FillAsync(fixture);
        var pin = await fixture.TellAsync("/pins", new { bucket = "a-bucket", segment = 66 });
        var same = await fixture.TellAsync("/pins", new { bucket = "a-bucket", segment = 66 });
        Assert.Equal(pin.GetProperty("id").GetString(), same.GetProperty("id").GetString());
        Assert.Equal(4, (await fixture.AskAsync("/pins")).GetProperty("state").GetProperty("objects").GetInt32());
        await fixture.Proxy.RestartAsync();
        Assert.Equal(pin.GetProperty("id").GetString(), (await fixture.AskAsync("/pins")).GetProperty("pins")[0].GetProperty("id").GetString());
        using var gone = await fixture.Api.DeleteAsync("/api/v1/pins/" + pin.GetProperty("id").GetString());
        Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        Assert.Equal(0, (await fixture.AskAsync("/pins")).GetProperty("pins").GetArrayLength());
    }

    [Fact]
    public async Task Pin_WhileOthersFloodTheCache_KeepsWhatItNames()
    {
        // Three times what the disk tier holds goes through; the pinned and the unpinned were written alike, before.
        await using var fixture = await AdminFixture.StartAsync("--memory", "32MiB", "--nvme", "128MiB");
        await fixture.PutAsync("/a-bucket");
        for (var i = 0; i < 8; i++)
        {
            await fixture.PutAsync($"/a-bucket/kept/{i}", Random(3 * MiB, i));
            await fixture.PutAsync($"/a-bucket/left/{i}", Random(3 * MiB, i));
        }

        await fixture.TellAsync("/pins", new { bucket = "a-bucket", prefix = "kept/" });
        foreach (var folder in new[] { "kept/", "left/" })
        {
            var warm = await fixture.TellAsync("/warm", new { bucket = "a-bucket", prefix = folder });
            await fixture.JobAsync(warm.GetProperty("id").GetString()!, job => job.GetProperty("isOver").GetBoolean());
        }

        for (var i = 0; i < 128; i++)
        {
            await fixture.PutAsync($"/a-bucket/flood/{i.ToString(CultureInfo.InvariantCulture)}", Random(3 * MiB, 100 + i));
        }

        Assert.Equal(100, await fixture.PercentAsync("bucket=a-bucket&prefix=kept/"));
        Assert.InRange(await fixture.PercentAsync("bucket=a-bucket&prefix=left/"), 0, 50);
        Assert.Equal(Random(3 * MiB, 5), (await fixture.GetAsync("/a-bucket/kept/5")).Bytes);
    }

    private static string? FilledBy(JsonElement explained) => explained.GetProperty("report").GetProperty("filled").GetProperty("by").GetString();

    private static async Task<byte[]> FillAsync(AdminFixture fixture)
    {
        var bytes = Random((3 * MiB) + 17, 1);
        await fixture.PutAsync("/a-bucket");
        for (var i = 1; i <= 3; i++)
        {
            await fixture.PutAsync(Logs + i.ToString(CultureInfo.InvariantCulture), bytes);
        }

        await fixture.PutAsync(Index, bytes);
        return bytes;
    }

    private static async Task AssertReadAsync(AdminFixture fixture, string target, byte[] bytes, string cache)
    {
        var read = await fixture.GetAsync(target);
        Assert.Equal(bytes, read.Bytes);
        Assert.Equal(cache, read.Cache);
    }

    private static byte[] Random(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
