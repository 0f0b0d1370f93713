using Microsoft.Extensions.Time.Testing;
using Proxy.Cache.Blocks;
using Proxy.Cache.Captures;

namespace Proxy.UnitTests.Cache;

public sealed class PartRegistryTests
{
    /// <summary>Only uploads were counted, of which each may have 10,000 parts: gigabytes of names before the bound was met.</summary>
    [Fact]
    public void Keep_PartsOfAllUploadsTogether_AreBounded()
    {
        const int PerUpload = 10_000;
        var time = new FakeTimeProvider();
        var registry = new PartRegistry(maxUploads: 4096, TimeSpan.FromHours(1), time);
        var gone = 0;
        for (var upload = 0; upload < 20; upload++)
        {
            for (var number = 1; number <= PerUpload; number++)
            {
                gone += registry.Keep(CacheFixture.Log, $"u{upload}", number, new CapturedPart("e", 1, new ContentId((ulong)upload, (ulong)number), HadBytes: true)).Count;
                Assert.InRange(registry.Count, 1, PartRegistry.MaxParts);
            }

            time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(20 * PerUpload, gone + registry.Count);
        Assert.Null(Assert.Single(registry.Find(CacheFixture.Log, "u0", [(1, "e")])));
        Assert.NotNull(Assert.Single(registry.Find(CacheFixture.Log, "u19", [(PerUpload, "e")])));
    }
}
