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
}
