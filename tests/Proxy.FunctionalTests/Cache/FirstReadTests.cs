using System.Globalization;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Cache;

/// <summary>What was just written is read from the cache, also when many writers together exceed what captures may hold, and the memory tier.</summary>
/// <remarks>
/// What memory lets go of before the disk took it is lost to the cache, and a disk that earlier tests left busy takes it late: both proxies keep their files in memory where that is possible,
/// so that only what the proxy does decides.
/// </remarks>
[Collection(Alone.Collection)]
public sealed class FirstReadTests(ITestOutputHelper output)
{
    private const int ConstantMiB = 256;
    private const int MemoryMiB = 128;
    private const string SharedMemory = "/dev/shm";

    private static readonly string[] Told = ["capture", "tier_evictions", "admissions_refused", "tier_blocks", "nvme_blocks_written", "nvme_state", "nvme_io_errors", "nvme_write_queue"];

    /// <summary>A flush of index files: 16 PUTs of 16 MiB at once, twice what memory holds and eight times what captures may.</summary>
    [Fact]
    public async Task ManyLargePutsAtOnce_EveryFirstReadCostsTheBackendNothing()
    {
        const int Uploads = 16;
        var files = Directory.Exists(SharedMemory) && new DriveInfo(SharedMemory).AvailableFreeSpace > 4L << 30 ? SharedMemory : null;
        await using var far = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"], fileSystem: files);
        await using var proxy = await ProxyProcess.StartAsync(["--memory", $"{MemoryMiB}MiB", "--nvme", "2GiB"], far.Endpoint, fileSystem: files);
        using var client = new S3Http(proxy.Endpoint);
        await client.MustAsync(HttpMethod.Put, "/first");
        var bodies = Enumerable.Range(0, Uploads).Select(Body).ToArray();
        var most = 0L;
        using var over = new CancellationTokenSource();
        var watching = Task.Run(async () =>
        {
            while (!over.IsCancellationRequested)
            {
                most = Math.Max(most, proxy.ResidentMiB);
                await Task.Delay(20);
            }
        });
        await Task.WhenAll(bodies.Select((body, i) => client.MustAsync(HttpMethod.Put, Target(i), body)));
        for (var i = 0; i < Uploads; i++)
        {
            var answer = await client.MustAsync(HttpMethod.Get, Target(i));
            Assert.True(bodies[i].AsSpan().SequenceEqual(answer.Body), $"{Target(i)}: other bytes");
        }

        await over.CancelAsync();
        await watching;
        var asked = await GetsAsync(far);
        output.WriteLine($"{Uploads} PUTs at once, {asked} reads of the backend, at most {most} MiB resident");
        if (asked > 0)
        {
            Assert.Fail($"{asked} reads of the backend; what became of the blocks:\n{await BlocksAsync(proxy)}");
        }

        Assert.True(most <= MemoryMiB + ConstantMiB, $"{most} MiB resident, {MemoryMiB} configured");

        // The counter counts: a read that goes around the proxy shows in it.
        using var direct = new S3Http(far.Endpoint);
        await direct.MustAsync(HttpMethod.Get, Target(0));
        Assert.Equal(1, await GetsAsync(far));

        static string Target(int i) => string.Create(CultureInfo.InvariantCulture, $"/first/files/index_files/1/1/1/{i}/HNSW_0");
    }

    private static byte[] Body(int number)
    {
        var bytes = new byte[16 << 20];
        new Random(number).NextBytes(bytes);
        return bytes;
    }

    private static async Task<double> GetsAsync(ProxyProcess proxy)
        => (await proxy.ReadMetricsAsync()).Split('\n')
            .Where(line => line.StartsWith("s3_proxy_requests_total{operation=\"get_object\"", StringComparison.Ordinal))
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    /// <summary>Captured, in which tier, thrown out, dropped: what tells why a block had to be asked for again.</summary>
    private static async Task<string> BlocksAsync(ProxyProcess proxy)
        => string.Join('\n', (await proxy.ReadMetricsAsync()).Split('\n').Where(static line =>
            Told.Any(name => line.StartsWith($"s3_proxy_{name}", StringComparison.Ordinal))));
}
