using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Chaos;

/// <summary>A backend that takes 200 requests a second and says 503 to the rest: clients see slow reads, and no error.</summary>
public sealed class ThrottledLoadTests
{
    private const int Objects = 800;
    private const int Readers = 32;

    [Fact]
    public async Task ColdLoad_BackendLimitedTo200ASecond_EndsWithoutAnError()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        for (var i = 0; i < Objects; i++)
        {
            backend.Store.TryPut("a-bucket", Key(i), FaultyObject.Of(Content(i)));
        }

        await using var proxy = await ProxyProcess.StartAsync(backend: new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        backend.RequestsPerSecond = 200;
        var wrong = new ConcurrentBag<string>();
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, Readers).Select(async reader =>
        {
            for (var i = Interlocked.Increment(ref next); i < Objects; i = Interlocked.Increment(ref next))
            {
                if (i % 20 == 0)
                {
                    Check((await s3.GetAsync("/a-bucket?list-type=2&max-keys=10&prefix=files%2Finsert_log%2F")).Status == HttpStatusCode.OK, "a listing failed");
                }

                var read = await s3.GetAsync($"/a-bucket/{Key(i)}");
                Check(read.Status == HttpStatusCode.OK && read.Body.AsSpan().SequenceEqual(Content(i)), $"{Key(i)}: {(int)read.Status} {read.Code}");
            }
        }));

        Assert.Empty(wrong);
        Assert.True(backend.Throttled > 0, "the limit was never reached: nothing was tested");

        void Check(bool isRight, string what)
        {
            if (!isRight)
            {
                wrong.Add(what);
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
