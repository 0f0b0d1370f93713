using System.Net;
using Proxy.FunctionalTests.Admin;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Promise 5: the backend never gets more reads and listings at once than it is configured to, whoever asks for them.</summary>
/// <remarks>
/// Counted at the backend from the arrival of a request until its answer begins, 50 ms later: what has its answer may have given its turn on before the backend knows. Writes and the
/// write-ahead log take no turns, nor do reads of what the proxy does not know.
/// </remarks>
public sealed class BackendConcurrencyTests : IAsyncLifetime
{
    private const int Limit = 4;
    private const int MiB = 1 << 20;
    private const string Bucket = "many";
    private static readonly TimeSpan Latency = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private FaultyBackend _backend = null!;
    private int _inside;
    private int _most;
    private int _arrived;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, Bucket);
        _backend.Arrived = async request =>
        {
            if (request.Method is not ("GET" or "HEAD"))
            {
                return;
            }

            lock (_lock)
            {
                _arrived++;
                _most = Math.Max(_most, ++_inside);
            }

            await Task.Delay(Latency);
            lock (_lock)
            {
                _inside--;
            }
        };
    }

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Theory]
    [InlineData("files/insert_log/1/2/3/100/")]
    [InlineData("some/")]
    public async Task ColdReads_AtOnce_AreAtMostSoManyAtTheBackend(string prefix)
    {
        await using var proxy = await StartAsync(Limit);
        using var s3 = new S3Caller(proxy.Endpoint);
        await Task.WhenAll(Put(prefix, 64, 5000).Select(key => ReadAsync(s3, key)));
        AssertWithin(64);
    }

    /// <summary>The counter sees more where more are let in: that there were four was the limit's doing.</summary>
    [Fact]
    public async Task ColdReads_AtOnceAndWithALargerLimit_AreMoreAtTheBackend()
    {
        await using var proxy = await StartAsync(32);
        using var s3 = new S3Caller(proxy.Endpoint);
        await Task.WhenAll(Put("some/", 64, 5000).Select(key => ReadAsync(s3, key)));
        Assert.InRange(_most, Limit + 1, 32);
    }

    /// <summary>Index slices: several ranges each, the slices that follow, what is ahead of the reader, and what does not fit into the memory for fills.</summary>
    [Fact]
    public async Task LargeObjects_WithReadAhead_AreAtMostSoManyAtTheBackend()
    {
        await using var proxy = await StartAsync(Limit, "--set", "Cache:Fills:MaxRangeBytes=1048576", "--set", "Cache:Fills:ReadaheadBytes=4194304");
        using var s3 = new S3Caller(proxy.Endpoint);
        await Task.WhenAll(Put("files/index_files/1/1/1/1/HNSW_", 8, 6 * MiB).Select(async (key, i) =>
        {
            if (i % 2 == 0)
            {
                await ReadAsync(s3, key);
                return;
            }

            // One range after the other: the one that follows is brought before it is asked for.
            for (var at = 0; at < 6 * MiB; at += MiB / 2)
            {
                await ReadAsync(s3, key, at, MiB / 2);
            }
        }));
        AssertWithin(8 * 6);
    }

    [Fact]
    public async Task ColdReads_BesideAWarmJob_AreAtMostSoManyAtTheBackend()
    {
        await using var fixture = new AdminFixture(await StartAsync(Limit));
        using var s3 = new S3Caller(fixture.Proxy.Endpoint);
        Put("files/insert_log/7/8/9/100/", 48, 20_000);
        var keys = Put("some/", 64, 5000);
        var job = await fixture.TellAsync("/warm", new { bucket = Bucket, prefix = "files/", concurrency = 32 });
        await Task.WhenAll(keys.Select(key => ReadAsync(s3, key)));
        var done = await fixture.JobAsync(job.GetProperty("id").GetString()!, static job => job.GetProperty("isOver").GetBoolean());
        Assert.Equal("completed", done.GetProperty("state").GetString());
        AssertWithin(64 + 48);
    }

    /// <summary>Of what is forwarded, listings of every kind take turns with the proxy's own reads.</summary>
    [Fact]
    public async Task ForwardedListings_BesideReads_AreAtMostSoManyAtTheBackend()
    {
        await using var proxy = await StartAsync(Limit);
        using var s3 = new S3Caller(proxy.Endpoint);
        var keys = Put("some/", 32, 5000);
        await Task.WhenAll(keys.Select((key, i) => Task.WhenAll(
            ReadAsync(s3, key), ListAsync(s3, i % 2 == 0 ? $"/{Bucket}?list-type=2&prefix=some%2F{i}" : $"/{Bucket}?prefix=some%2F{i}"))));
        AssertWithin(64);
    }

    private Task<ProxyProcess> StartAsync(int limit, params string[] settings)
        => ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0", "--set", $"Backend:Health:MaxConcurrency={limit}", "--set", "Backend:Health:HedgePercent=0", .. settings], new Uri(_backend.Url));

    private List<string> Put(string prefix, int count, int bytes)
    {
        List<string> keys = [.. Enumerable.Range(0, count).Select(i => prefix + i)];
        keys.ForEach(key => _backend.Store.TryPut(Bucket, key, FaultyObject.Of(Content(key, bytes))));
        return keys;
    }

    private static byte[] Content(string key, int bytes)
    {
        var content = new byte[bytes];
        new Random(key[^1] + (256 * key.Length)).NextBytes(content);
        return content;
    }

    private async Task ReadAsync(S3Caller s3, string key, int? first = null, int count = 0)
    {
        var expected = _backend.Store.Find(Bucket, key)!.Bytes;
        var answer = first is { } at ? await s3.GetAsync($"/{Bucket}/{key}", ("Range", $"bytes={at}-{at + count - 1}")) : await s3.GetAsync($"/{Bucket}/{key}");
        if (IsServed(answer))
        {
            Assert.True(answer.Body.AsSpan().SequenceEqual(first is { } begin ? expected.AsSpan(begin, count) : expected), $"wrong bytes of {key}");
        }
    }

    private static async Task ListAsync(S3Caller s3, string target)
    {
        var answer = await s3.GetAsync(target);
        if (IsServed(answer))
        {
            Assert.NotEmpty(answer.All("Key"));
        }
    }

    /// <summary>Told to come again is right, too, on a machine that has no time; anything else is not.</summary>
    private static bool IsServed(S3Result answer)
    {
        if (answer.Status is HttpStatusCode.OK or HttpStatusCode.PartialContent)
        {
            return true;
        }

        Assert.True(answer.Status == HttpStatusCode.ServiceUnavailable && answer.Code == "SlowDown", $"{answer.Status} {answer.Text}");
        return false;
    }

    private void AssertWithin(int requests)
    {
        Assert.InRange(_most, 2, Limit);
        Assert.True(_arrived >= requests / 2, $"only {_arrived} requests arrived: nothing was tested");
    }
}
