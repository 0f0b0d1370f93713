using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Proxy.FunctionalTests.Faults;

namespace Proxy.FunctionalTests.Forwarding;

/// <summary>What an HTTP client would do something about by itself, or drop, and a forward must not: redirects, compressed bodies, headers nobody knows. And cookies, which end here.</summary>
public sealed class UntouchedAnswersTests
{
    [Theory]
    [InlineData("GET", 307)]
    [InlineData("GET", 301)]
    [InlineData("PUT", 307)]
    [InlineData("PUT", 308)]
    [InlineData("HEAD", 302)]
    public async Task Forward_Redirect_IsPassedOnAndNotFollowed(string method, int status)
    {
        using var elsewhere = new TcpListener(IPAddress.Loopback, 0);
        elsewhere.Start();
        var location = $"http://{elsewhere.LocalEndpoint}/data/k?x=%2F";
        var document = method == "HEAD" ? "" : "<Error><Code>TemporaryRedirect</Code><Endpoint>elsewhere</Endpoint></Error>";
        await using var backend = new RawBackend($"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Type: application/xml\r\n", Encoding.ASCII.GetBytes(document));
        await using var proxy = await ForwardingHost.StartAsync(backend.Url);
        using var answer = await proxy.SendAsync(new HttpMethod(method), "/data/k", method == "PUT" ? new StringContent("1") : null);

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(location, answer.Headers.NonValidated["Location"].ToString());
        Assert.Equal(document, await answer.Content.ReadAsStringAsync());
        Assert.Single(backend.Heads);
        Assert.False(elsewhere.Pending(), "the redirect was followed");
    }

    [Fact]
    public async Task Forward_CompressedBody_PassesByteForByte()
    {
        var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(new byte[100_000]);
        }

        var bytes = packed.ToArray();
        await using var backend = new RawBackend("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: \"1\"\r\n", bytes);
        await using var proxy = await ForwardingHost.StartAsync(backend.Url);
        using var answer = await proxy.SendAsync(HttpMethod.Get, "/data/k");

        Assert.Equal(bytes, await answer.Content.ReadAsByteArrayAsync());
        Assert.Equal("gzip", answer.Content.Headers.NonValidated["Content-Encoding"].ToString());
        Assert.Equal(bytes.Length, answer.Content.Headers.ContentLength);
        Assert.DoesNotContain("Accept-Encoding", Assert.Single(backend.Heads), StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>A browser sends the console's session to every port of its host, and would take a new one from any of them.</summary>
    [Fact]
    public async Task Forward_Cookies_PassNeitherWay()
    {
        await using var backend = new RawBackend("HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\nx-own: 1\r\n", []);
        await using var proxy = await ForwardingHost.StartAsync(backend.Url);
        for (var i = 0; i < 2; i++)
        {
            var message = proxy.Request(HttpMethod.Get, "/data/k");
            message.Headers.TryAddWithoutValidation("Cookie", "session=secret");
            message.Headers.TryAddWithoutValidation("x-asked", "1");
            using var answer = await proxy.Client.SendAsync(message);
            Assert.False(answer.Headers.NonValidated.Contains("Set-Cookie"));
            Assert.Equal("1", answer.Headers.NonValidated["x-own"].ToString());
        }

        Assert.Equal(2, backend.Heads.Count);
        Assert.All(backend.Heads, head => Assert.DoesNotContain("Cookie", head, StringComparison.OrdinalIgnoreCase));
        Assert.All(backend.Heads, head => Assert.Contains("x-asked: 1", head, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Forward_HeadersNobodyKnows_PassAsTheyAre()
    {
        await using var backend = new RawBackend("HTTP/1.1 200 OK\r\nx-Store-Own: a,  b\r\nx-store-own: c\r\nx-amz-meta-Gruss: hällo\r\nx-empty:\r\nExpires: 0\r\nLast-Modified: yesterday\r\nContent-Type: odd\r\n", []);
        await using var proxy = await ForwardingHost.StartAsync(backend.Url);
        using var answer = await proxy.SendAsync(HttpMethod.Get, "/data/k");

        Assert.Equal(["a,  b", "c"], answer.Headers.NonValidated["x-store-own"]);
        Assert.Equal("hällo", answer.Headers.NonValidated["x-amz-meta-Gruss"].ToString());
        Assert.Equal("", answer.Headers.NonValidated["x-empty"].ToString());
        Assert.Equal("0", answer.Content.Headers.NonValidated["Expires"].ToString());
        Assert.Equal("yesterday", answer.Content.Headers.NonValidated["Last-Modified"].ToString());
        Assert.Equal("odd", answer.Content.Headers.NonValidated["Content-Type"].ToString());
    }
}
