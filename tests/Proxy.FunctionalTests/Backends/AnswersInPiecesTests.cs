using System.Diagnostics;
using System.Net;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>A backend's answer whose document comes after its head, as Ceph RGW sends one now and then: whoever reads it must not hold the thread that brings it.</summary>
public sealed class AnswersInPiecesTests
{
    [Theory]
    [InlineData(404, "NoSuchKey", HttpStatusCode.NotFound)]
    [InlineData(403, "AccessDenied", HttpStatusCode.Forbidden)]
    public async Task Error_WhoseDocumentComesLater_IsPassedOnAtOnce(int status, string code, HttpStatusCode expected)
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var proxy = await ProxyProcess.StartAsync(backend: new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        backend.Break("*", new Fault { Status = status, Code = code, HeadFirst = TimeSpan.FromMilliseconds(100) });

        // Half of the proxy's response timeout: before, each of these waited it out and was asked again.
        for (var i = 0; i < 8; i++)
        {
            var started = Stopwatch.GetTimestamp();
            var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(j => s3.GetAsync($"/a-bucket/missing-{i}-{j}")));
            Assert.All(answers, answer => Assert.Equal((expected, code), (answer.Status, answer.Only("Code"))));
            Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0, 4);
        }
    }
}
