using System.Diagnostics;
using Microsoft.Extensions.Caching.Memory;
using Proxy.Cache;
using Proxy.Cache.Metadata;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>What the README says of the catalog and of the hit path, measured. Explicit: run by name on a quiet machine.</summary>
/// <remarks>CATALOG_ENTRIES sets how many (300,000).</remarks>
public sealed class CatalogFigures(ITestOutputHelper output)
{
    private const string Bucket = "a-bucket";
    private static readonly int Entries = int.Parse(Environment.GetEnvironmentVariable("CATALOG_ENTRIES") ?? "300000");

    [Fact(Explicit = true)]
    public void EntryTable_AgainstMemoryCache()
    {
        var names = Enumerable.Range(0, Entries).Select(Key).ToArray();
        var random = new Random(1);
        var order = Enumerable.Range(0, 1_000_000).Select(_ => names[random.Next(names.Length)]).ToArray();

        var (ofEntries, entries) = Held(() => names.Select(Entry).ToArray());
        var (ofTable, table) = Held(() =>
        {
            var made = new EntryTable(long.MaxValue);
            Array.ForEach(entries, made.Set);
            return made;
        });
        Report("EntryTable", ofTable, () => Array.ForEach(order, key => _ = table.Find(Bucket, key) ?? throw new InvalidOperationException()));
        output.WriteLine($"  an entry {ofEntries / (double)Entries:F0} B without its key; it says {entries[0].CostBytes}, key included");
        var bounded = new EntryTable(entries.Sum(entry => entry.CostBytes) / 10 * 9);
        var slowest = TimeSpan.Zero;
        var all = Stopwatch.StartNew();
        foreach (var entry in entries)
        {
            var start = Stopwatch.GetTimestamp();
            bounded.Set(entry);
            var took = Stopwatch.GetElapsedTime(start);
            slowest = took > slowest ? took : slowest;
        }

        output.WriteLine($"  {bounded.Evictions} evictions while filling: {all.Elapsed.TotalNanoseconds / Entries:F0} ns a Set, the slowest {slowest.TotalMilliseconds:F2} ms");
        GC.KeepAlive(table);

        if (Entries > 1_000_000)
        {
            var pauses = GC.GetTotalPauseDuration();
            var collect = Stopwatch.StartNew();
            GC.Collect(2, GCCollectionMode.Forced, blocking: true);
            output.WriteLine($"  a blocking collection of it all: {collect.ElapsedMilliseconds} ms ({(GC.GetTotalPauseDuration() - pauses).TotalMilliseconds:F0} ms paused)");
            return;
        }

        var (ofCache, cache) = Held(() =>
        {
            var made = new MemoryCache(new MemoryCacheOptions { SizeLimit = long.MaxValue, TrackStatistics = true });
            foreach (var entry in entries)
            {
                made.Set(entry.Bucket + "/" + entry.Key, entry, new MemoryCacheEntryOptions { Size = 1 });
            }

            return made;
        });
        Report("MemoryCache", ofCache, () => Array.ForEach(order, key =>
        {
            Span<char> name = stackalloc char[256];
            Bucket.CopyTo(name);
            name[Bucket.Length] = '/';
            key.CopyTo(name[(Bucket.Length + 1)..]);
            if (!cache.TryGetValue(name[..(Bucket.Length + 1 + key.Length)], out _))
            {
                throw new InvalidOperationException();
            }
        }));
        var compaction = Stopwatch.StartNew();
        cache.Compact(0.1);
        output.WriteLine($"  a compaction of a tenth: {compaction.ElapsedMilliseconds} ms");
        GC.KeepAlive(entries);
    }

