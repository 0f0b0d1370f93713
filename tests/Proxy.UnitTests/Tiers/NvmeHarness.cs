using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>A store on a directory, small enough that a test turns its ring over many times.</summary>
internal sealed class NvmeHarness : IAsyncDisposable
{
    public NvmeHarness(string directory, NvmeEngine engine, long capacityBytes = 64 << 20, long memoryBytes = 64 << 20, long reserveBytes = 0, int readThreads = 4, Action<DiskOperation, long>? faults = null)
    {
        Pool = new BlockPool(memoryBytes);
        Options = new TierOptions
        {
            NvmeDirectories = [directory],
            NvmeCapacityBytes = capacityBytes,
            NvmeEngine = engine,
            MemoryCapacityBytes = memoryBytes,
            FreeSpaceReserveBytes = reserveBytes,
            ReadThreads = readThreads,
        };
        Device = new NvmeDevice(directory, Options, Pool, TimeProvider.System, NullLogger.Instance, faults) { ProbeInterval = TimeSpan.FromMilliseconds(50) };
    }

    public BlockPool Pool { get; }

    public TierOptions Options { get; }

    public NvmeDevice Device { get; }

    public NvmeSnapshot Now => Device.Snapshot()[0];

    /// <param name="faults">From the first operation on.</param>
    public static async Task<NvmeHarness> OpenAsync(
        string directory, NvmeEngine engine, long capacityBytes = 64 << 20, long memoryBytes = 64 << 20, long reserveBytes = 0, Action<DiskOperation, long>? faults = null)
    {
        var harness = new NvmeHarness(directory, engine, capacityBytes, memoryBytes, reserveBytes, faults: faults);
        await harness.Device.Opened;
        return harness;
    }

    /// <summary>Writes as a patient client would: waits for the queue when it is full. What a restart has brought back meanwhile is there already.</summary>
    public async Task PutAsync(long number, int length = 0)
    {
        for (var attempt = 0; !Device.Contains(TestBlocks.Id(number)); attempt++)
        {
            if (Pool.TryRent(length == 0 ? TestBlocks.Length(number) : length, out var block))
            {
                TestBlocks.Fill(number, block.Span);
                if (Device.TryWrite(TestBlocks.Id(number), new BlockLease(block)))
                {
                    return;
                }
            }

            Assert.True(attempt < 10_000, $"Block {number} is not taken: {Now}");
            await Task.Delay(1);
        }
    }

    /// <summary>Blocks from 0 on, all of them on disk.</summary>
    public async Task FillAsync(int count)
    {
        for (var number = 0; number < count; number++)
        {
            await PutAsync(number);
        }

        await FlushedAsync();
    }

    /// <summary>To be called before the device recovers: from here on a read that a busy machine holds up is not taken for a hung one.</summary>
    public void BePatientWithReads() => Device.HungRead = TimeSpan.FromSeconds(30);

    /// <summary>Until everything written is on disk.</summary>
    public Task FlushedAsync() => UntilAsync(() => Now.QueueBytes == 0);

    /// <summary>It is in use again, or still: a block that is written comes to the disk and is found there.</summary>
    public async Task TakesBlocksAsync(long number)
    {
        await PutAsync(number);
        await FlushedAsync();
        Assert.True(await HasAsync(number), $"{Now}");
    }

    public async Task UntilAsync(Func<bool> condition)
    {
        for (var attempt = 0; !condition(); attempt++)
        {
            Assert.True(attempt < 3000, $"Waited too long: {Now}");
            await Task.Delay(5);
        }
    }

    /// <returns>True: there and right. False: a miss. Wrong bytes fail the test.</returns>
    public async Task<bool> HasAsync(long number, int offset = 0, int length = 0)
    {
        var whole = TestBlocks.Length(number);
        length = length == 0 ? whole - offset : Math.Min(length, whole - offset);
        using var lease = await Device.ReadAsync(TestBlocks.Id(number), offset, length, CancellationToken.None);
        if (!lease.HasValue)
        {
            return false;
        }

        Assert.Equal(length, lease.Length);
        Assert.True(TestBlocks.IsRight(number, offset, lease.Span), $"WRONG BYTES in block {number} at {offset}+{length}");
        return true;
    }

    public async Task<int> CountAsync(long from, long until)
    {
        var found = 0;
        for (var number = from; number < until; number++)
        {
            found += await HasAsync(number) ? 1 : 0;
        }

        return found;
    }

    public async ValueTask DisposeAsync()
    {
        await Device.DisposeAsync();
        Assert.Equal(0, Pool.RentedBlocks);
        Pool.Dispose();
    }
}
