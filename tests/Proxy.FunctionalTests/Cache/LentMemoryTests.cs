using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Hot bodies leave without being copied: who reads late still has the version it asked for, not what the cache holds there by then.</summary>
public sealed class LentMemoryTests
{
    private const string LentBytes = "s3_proxy_sent_without_copy_bytes_total";
    private const int ObjectBytes = 16 << 20;

    [Fact]
    public async Task Readers_WhoPauseWhileTheirObjectIsEvicted_HaveItsBytes()
    {
        const int Readers = 12;
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        using var client = new S3Http(proxy.Endpoint);
        await client.MustAsync(HttpMethod.Put, "/lent");
        var hot = Bytes(1);
        await client.MustAsync(HttpMethod.Put, Key(1), hot);
        await ReadUntilLentAsync(proxy, client, Key(1));

        var readers = new List<(TcpClient Client, byte[] Begun)>();
        for (var i = 0; i < Readers; i++)
        {
            readers.Add(await BeginAsync(proxy, Key(1)));
        }

        var others = Enumerable.Range(2, 6).ToList();
        foreach (var number in others)
        {
            await client.MustAsync(HttpMethod.Put, Key(number), Bytes(number));
        }

        for (var round = 0; round < 3; round++)
        {
            foreach (var number in others)
            {
                Assert.Equal(Bytes(number), (await client.MustAsync(HttpMethod.Get, Key(number))).Body);
            }
        }

        foreach (var (reader, begun) in readers)
        {
            using (reader)
            {
                var body = new byte[ObjectBytes];
                begun.CopyTo(body, 0);
                await reader.GetStream().ReadExactlyAsync(body.AsMemory(begun.Length));
                Assert.True(body.AsSpan().SequenceEqual(hot));
            }
        }
    }

    /// <summary>A head before lent pages waits in the kernel for them; one that comes behind them, with nothing to follow, must not: it would wait there for 200 ms.</summary>
    [Theory]
    [InlineData("HEAD")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public async Task AnswerWithoutABody_BehindALentOne_LeavesAtOnce(string method)
    {
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        using var client = new S3Http(proxy.Endpoint);
        await client.MustAsync(HttpMethod.Put, "/lent");
        await client.MustAsync(HttpMethod.Put, Key(1), Bytes(1));
        await ReadUntilLentAsync(proxy, client, Key(1));

        // One connection: requests one after the other. The quickest of some, since others may hold the processors for a while.
        var quickest = TimeSpan.MaxValue;
        for (var round = 0; round < 10; round++)
        {
            await client.MustAsync(HttpMethod.Get, Key(1));
            var started = Stopwatch.GetTimestamp();
            await client.MustAsync(new HttpMethod(method), method == "HEAD" ? Key(1) : Key(2), method == "PUT" ? [1, 2, 3] : null);
            var took = Stopwatch.GetElapsedTime(started);
            quickest = took < quickest ? took : quickest;
        }

        Assert.InRange(quickest.TotalMilliseconds, 0, 150);
    }

    /// <summary>A sandbox without the calls: the first answer that would have been lent is copied, and so are all others.</summary>
    [Theory]
    [InlineData("vmsplice", "EPERM")]
    [InlineData("vmsplice", "ENOSYS")]
    [InlineData("splice", "EINVAL")]
    public async Task SystemRefuses_AnswersAreCopied(string call, string error)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/strace"), "strace is not installed");
        await using var proxy = await ProxyProcess.StartAsync(
            ["--memory", "64MiB", "--nvme", "0"], launcher: ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", $"trace={call}", "-e", $"inject={call}:error={error}", "--seccomp-bpf"]);
        await AssertCopiedAsync(proxy);
    }

    [Fact]
    public async Task ZeroCopyOff_NothingIsLent()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0", "--set", "S3:ZeroCopy=false"]);
        await AssertCopiedAsync(proxy);
    }

    private static async Task AssertCopiedAsync(ProxyProcess proxy)
    {
        using var client = new S3Http(proxy.Endpoint);
        await client.MustAsync(HttpMethod.Put, "/lent");
        await client.MustAsync(HttpMethod.Put, Key(1), Bytes(1));
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(Bytes(1), (await client.MustAsync(HttpMethod.Get, Key(1))).Body);
        }

        Assert.Equal(0, await proxy.ReadMetricAsync(LentBytes));
    }

    private static string Key(int number) => $"/lent/files/index_files/1/1/1/1/{number}";

    private static byte[] Bytes(int number)
    {
        var bytes = new byte[ObjectBytes];
        new Random(number).NextBytes(bytes);
        return bytes;
    }

    private static async Task ReadUntilLentAsync(ProxyProcess proxy, S3Http client, string key)
    {
        for (var reads = 0; await proxy.ReadMetricAsync(LentBytes) < ObjectBytes / 2; reads++)
        {
            Assert.True(reads < 50, "Nothing is lent.");
            await client.MustAsync(HttpMethod.Get, key);
        }
    }

    /// <summary>A read of which a little of the body is taken, so that the kernel holds what follows.</summary>
    private static async Task<(TcpClient Client, byte[] Begun)> BeginAsync(ProxyProcess proxy, string key)
    {
        var signer = new RequestSigner("us-east-1", TimeProvider.System);
        var signature = signer.Sign("GET", key, proxy.Endpoint.Authority, [], PayloadHash.Unsigned, new Credential(ProxyProcess.AccessKey, ProxyProcess.SecretKey));
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Endpoint.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"GET {key} HTTP/1.1\r\nHost: {proxy.Endpoint.Authority}\r\nAuthorization: {signature.Authorization}\r\nx-amz-date: {signature.AmzDate}\r\nx-amz-content-sha256: {signature.ContentSha256}\r\n\r\n"));
        var received = new byte[64 << 10];
        var length = 0;
        int head;
        while ((head = received.AsSpan(0, length).IndexOf("\r\n\r\n"u8)) < 0)
        {
            length += await stream.ReadAsync(received.AsMemory(length));
        }

        Assert.StartsWith("HTTP/1.1 200", Encoding.ASCII.GetString(received, 0, head), StringComparison.Ordinal);
        return (client, received[(head + 4)..length]);
    }
}
