using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Chaos;

/// <summary>A backend that takes 200 requests a second and says 503 to the rest: clients see slow reads, and no error.</summary>
public sealed class ThrottledLoadTests
{
    /// <summary>Milvus's C++ client gives up on a transfer that brought nothing for so long.</summary>
    private static readonly TimeSpan MilvusGivesUp = TimeSpan.FromSeconds(10);

    /// <summary>A whole collection: it takes several times as long as any one read may wait, so that a read which is passed over again and again shows.</summary>
    private const int Objects = 6000;
    private const int PerSecond = 200;

    [Theory]
    [InlineData(32)]
    [InlineData(128)]
    public async Task ColdLoad_BackendLimitedTo200ASecond_EndsWithoutAnErrorAndNobodyWaitsLong(int readers)
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        for (var i = 0; i < Objects; i++)
        {
            backend.Store.TryPut("a-bucket", Key(i), FaultyObject.Of(Content(i)));
        }

        await using var proxy = await ProxyProcess.StartAsync(backend: new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        backend.RequestsPerSecond = PerSecond;
        var wrong = new ConcurrentBag<string>();
        var next = -1;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, readers).Select(async reader =>
        {
            for (var i = Interlocked.Increment(ref next); i < Objects; i = Interlocked.Increment(ref next))
            {
                if (i % 20 == 0)
                {
                    await AskAsync("GET", "/a-bucket?list-type=2&max-keys=10&prefix=files%2Finsert_log%2F", static _ => true);
                }

                await AskAsync("HEAD", $"/a-bucket/{Key(i)}", static _ => true);
                await AskAsync("GET", $"/a-bucket/{Key(i)}", body => body.AsSpan().SequenceEqual(Content(i)));
            }
        }));

        Assert.Empty(wrong);
        Assert.True(backend.Throttled > 0, "the limit was never reached: nothing was tested");

        // The readers waited for the limiter, not for each other: it was made use of. And whoever is refused waits, instead of asking on.
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, Objects / PerSecond, 3 * Objects / PerSecond);
        Assert.True(backend.Throttled < Objects, $"{backend.Throttled} requests were refused");

        async Task AskAsync(string method, string target, Func<byte[], bool> isRight)
        {
            var asked = Stopwatch.GetTimestamp();
            var answer = await s3.SendAsync(method, target, null);
            if (answer.Status != HttpStatusCode.OK || !isRight(answer.Body) || Stopwatch.GetElapsedTime(asked) > MilvusGivesUp)
            {
                wrong.Add($"{method} {target}: {(int)answer.Status} {answer.Code} after {Stopwatch.GetElapsedTime(asked).TotalSeconds:0.0} s");
            }
        }
    }

    private static string Key(int i) => string.Create(CultureInfo.InvariantCulture, $"files/insert_log/1/2/{i / 100}/100/{i}");

    private static byte[] Content(int i)
    {
        var bytes = new byte[2000 + i];
        new Random(i).NextBytes(bytes);
        return bytes;
    }
}
