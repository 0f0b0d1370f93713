using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>A disk that takes a write and does not come back.</summary>
public sealed class NvmeHangTests
{
    public static TheoryData<NvmeEngine> Engines => [NvmeEngine.Faster, NvmeEngine.Plain];

    /// <summary>Its thread finds a log, and events to set, that are gone: with the process it would take everything.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Write_EndsAfterItsStoreWasClosed_HarmsNobody(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        var cache = directory.File("cache");
        using var gate = new ManualResetEventSlim();
        var (entered, left) = (0, 0);
        await using var store = await NvmeHarness.OpenAsync(cache, engine);
        store.Device.Faults = (operation, _) =>
        {
            if (operation == DiskOperation.Write)
            {
                Interlocked.Increment(ref entered);
                gate.Wait();
                Interlocked.Increment(ref left);
            }
        };
        try
        {
            await store.PutAsync(1);
            await store.UntilAsync(() => Volatile.Read(ref entered) > 0);
            store.Device.Faults = null;
            Directory.Delete(cache, recursive: true);
            await store.UntilAsync(() => File.Exists(Path.Combine(cache, "data")) && store.Now.State == NvmeState.Healthy);
        }
        finally
        {
            gate.Set();
        }

        await store.UntilAsync(() => Volatile.Read(ref left) == Volatile.Read(ref entered));
        await store.PutAsync(2);
        await store.FlushedAsync();
        Assert.True(await store.HasAsync(2));
        Assert.Equal(1, store.Now.Suspensions);
    }
}
