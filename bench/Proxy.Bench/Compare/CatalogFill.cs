using System.Globalization;
using Proxy.Bench.Load;
using Proxy.Bench.Peers;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Compare;

/// <summary>Fills a proxy's catalog with objects that only seem to be there: a HEAD makes an entry as a read does, and a <see cref="StaticOrigin"/> that knows every key answers it.</summary>
internal static class CatalogFill
{
    /// <summary>What every object claims to have.</summary>
    public const long ObjectBytes = 16 << 20;

    private const int Connections = 32;
    private const int Batch = 50_000;

    /// <summary>A proxy that can hold so many entries beside its hot objects, and asks for nothing but what it is asked for.</summary>
    public static ProxySetup Setup(string assembly, long memoryBytes, int entries, Uri origin) => new(
        assembly, memoryBytes, "0", origin,
        [
            // An entry takes about 850 bytes: bench/results/catalog.
            "--set", string.Create(CultureInfo.InvariantCulture, $"Cache:Catalog:CapacityBytes={(64L << 20) + (1200L * entries)}"),
            // The HEAD of a slice would bring its bytes: the catalog is to be filled, not the memory tier.
            "--set", "Cache:Fills:HeadAheadOnMiss=false",
        ]);

    public static DatasetObject Entry(int number) => Object($"files/index_files/{450_000_000_000 + (number / 64)}/1/1002/450000000000/HNSW_{number % 64}");

    public static DatasetObject Object(string key) => new(key, ObjectBytes, ObjectKind.IndexSlice, new Content(1, key));

    /// <summary>Asks for every entry once.</summary>
    /// <exception cref="RunFailedException">An answer was wrong, or the catalog does not hold them all.</exception>
    public static async Task FillAsync(ProxyServer proxy, int entries, RunProgress progress, CancellationToken cancellation)
    {
        for (var first = 0; first < entries; first += Batch)
        {
            progress.Begin($"{proxy.Name}: {first:#,0} of {entries:#,0} entries");
            var objects = Enumerable.Range(first, Math.Min(Batch, entries - first)).Select(Entry).ToList();
            var plan = new LoadPlan(objects, [LoadOperation.Head], 0) { IsInOrder = true };
            var load = new LoadOptions(Connections, Threads: 1, TimeSpan.Zero, TimeSpan.FromHours(1), Seed: 1);
            var result = await Task.Run(() => new LoadRun(CompareRun.Target(proxy), plan, load).Run([], cancellation), cancellation);
            cancellation.ThrowIfCancellationRequested();
            RunFailedException.Unless(result.FindingCount == 0, $"{proxy.Name} while its catalog was filled: {string.Join("; ", result.Findings)}");
            progress.Advance(objects.Count);
        }

        var held = await ReadGaugeAsync(proxy, "s3_proxy_catalog_entries", cancellation);
        RunFailedException.Unless(held >= entries, $"{proxy.Name} was asked for {entries:#,0} objects and its catalog holds {held:#,0}");
        var bytes = await ReadGaugeAsync(proxy, "s3_proxy_catalog_bytes", cancellation);
        progress.Line($"{proxy.Name}: the catalog holds {held:#,0} objects in {bytes / (1 << 20):#,0} MiB");
    }

    private static async Task<double> ReadGaugeAsync(ProxyServer proxy, string name, CancellationToken cancellation)
    {
        using var client = new HttpClient();
        var text = await client.GetStringAsync(new Uri(proxy.Admin, "/metrics"), cancellation);
        var line = text.Split('\n').FirstOrDefault(line => line.StartsWith(name + " ", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line[(name.Length + 1)..], CultureInfo.InvariantCulture);
    }
}