    /// <summary>One more entry costs what the last one did: a lookup, a new entry and a replaced one, and the memory of each, from a thousand to ten million.</summary>
    /// <remarks>CATALOG_MOST sets where it ends (10,000,000: 7 GB). The table grows to each size from empty; keys are drawn at random, so that from a million on every lookup misses the processor's cache.</remarks>
    [Fact(Explicit = true)]
    public void Scale_FromAThousandToTenMillion()
    {
        var most = int.Parse(Environment.GetEnvironmentVariable("CATALOG_MOST") ?? "10000000");
        output.WriteLine("| entries | B an entry, all told | of it the table | ns a lookup, p50 of runs | slowest of a run | ns a new entry | ns a replaced one | slowest set, ms |");
        output.WriteLine("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for (var count = 1000; count <= most; count *= 10)
        {
            GC.Collect();
            var before = GC.GetTotalMemory(forceFullCollection: true);
            var keys = new string[count];
            var entries = new CatalogEntry[count];
            for (var i = 0; i < count; i++)
            {
                keys[i] = Key(i);
                entries[i] = Entry(keys[i]);
            }

            var (ofTable, table) = Held(() => new EntryTable(long.MaxValue));
            var beforeSets = GC.GetTotalMemory(forceFullCollection: true);
            var slowest = TimeSpan.Zero;
            var all = Stopwatch.StartNew();
            foreach (var entry in entries)
            {
                var start = Stopwatch.GetTimestamp();
                table.Set(entry);
                var took = Stopwatch.GetElapsedTime(start);
                slowest = took > slowest ? took : slowest;
            }

            var set = all.Elapsed.TotalNanoseconds / count;
            ofTable += GC.GetTotalMemory(forceFullCollection: true) - beforeSets;
            var whole = GC.GetTotalMemory(forceFullCollection: false) - before - (2L * IntPtr.Size * count);
            var random = new Random(1);
            var order = Enumerable.Range(0, 500_000).Select(_ => keys[random.Next(count)]).ToArray();
            var runs = Enumerable.Range(0, 7).Select(run => TimeOf(() => LookUp(table, order))).Order().ToArray();
            var replaced = TimeOf(() => Array.ForEach(order, key => table.Set(table.Find(Bucket, key)!)));
            output.WriteLine($"| {count:N0} | {whole / (double)count:F0} | {ofTable / (double)count:F0} | {runs[3] / order.Length:F0} | {runs[^1] / order.Length:F0} | {set:F0} | {replaced / order.Length:F0} | {slowest.TotalMilliseconds:F2} |");
            Assert.Equal(count, table.Count);
        }

        static void LookUp(EntryTable table, string[] keys)
        {
            foreach (var key in keys)
            {
                _ = table.Find(Bucket, key) ?? throw new InvalidOperationException();
            }
        }

        static double TimeOf(Action work)
        {
            var start = Stopwatch.GetTimestamp();
            work();
            return Stopwatch.GetElapsedTime(start).TotalNanoseconds;
        }
    }

    [Theory(Explicit = true)]
    [InlineData(64 << 10)]
    [InlineData(1 << 20)]
    [InlineData((16 << 20) + 512)]
    public async Task MemoryHit_Costs(int size)
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(size));
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.Cache.IdleAsync();
        foreach (var (what, request, whole) in new[] { ("open, first piece, close", default(ReadRequest), false), ("4 KiB range", CacheFixture.Range(20_000, 24_095), true), ("all pieces", default, true) })
        {
            const int Rounds = 200_000;
            for (var warm = 0; warm < 3; warm++)
            {
                await RunAsync(request, whole, Rounds / 10);
            }

            var bytes = GC.GetAllocatedBytesForCurrentThread();
            var best = double.MaxValue;
            for (var run = 0; run < 5; run++)
            {
                var start = Stopwatch.GetTimestamp();
                await RunAsync(request, whole, Rounds);
                best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds / Rounds);
            }

            output.WriteLine($"{size,10} B, {what,-26} {best,8:F0} ns, {(GC.GetAllocatedBytesForCurrentThread() - bytes) / (5.0 * Rounds):F2} B");
        }

        // Never really waits, so everything stays on this thread and its allocations are counted.
        async Task RunAsync(ReadRequest request, bool whole, int rounds)
        {
            for (var i = 0; i < rounds; i++)
            {
                Assert.True(fixture.Cache.TryOpen(CacheFixture.Index.Bucket, CacheFixture.Index.Key, request, out var read));
                while ((await read!.ReadNextAsync(default)).Length > 0 && whole)
                {
                }

                await read.DisposeAsync();
            }
        }
    }

    private static string Key(int i) => $"files/index_files/{i / 7 + 450_000_000_000_000_000}/1/449999999999999/{i / 3 + 450_000_000_000_000_000}/HNSW_SQ_{i}";

    private static CatalogEntry Entry(string key) => new()
    {
        Bucket = Bucket,
        Key = key,
        ETag = new string('0', 34),
        Layout = EntryTableTests.Entry(key).Layout,
        Policy = default,
        Info = new ObjectInfo { Size = 1000, ETag = new string('1', 34), LastModified = default, ContentType = "application/octet-stream" },
    };

    private static (long Bytes, T Made) Held<T>(Func<T> make)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var made = make();
        return (GC.GetTotalMemory(forceFullCollection: true) - before, made);
    }

    private void Report(string what, long bytes, Action lookups)
    {
        var best = TimeSpan.MaxValue;
        for (var run = 0; run < 4; run++)
        {
            var start = Stopwatch.GetTimestamp();
            lookups();
            var took = Stopwatch.GetElapsedTime(start);
            best = took < best ? took : best;
        }

        output.WriteLine($"{what}, {Entries} entries: {bytes / (double)Entries:F0} B an entry beside the entries; {best.TotalNanoseconds / 1_000_000:F0} ns a lookup");
    }
}
