using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>A directory that closes while requests are in it: nobody uses a store that is gone, and no block stays behind.</summary>
public sealed class NvmeCloseTests
{
    private const int Rounds = 25;
    private const int Callers = 4;
    private const int Blocks = 24;

    [Theory]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task Close_UnderCallers_TheyFindNothingAndHoldNothing(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using (var first = await NvmeHarness.OpenAsync(directory.Path, engine))
        {
            await first.FillAsync(Blocks);
        }

        var found = 0;
        for (var round = 0; round < Rounds; round++)
        {
            using var pool = new BlockPool(64 << 20);
            var options = new TierOptions { NvmeDirectories = [directory.Path], NvmeCapacityBytes = 64 << 20, NvmeEngine = engine, MemoryCapacityBytes = 64 << 20, FreeSpaceReserveBytes = 0, ReadThreads = 4 };
            var device = new NvmeDevice(directory.Path, options, pool, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
            await device.Opened;
            using var stop = new CancellationTokenSource();

            // Threads of their own: four that never wait would take the pool from the one who closes.
            var callers = Enumerable.Range(0, Callers)
                .Select(seed => Task.Factory.StartNew(() => Call(device, pool, new Random(seed), stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
            await Task.Delay(round % 5, TestContext.Current.CancellationToken);
            await device.DisposeAsync();

            // Closed, and still called.
            Assert.False(device.Contains(TestBlocks.Id(1)));
            await stop.CancelAsync();
            found += (await Task.WhenAll(callers)).Sum();
            Assert.Equal(0, pool.RentedBlocks);
        }

        Assert.True(found > 0, "no call came in time: nothing was tried");
    }

    private static int Call(NvmeDevice device, BlockPool pool, Random random, CancellationToken stop)
    {
        var found = 0;
        for (var call = 0; !stop.IsCancellationRequested; call++)
        {
            var number = random.Next(Blocks + 4);
            switch (call % 8)
            {
                case 0 when pool.TryRent(TestBlocks.Length(number), out var block):
                    TestBlocks.Fill(number, block.Span);
                    device.TryWrite(TestBlocks.Id(number), new BlockLease(block));
                    break;
                case 1:
                    device.Remove(TestBlocks.Id(Blocks + random.Next(4)));
                    break;
                case 2:
                    _ = device.Snapshot();
                    break;
                default:
                    using (var lease = device.ReadAsync(TestBlocks.Id(number), 0, int.MaxValue, CancellationToken.None).AsTask().GetAwaiter().GetResult())
                    {
                        Assert.True(!lease.HasValue || TestBlocks.IsRight(number, 0, lease.Span), $"WRONG BYTES in block {number}");
                        found += lease.HasValue ? 1 : 0;
                    }

                    break;
            }
        }

        return found;
    }
}
