using Microsoft.Extensions.Logging;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Several directories as one store: each block has its home by hash, and a lost device loses only its own.</summary>
internal sealed class NvmeStripes(IReadOnlyList<INvmeStore> stores) : INvmeStore
{
    /// <summary>Null when no directory is configured.</summary>
    public static INvmeStore? Open(TierOptions options, BlockPool pool, TimeProvider time, ILoggerFactory loggers)
    {
        var logger = loggers.CreateLogger<NvmeDevice>();
        var devices = options.NvmeDirectories.Select(directory => (INvmeStore)new NvmeDevice(directory, options, pool, time, logger)).ToArray();
        return devices.Length switch
        {
            0 => null,
            1 => devices[0],
            _ => new NvmeStripes(devices),
        };
    }

    public bool Contains(in BlockId id) => HomeOf(id).Contains(id);

    public bool Serves(in BlockId id) => HomeOf(id).Serves(id);

    public bool HasRoom(in BlockId id) => HomeOf(id).HasRoom(id);

    public bool IsLate(in BlockId id) => HomeOf(id).IsLate(id);

    public long CapacityBytes
    {
        get
        {
            // Index instead of enumerator: asked for every block that a full tier turns away.
            long sum = 0;
            for (var i = 0; i < stores.Count; i++)
            {
                sum += stores[i].CapacityBytes;
            }

            return sum;
        }
    }

    /// <summary>Of the directory that is furthest behind.</summary>
    public double Backlog
    {
        get
        {
            // Index instead of enumerator: asked for every piece of an upload.
            var most = 0.0;
            for (var i = 0; i < stores.Count; i++)
            {
                most = Math.Max(most, stores[i].Backlog);
            }

            return most;
        }
    }

    public bool TryGetLength(in BlockId id, out int length) => HomeOf(id).TryGetLength(id, out length);

    public bool TryWrite(in BlockId id, BlockLease lease) => HomeOf(id).TryWrite(id, lease);

    public ValueTask<BlockLease> ReadAsync(BlockId id, int offset, int length, CancellationToken cancellation) => HomeOf(id).ReadAsync(id, offset, length, cancellation);

    public void Remove(in BlockId id) => HomeOf(id).Remove(id);

    public void CountLookup(in BlockId id, bool found) => HomeOf(id).CountLookup(id, found);

    public IReadOnlyList<NvmeSnapshot> Snapshot() => [.. stores.SelectMany(store => store.Snapshot())];

    /// <summary>All at once: a device that hangs must not take from the others the time to save what they have.</summary>
    public async ValueTask DisposeAsync() => await Task.WhenAll(stores.Select(store => store.DisposeAsync().AsTask())).ConfigureAwait(false);

    // The same home after every restart: not GetHashCode, which differs from process to process.
    private INvmeStore HomeOf(in BlockId id) => stores[(int)((id.Content.Low + ((ulong)(uint)id.Number * 0x9E3779B97F4A7C15)) % (ulong)stores.Count)];
}
