using System.Net;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Cache;

/// <summary>The whole way: a client has the head and the first bytes of an object when its blocks go bad on the disk, and gets every byte of it, right.</summary>
public sealed class SalvageOverHttpTests
{
    private const string Target = "/salvage/files/index_files/1/1/1/1/HNSW_0";

    [Fact]
    public async Task NvmeGoesBad_UnderAResponseThatIsGoingOut_TheClientGetsEveryByte()
    {
        await using var far = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "16MiB", "--nvme", "512MiB"], far.Endpoint);
        using var direct = new S3Http(far.Endpoint);
        using var client = new S3Http(proxy.Endpoint);
        var bytes = new byte[48 << 20];
        new Random(3).NextBytes(bytes);
        await direct.MustAsync(HttpMethod.Put, "/salvage");
        await direct.MustAsync(HttpMethod.Put, Target, bytes);
        for (var attempt = 0; (await client.MustAsync(HttpMethod.Get, Target)).Cache != "HIT-NVME"; attempt++)
        {
            Assert.True(attempt < 20, "It does not get to the disk.");
        }

        using var response = await client.SendAsync(HttpMethod.Get, Target);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("HIT-NVME", response.Headers.GetValues("X-Cache").Single());
        var body = await response.Content.ReadAsStreamAsync();
        var got = new byte[bytes.Length];
        await body.ReadExactlyAsync(got.AsMemory(0, 1 << 20));

        // A bit in every 64 KiB: no block is left whole. The sockets hold a few of 48 MiB.
        using (var data = new FileStream(Assert.Single(Directory.GetFiles(proxy.DataDirectory, "data", SearchOption.AllDirectories)), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
        {
            for (long at = 30_000; at < data.Length; at += 64 << 10)
            {
                data.Position = at;
                var value = data.ReadByte();
                data.Position = at;
                data.WriteByte((byte)(value ^ 16));
            }
        }

        await body.ReadExactlyAsync(got.AsMemory(1 << 20));
        Assert.Equal(0, await body.ReadAsync(new byte[1]));
        Assert.True(bytes.AsSpan().SequenceEqual(got), "Wrong bytes.");
        Assert.Matches(@"s3_proxy_nvme_corrupt_blocks_total\{[^}]*\} [1-9]", await proxy.ReadMetricsAsync());
    }
    /// <summary>Small ranges are read from NVMe and answered ahead of Kestrel: as Kestrel answers them, and past the disk when it has gone bad.</summary>
    [Fact]
    public async Task SmallRanges_FromNvme_AreHotReads_UntilTheDiskGoesBad()
    {
        await using var far = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "16MiB", "--nvme", "512MiB"], far.Endpoint);
        using var direct = new S3Http(far.Endpoint);
        using var client = new S3Http(proxy.Endpoint);
        var bytes = new byte[48 << 20];
        new Random(4).NextBytes(bytes);
        await direct.MustAsync(HttpMethod.Put, "/salvage");
        await direct.MustAsync(HttpMethod.Put, Target, bytes);
        for (var attempt = 0; (await client.MustAsync(HttpMethod.Get, Target)).Cache != "HIT-NVME"; attempt++)
        {
            Assert.True(attempt < 20, "It does not get to the disk.");
        }

        var (hot, fromNvme) = (await proxy.ReadMetricAsync("s3_proxy_hot_reads_total"), 0);
        for (var i = 0; i < 40; i++)
        {
            var first = (i * 1_234_567) % (bytes.Length - 70_000);
            var answer = await ReadAsync(first);
            var other = await ReadAsync(first + 1, ifMatch: "*"); // Kestrel's
            fromNvme += answer.Cache == "HIT-NVME" ? 1 : 0;
            Assert.Equal(other.Headers, answer.Headers);
        }

        Assert.Equal(hot + 40, await proxy.ReadMetricAsync("s3_proxy_hot_reads_total"));
        Assert.InRange(fromNvme, 20, 40);
        using (var data = new FileStream(Assert.Single(Directory.GetFiles(proxy.DataDirectory, "data", SearchOption.AllDirectories)), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
        {
            data.SetLength(data.Length / 2);
            data.SetLength(data.Length * 2);
        }

        for (var i = 0; i < 40; i++)
        {
            await ReadAsync((i * 1_234_567) % (bytes.Length - 70_000));
        }

        async Task<(string Cache, string Headers)> ReadAsync(int first, string? ifMatch = null)
        {
            using var response = await client.SendAsync(HttpMethod.Get, Target, range: (first, first + 65_535), ifMatch: ifMatch);
            Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
            var got = await response.Content.ReadAsByteArrayAsync();
            Assert.True(bytes.AsSpan(first, 65_536).SequenceEqual(got), $"Wrong bytes from {first}.");
            return (response.Headers.GetValues("X-Cache").Single(), string.Join('\n', response.Headers.Concat(response.Content.Headers)
                .Select(header => header.Key).Order(StringComparer.Ordinal)));
        }
    }
}
