using System.Diagnostics;
using System.Globalization;
using System.Net;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>What a miss costs: one backend read however many wait for it, and little time beside going there directly.</summary>
public sealed class MissTests(ITestOutputHelper output)
{
    private const int Rounds = 40;

    [Fact]
    public async Task ThirtyTwoReaders_OfOneColdObject_AreOneBackendRead()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var proxy = await ProxyProcess.StartAsync(backend: new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        var bytes = SeveralBackendsTests.MakeBytes(16 << 20);
        const string Key = "files/insert_log/1/2/3/100/9";
        backend.Store.TryPut("a-bucket", Key, FaultyObject.Of(bytes));
        backend.Break("GetObject", new Fault { Latency = TimeSpan.FromMilliseconds(200) });

        var answers = await Task.WhenAll(Enumerable.Range(0, 32).Select(_ => s3.GetAsync($"/a-bucket/{Key}")));

        Assert.All(answers, answer => Assert.Equal(bytes, answer.Ok().Body));
        Assert.Equal(1, backend.Requests.Count(request => request.RawTarget.Contains(Key, StringComparison.Ordinal)));
    }

    /// <summary>Figures for a quiet machine: direct, through a relay that knows nothing and through the proxy take turns, so that whatever else runs disturbs them alike.</summary>
    [Theory(Explicit = true)]
    [InlineData(10, null, true)]
    [InlineData(10, 600, true)]
    [InlineData(0, null, true)]
    [InlineData(0, null, false)]
    public async Task Figures_DirectBesideThrough(int firstByteMilliseconds, int? lineMiBPerSecond, bool nvme)
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");

        // Less than the warm-up reads: a proxy that has been running for a while has its memory. While it still grows, a cold read also pays what the system asks for new pages.
        await using var proxy = await ProxyProcess.StartAsync(nvme ? ["--memory", "512MiB"] : ["--memory", "512MiB", "--nvme", "0"], new Uri(backend.Url));
        using var direct = new S3Caller(new Uri(backend.Url));
        using var through = new S3Caller(proxy.Endpoint);
        using var relay = new BareRelay(new Uri(backend.Url));
        using var relayed = new S3Caller(relay.Endpoint);
        var large = FaultyObject.Of(SeveralBackendsTests.MakeBytes(16 << 20));
        for (var i = 0; i < (Rounds * 2) + (WarmUps * 2); i++)
        {
            backend.Store.TryPut("a-bucket", Key("insert_log", i), large);
        }

        if (firstByteMilliseconds > 0)
        {
            backend.Break("*", new Fault { Latency = TimeSpan.FromMilliseconds(firstByteMilliseconds), LineBytesPerSecond = lineMiBPerSecond << 20 });
        }

        var body = SeveralBackendsTests.MakeBytes(8 << 20);
        var small = SeveralBackendsTests.MakeBytes(64 << 10);

        // What is measured is a proxy that has been running for a while: code that has only just started is compiled while it serves, which triples the first few hundred misses.
        for (var i = 0; i < WarmUps; i++)
        {
            _ = await through.GetAsync($"/a-bucket/{Key("insert_log", (Rounds * 2) + i)}");
            _ = await through.GetAsync($"/a-bucket/{Key("insert_log", (Rounds * 2) + WarmUps + i)}", ("Range", "bytes=8388608-8454143"));
            _ = await through.PutAsync($"/a-bucket/{Key("delta_log", Rounds + i)}", body);
            _ = await through.PutAsync($"/a-bucket/files/wp/1/3/{i}.blk", small, ("If-None-Match", "*"));
        }

        await MeasureAsync("cold GET of 16 MiB", (s3, i, _) => s3.GetAsync($"/a-bucket/{Key("insert_log", i)}"));
        await MeasureAsync("cold GET of 64 KiB ranges", (s3, i, _) => s3.GetAsync($"/a-bucket/{Key("insert_log", Rounds + i)}", ("Range", "bytes=8388608-8454143")));
        await MeasureAsync("PUT of 8 MiB", (s3, i, _) => s3.PutAsync($"/a-bucket/{Key("delta_log", i)}", body));
        await MeasureAsync("WAL-shaped PUT of 64 KiB", (s3, i, turn) => s3.PutAsync($"/a-bucket/files/wp/1/2/{(i * 3) + turn}.blk", small, ("If-None-Match", "*")));

        async Task MeasureAsync(string what, Func<S3Caller, int, int, Task<S3Result>> call)
        {
            (S3Caller Caller, List<double> Times)[] ways = [(direct, []), (relayed, []), (through, [])];
            for (var i = 0; i < Rounds; i++)
            {
                for (var turn = 0; turn < ways.Length; turn++)
                {
                    var (caller, times) = ways[(i + turn) % ways.Length];
                    var started = Stopwatch.GetTimestamp();
                    var answer = await call(caller, i, turn);
                    times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                    Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.PartialContent, answer.Text);
                }
            }

            var (d, r, t) = (Median(ways[0].Times), Median(ways[1].Times), Median(ways[2].Times));
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{firstByteMilliseconds} ms{(lineMiBPerSecond is null ? "" : $", {lineMiBPerSecond} MiB/s")}{(nvme ? "" : ", no NVMe")}, {what}: direct {d:0.00} ms, relay {r:0.00} ms ({r / d:0.000}, added {r - d:0.00}), through {t:0.00} ms, ratio {t / d:0.000}, added {t - d:0.00} ms"));
        }
    }

    private const int WarmUps = 150;

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static string Key(string kind, int i) => string.Create(CultureInfo.InvariantCulture, $"files/{kind}/1/2/{i}/100/{i}");
}
