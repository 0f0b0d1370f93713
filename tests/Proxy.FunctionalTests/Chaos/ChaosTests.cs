using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Chaos;

/// <summary>A load of writes and reads during which the backend misbehaves: no wrong byte, no lost write, honest errors, and nothing left behind.</summary>
/// <remarks>
/// Every worker writes keys of its own, each once, and reads back what was acknowledged to it; a refused write may be there or not. Those reads are hits: so that there are
/// others, it also reads keys that nobody wrote through the proxy, each once while the load runs.
/// </remarks>
public sealed class ChaosTests
{
    private const int Workers = 8;
    private const int CallsBefore = 100;
    private const int CallsDuring = 200;
    private const int CallsAfter = 100;

    public static TheoryData<string> Faults => ["killed", "slowed", "throttled", "resetting", "resetting-after-doing", "cut-short", "garbage", "stalled"];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Load_BackendMisbehaves_NoWrongByteAndRecovery(string kind)
    {
        var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        try
        {
            await using var proxy = await ProxyProcess.StartAsync(
                ["--set", "Backend:Health:OpenFor=00:00:00.2", "--set", "Backend:StallTimeout=00:00:01", "--set", "Backend:ResponseTimeout=00:00:02", "--set", "Backend:Health:MaxWait=00:00:02"],
                new Uri(backend.Url));
            using var load = new Load(proxy, backend.Store);
            await load.RunAsync(CallsBefore);
            Assert.Empty(load.Errors);
            var descriptors = Descriptors(proxy);

            Break(backend, kind);
            if (kind == "killed")
            {
                await backend.DisposeAsync();
            }

            await load.RunAsync(CallsDuring);
            Assert.True(kind switch { "killed" => !load.Errors.IsEmpty, "throttled" => backend.Throttled > 0, _ => backend.Struck > 0 }, "nothing went wrong: nothing was tested");
            backend.Heal();
            backend.RequestsPerSecond = null;
            if (kind == "killed")
            {
                backend = await FaultyBackend.StartAgainAsync(backend);
            }

            // Honest errors: what S3 clients repeat, or a connection that broke off.
            Assert.All(load.Errors, error => Assert.True(error is "SlowDown" or "InternalError" or "ServiceUnavailable" or "PreconditionFailed" or "cut", error));
            Assert.Empty(load.WrongBytes);

            await load.RecoverAsync();
            load.Errors.Clear();
            await load.RunAsync(CallsAfter);
            await load.ReadEverythingAsync();
            Assert.Empty(load.Errors);
            Assert.Empty(load.WrongBytes);
            Assert.InRange(Descriptors(proxy), 0, descriptors + 64); // pooled connections come and go; a leak would be hundreds
        }
        finally
        {
            await backend.DisposeAsync();
        }
    }

    [Fact]
    public async Task BackendDown_CachedObjectsAreServed_TheRestFailsFast()
    {
        var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var proxy = await ProxyProcess.StartAsync(backend: new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        const string Cached = "/a-bucket/files/insert_log/1/2/3/100/7";
        var bytes = SeveralBackendsTests.MakeBytes(200_000);
        (await s3.PutAsync(Cached, bytes)).Ok();
        Assert.Equal(bytes, (await s3.GetAsync(Cached)).Ok().Body);
        await backend.DisposeAsync();
        for (var i = 0; i < 10; i++)
        {
            await s3.PutAsync("/a-bucket/x", bytes); // opens the breaker
        }

        Assert.Equal(bytes, (await s3.GetAsync(Cached)).Ok().Body);
        (string Method, string Target, byte[]? Body)[] others =
            [("PUT", "/a-bucket/y", bytes), ("GET", "/a-bucket?list-type=2", null), ("PUT", "/a-bucket/files/wp/1/2/3.blk", bytes), ("GET", "/a-bucket/files/wp/1/2/3.blk", null)];
        foreach (var (method, target, body) in others)
        {
            var started = TimeProvider.System.GetTimestamp();
            var answer = (await s3.SendAsync(method, target, body)).Is(HttpStatusCode.ServiceUnavailable);
            Assert.Equal("SlowDown", answer.Code);
            Assert.Equal("1", answer.Header("Retry-After"));
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(5), $"{method} {target} took its time");
        }
    }

