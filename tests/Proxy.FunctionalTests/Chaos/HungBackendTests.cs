using System.Diagnostics;
using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Chaos;

/// <summary>The backend is another of our servers, and hangs: the kernel takes connections for it, and nobody answers.</summary>
public sealed class HungBackendTests
{
    /// <summary>Milvus's C++ client gives up on a transfer that brought nothing for so long.</summary>
    private static readonly TimeSpan MilvusGivesUp = TimeSpan.FromSeconds(10);

    private const string Cached = "/a-bucket/files/insert_log/1/2/3/100/7";

    /// <summary>With the timeouts that are the defaults.</summary>
    [Fact]
    public async Task BackendHangs_EverythingEndsInTimeThenFailsFastAndComesBackByItself()
    {
        await using var far = await ProxyProcess.StartAsync(["--nvme", "0"]);
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"], far.Endpoint);
        using var s3 = new S3Caller(proxy.Endpoint);
        using var direct = new S3Caller(far.Endpoint);
        (await direct.PutAsync("/a-bucket", [])).Ok();
        var bytes = SeveralBackendsTests.MakeBytes(200_000);
        (await s3.PutAsync(Cached, bytes)).Ok();
        Assert.Equal(bytes, (await s3.GetAsync(Cached)).Ok().Body); // by now its headers are known too, which no answer to a PUT tells
        for (var i = 0; i < 4; i++)
        {
            (await direct.PutAsync($"/a-bucket/files/insert_log/1/2/3/100/cold-{i}", bytes)).Ok();
        }

        far.Freeze();
        (string Method, string Target, byte[]? Body)[] calls =
        [
            ("PUT", "/a-bucket/k", [1]),
            ("PUT", "/a-bucket/files/wp/1/2/3.blk", [1]),
            ("HEAD", "/a-bucket/files/wp/1/2/4.blk", null),
            ("GET", "/a-bucket/files/wp/1/2/4.blk", null),
            ("GET", "/a-bucket?list-type=2", null),
            ("DELETE", "/a-bucket/k2", null),
            ("GET", "/a-bucket/files/insert_log/1/2/3/100/cold-0", null),
            ("HEAD", "/a-bucket/files/insert_log/1/2/3/100/cold-1", null),
            ("GET", "/a-bucket/plain", null),
        ];
        var waited = await Task.WhenAll(calls.Select(call => RefusedAsync(s3, call)));
        Assert.All(waited.Zip(calls), each => Assert.True(each.First < MilvusGivesUp, $"{each.Second.Method} {each.Second.Target} was silent for {each.First.TotalSeconds:0.0} s"));
        Assert.Equal(bytes, (await s3.GetAsync(Cached)).Ok().Body);

        // By now it is known to hang: nobody waits, and nobody is sent there.
        foreach (var call in calls)
        {
            Assert.True(await RefusedAsync(s3, call) < TimeSpan.FromSeconds(3), $"{call.Method} {call.Target} took its time");
        }

        Assert.Contains("it kept silent for 8 s", proxy.Log, StringComparison.Ordinal);
        far.Thaw();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while ((await s3.PutAsync("/a-bucket/back", bytes)).Status != HttpStatusCode.OK)
        {
            Assert.False(patience.IsCancellationRequested, $"no recovery without a restart:\n{proxy.LogTail}");
            await Task.Delay(50);
        }

        Assert.Equal(bytes, (await s3.GetAsync("/a-bucket/files/insert_log/1/2/3/100/cold-0")).Ok().Body);
    }

    private static async Task<TimeSpan> RefusedAsync(S3Caller s3, (string Method, string Target, byte[]? Body) call)
    {
        var started = Stopwatch.GetTimestamp();
        var answer = (await s3.SendAsync(call.Method, call.Target, call.Body)).Is(HttpStatusCode.ServiceUnavailable);
        Assert.Equal("1", answer.Header("Retry-After"));
        return Stopwatch.GetElapsedTime(started);
    }
}
