using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.Cache.Blocks;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>A journal that takes time and memory to read.</summary>
public sealed class LongJournalTests : IDisposable
{
    private const int MiB = CacheFixture.MiB;
    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-cache-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Until it is rewritten it takes changes of any number of keys. All of them were in memory at once at a start: several times what the catalog may take.</summary>
    [Fact]
    public async Task Journal_OfMoreKeysThanTheCatalogHolds_IsReadWithinTheCatalogsBound()
    {
        const int Keys = 10_000;
        var options = Options();
        var rules = new ClassRules(options);
        var log = new SaidLines<ObjectCache>();
        await using (var journal = new CatalogJournal(_folder, options.Catalog.JournalBytes, MiB, TimeProvider.System, log))
        {
            var catalog = new ObjectCatalog(MiB, new Generations(), journal);
            journal.Start(catalog, rules, trustRecovered: false);
            await journal.Recovered;
            for (var i = 0; i < Keys; i++)
            {
                Assert.True(catalog.TryPublish(Entry($"some/key/{i}", i), catalog.Take(new ObjectId("a-bucket", $"some/key/{i}"))));
            }
        }

        await using (var journal = new CatalogJournal(_folder, options.Catalog.JournalBytes, MiB, TimeProvider.System, log))
        {
            var catalog = new ObjectCatalog(MiB, new Generations(), journal);
            journal.Start(catalog, rules, trustRecovered: false);
            await journal.Recovered;
            Assert.True(catalog.TryGet("a-bucket", $"some/key/{Keys - 1}", out _));
            Assert.Contains(log.Said, said => said.StartsWith($"Catalog: {catalog.Count} entries recovered", StringComparison.Ordinal));
            Assert.InRange(catalog.Count, 1000, Keys / 4);
            Assert.InRange(catalog.UsedBytes, 0, MiB);
        }
    }

    /// <summary>It found nothing as yet, kept everything else from coming back, and after the next start what it was to forget was there again.</summary>
    [Fact]
    public async Task Purge_WhileTheJournalIsRead_ForgetsWhatItBringsBack()
    {
        // So many that to read them takes longer than to ask.
        const int Keys = 50_000;
        var options = Options();
        await using (var journal = new CatalogJournal(_folder, options.Catalog.JournalBytes, MiB, TimeProvider.System, NullLogger.Instance))
        {
            var catalog = new ObjectCatalog(options.Catalog.CapacityBytes, new Generations(), journal);
            journal.Start(catalog, new ClassRules(options), trustRecovered: false);
            await journal.Recovered;
            for (var i = 0; i < Keys; i++)
            {
                var entry = Entry(i % 2 == 0 ? $"purged/{i}" : $"kept/{i}", i);
                Assert.True(catalog.TryPublish(entry, catalog.Take(entry.Id)));
            }
        }

        await using (var cache = ObjectCache.Open(options, TimeProvider.System, NullLoggerFactory.Instance))
        {
            var (objects, _) = await cache.Admin.PurgeAsync(new KeySelection { Bucket = "a-bucket", Prefix = "purged/" }, new HashSet<long>(), CancellationToken.None);
            Assert.Equal(Keys / 2, objects);
            Assert.Equal(Keys / 2, cache.Snapshot().CatalogEntries);
        }

        await using (var cache = ObjectCache.Open(options, TimeProvider.System, NullLoggerFactory.Instance))
        {
            await cache.Recovered;
            Assert.Equal(Keys / 2, cache.Snapshot().CatalogEntries);
        }
    }

    private static CatalogEntry Entry(string key, int number) => new()
    {
        Bucket = "a-bucket",
        Key = key,
        ETag = "\"v\"",
        Layout = ObjectLayout.Single(new ContentId((ulong)number, 1), 7, MiB),
        Policy = default,
    };

    private CacheOptions Options() => new()
    {
        Memory = { CapacityBytes = 64 * MiB },
        Nvme = { Directories = { _folder }, CapacityBytes = 256L * MiB, Engine = "Plain" },
    };
}
