using System.Diagnostics;
using System.Globalization;
using System.Net;
using Proxy.FunctionalTests.Cache;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Chaos;

/// <summary>Design promise 5 while everything goes wrong: cut answers, stalls, resets, refusals and a backend that hangs, under large reads and uploads.</summary>
/// <remarks>The constant beside what is configured is that of MemoryCeilingTests.</remarks>
public sealed class ChaosMemoryTests(ITestOutputHelper output)
{
    private const int MemoryMiB = 64;
    private const int ConstantMiB = 256;
    private const int Clients = 32;
    private const int Enough = 64;
    private const int ObjectBytes = 2 << 20;

    private static readonly TimeSpan Phase = TimeSpan.FromSeconds(1);

    /// <summary>Until <see cref="Enough"/> were answered, before anything goes wrong.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Load_BackendMisbehavesInEveryWay_MemoryStaysWithin()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        var bytes = new byte[ObjectBytes];
        Random.Shared.NextBytes(bytes);
        for (var i = 0; i < 64; i++)
        {
            backend.Store.TryPut("a-bucket", Key(i), FaultyObject.Of(bytes));
        }

        await using var proxy = await ProxyProcess.StartAsync(
            [
                "--memory", $"{MemoryMiB}MiB", "--nvme", "0", "--set", "Backend:Health:OpenFor=00:00:00.2", "--set", "Backend:StallTimeout=00:00:01", "--set", "Backend:ResponseTimeout=00:00:01",
                "--set", "Backend:ResponseTimeoutPerMiB=00:00:00.1", "--set", "Backend:ReadTimeout=00:00:02", "--set", "Backend:Health:MaxWait=00:00:02",
            ],
            new Uri(backend.Url));
        using var client = new S3Http(proxy.Endpoint);
        (string Name, Action Break)[] faults =
        [
            ("none", static () => { }),
            ("cut short", () => backend.Break("GetObject", new Fault { ResetAfterBytes = 1_500_000 })),
            ("stalled", () => backend.Break("GetObject", new Fault { StallAfterBytes = 1_500_000 })),
            ("reset", () => backend.Break("*", new Fault { ResetBeforeDoing = true })),
            ("done and reset", () => backend.Break("*", new Fault { ResetAfterDoing = true })),
            ("hanging", () => backend.Break("*", new Fault { Latency = TimeSpan.FromSeconds(30) })),
            ("throttled", () => backend.RequestsPerSecond = 20),
        ];
        long most = 0;
        var (good, bad) = (0, 0);
        using var over = new CancellationTokenSource();
        var watching = Task.Run(async () =>
        {
            while (!over.IsCancellationRequested)
            {
                most = Math.Max(most, proxy.ResidentMiB);
                await Task.Delay(20);
            }
        });
        foreach (var (name, breakIt) in faults)
        {
            breakIt();
            var started = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(async number =>
            {
                for (var i = 0; Stopwatch.GetElapsedTime(started) < (good < Enough ? Patience : Phase); i++)
                {
                    var isRight = await AskAsync(number, i);
                    Interlocked.Increment(ref isRight ? ref good : ref bad);
                }
            }));
            backend.Heal();
            backend.RequestsPerSecond = null;
            output.WriteLine($"{name}: at most {most} MiB resident so far, {good} answered, {bad} refused or cut");
        }

        await over.CancelAsync();
        await watching;
        Assert.True(good >= Enough && bad > 20, $"{good} answered, {bad} refused or cut: nothing was tested");
        Assert.True(most <= MemoryMiB + ConstantMiB, $"{most} MiB resident, {MemoryMiB} configured");

        async Task<bool> AskAsync(int number, int i)
        {
            try
            {
                if (i % 4 == 0)
                {
                    return (await client.TryAsync(HttpMethod.Put, $"/a-bucket/files/insert_log/1/2/3/100/w{number}-{i}", bytes)).Status == HttpStatusCode.OK;
                }

                using var answer = await client.SendAsync(HttpMethod.Get, $"/a-bucket/{Key((number + (i * 7)) % 64)}");
                if (answer.StatusCode != HttpStatusCode.OK)
                {
                    return false;
                }

                Assert.Equal(bytes, await answer.Content.ReadAsByteArrayAsync());
                return true;
            }
            catch (Exception cut) when (cut is HttpRequestException or IOException)
            {
                return false;
            }
        }
    }

    private static string Key(int i) => string.Create(CultureInfo.InvariantCulture, $"files/index_files/1/1/1/1/slice_{i}");
}
