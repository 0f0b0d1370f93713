using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache.Tiers;

namespace Proxy.UnitTests.Tiers;

/// <summary>Small stacks of tiers for tests, and what they wait for.</summary>
internal static class TierStacks
{
    public static async Task<TierStack> OpenAsync(params string[] directories)
    {
        var tiers = TierStack.Open(Options(directories), TimeProvider.System, NullLoggerFactory.Instance);
        await UntilAsync(() => tiers.Snapshot().Nvme.All(one => one.State == NvmeState.Healthy), tiers);
        return tiers;
    }

    /// <summary>Keeps a directory from being opened until its format file, a pipe here, is written: whoever reads a pipe waits for its writer.</summary>
    public static async Task<string> HoldOpeningAsync(TestDirectory directory)
    {
        var format = Path.Combine(directory.Path, "format");
        using var mkfifo = System.Diagnostics.Process.Start("mkfifo", format);
        await mkfifo.WaitForExitAsync(TestContext.Current.CancellationToken);
        return format;
    }

    public static TierOptions Options(params string[] directories)
        => new() { MemoryCapacityBytes = 16 << 20, NvmeDirectories = directories, NvmeCapacityBytes = (64L << 20) * directories.Length, FreeSpaceReserveBytes = 0, ReadThreads = 4 };

    public static Task FlushedAsync(TierStack tiers) => UntilAsync(() => tiers.Snapshot().Nvme.All(one => one.QueueBytes == 0), tiers);

    public static async Task UntilAsync(Func<bool> condition, TierStack tiers)
    {
        for (var attempt = 0; !condition(); attempt++)
        {
            Assert.True(attempt < 3000, $"Waited too long: {string.Join("; ", tiers.Snapshot().Nvme)}");
            await Task.Delay(5);
        }
    }
}