    [Fact]
    public async Task OneOfTwoAddressesDown_NobodyNotices()
    {
        var gone = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        await gone.DisposeAsync();
        await using var proxy = await ProxyProcess.StartAsync(["--set", $"Backend:Endpoints:1={backend.Url}"], new Uri(gone.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        for (var i = 0; i < 20; i++)
        {
            var bytes = SeveralBackendsTests.MakeBytes(1000 + i);
            (await s3.PutAsync($"/a-bucket/k{i}", bytes, ("If-None-Match", "*"))).Ok();
            Assert.Equal(bytes, (await s3.GetAsync($"/a-bucket/k{i}")).Ok().Body);
        }

        Assert.Equal(20, backend.Count("PutObject"));
    }

    private static void Break(FaultyBackend backend, string kind)
    {
        switch (kind)
        {
            case "slowed":
                backend.Break("*", new Fault { Latency = TimeSpan.FromMilliseconds(50) });
                break;
            case "throttled":
                backend.RequestsPerSecond = 50;
                break;
            case "resetting":
                backend.Break("*", new Fault { ResetBeforeDoing = true });
                break;
            case "resetting-after-doing":
                backend.Break("*", new Fault { ResetAfterDoing = true });
                break;
            case "cut-short":
                backend.Break("GetObject", new Fault { ResetAfterBytes = 1000 });
                break;
            case "garbage":
                backend.Break("GetObject", new Fault { WrongContentRange = true, ETag = "" });
                backend.Break("HeadObject", new Fault { ETag = "" });
                break;
            case "stalled":
                backend.Break("GetObject", new Fault { StallAfterBytes = 500 }, times: 8);
                break;
        }
    }

    private static int Descriptors(ProxyProcess proxy) => Directory.GetFiles($"/proc/{proxy.ProcessId}/fd").Length;

    /// <summary>Workers that know what must be there.</summary>
    private sealed class Load(ProxyProcess proxy, FaultyStore store) : IDisposable
    {
        private readonly S3Caller _s3 = new(proxy.Endpoint);
        private readonly ConcurrentDictionary<string, int> _acknowledged = new(StringComparer.Ordinal);
        private int _next;

        public ConcurrentQueue<string> Errors { get; } = new();

        public ConcurrentQueue<string> WrongBytes { get; } = new();

        public Task RunAsync(int calls) => Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => WorkAsync(worker, calls / Workers)));

        public async Task RecoverAsync()
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            while ((await _s3.PutAsync("/a-bucket/recovered", [1])).Status != HttpStatusCode.OK)
            {
                Assert.False(patience.IsCancellationRequested, $"no recovery without a restart:\n{proxy.LogTail}");
                await Task.Delay(50);
            }
        }

        public async Task ReadEverythingAsync()
        {
            foreach (var (key, seed) in _acknowledged)
            {
                await ReadAsync(key, seed);
            }
        }

        public void Dispose() => _s3.Dispose();

        private async Task WorkAsync(int worker, int calls)
        {
            var random = new Random(worker);
            var mine = new List<(string Key, int Seed)>();
            for (var i = 0; i < calls; i++)
            {
                if (i % 4 == 3)
                {
                    var seed = Interlocked.Increment(ref _next);
                    var key = string.Create(CultureInfo.InvariantCulture, $"files/insert_log/1/2/3/200/{seed}");
                    store.TryPut("a-bucket", key, FaultyObject.Of(Content(seed)));
                    _acknowledged[key] = seed;
                    await ReadAsync(key, seed);
                }
                else if (mine.Count == 0 || random.Next(3) == 0)
                {
                    var seed = Interlocked.Increment(ref _next);
                    var key = string.Create(CultureInfo.InvariantCulture, $"{(seed % 2 == 0 ? "files/insert_log/1/2/3/100" : "plain")}/{seed}");
                    if (await AskAsync(() => _s3.PutAsync($"/a-bucket/{key}", Content(seed))) is not null)
                    {
                        _acknowledged[key] = seed;
                        mine.Add((key, seed));
                    }
                }
                else
                {
                    var (key, seed) = mine[random.Next(mine.Count)];
                    await ReadAsync(key, seed);
                }
            }
        }

        private async Task ReadAsync(string key, int seed)
        {
            var read = await AskAsync(() => _s3.GetAsync($"/a-bucket/{key}"));
            if (read is not null && !read.Body.AsSpan().SequenceEqual(Content(seed)))
            {
                WrongBytes.Enqueue(key);
            }
        }

        private async Task<S3Result?> AskAsync(Func<Task<S3Result>> call)
        {
            try
            {
                var answer = await call();
                if (answer.Status == HttpStatusCode.OK)
                {
                    return answer;
                }

                Errors.Enqueue(answer.Code ?? answer.Status.ToString());
            }
            catch (Exception broken) when (broken is HttpRequestException or IOException)
            {
                Errors.Enqueue("cut");
            }

            return null;
        }

        private static byte[] Content(int seed)
        {
            var bytes = new byte[1500 + (seed * 37 % 60_000)];
            new Random(seed).NextBytes(bytes);
            return bytes;
        }
    }
}
