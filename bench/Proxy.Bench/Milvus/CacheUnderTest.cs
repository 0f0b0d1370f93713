using Proxy.Bench.Peers;

namespace Proxy.Bench.Milvus;

/// <summary>What a cache may hold.</summary>
/// <param name="NvmeBytes">0 for none.</param>
internal readonly record struct CacheSizes(long MemoryBytes, long NvmeBytes)
{
    /// <summary>What both tiers hold together, if none of it twice.</summary>
    public long Bytes => MemoryBytes + NvmeBytes;
}

/// <summary>A cache the bench started, which it may start anew with other sizes and nothing in it.</summary>
/// <param name="make">Given the sizes and an empty folder.</param>
/// <param name="folder">The folders of its lives are made beside it.</param>
internal sealed class CacheUnderTest(CacheSizes sizes, string folder, Func<CacheSizes, string, BenchServer> make) : IAsyncDisposable
{
    private int _lives;

    public BenchServer Current { get; private set; } = make(sizes, folder);

    public CacheSizes Sizes { get; private set; } = sizes;

    /// <summary>As the run began.</summary>
    public CacheSizes FirstSizes { get; } = sizes;

    public Task StartAsync(CancellationToken cancellation) => Current.StartAsync(cancellation);

    /// <summary>Ends it, and begins another life on the same port.</summary>
    public async Task RestartAsync(CacheSizes wanted, CancellationToken cancellation)
    {
        await Current.DisposeAsync();
        var last = Folder(_lives);
        if (Directory.Exists(last))
        {
            Directory.Delete(last, recursive: true);
        }

        Sizes = wanted;
        Current = make(wanted, Folder(++_lives));
        await Current.StartAsync(cancellation);
    }

    public ValueTask DisposeAsync() => Current.DisposeAsync();

    private string Folder(int life) => life == 0 ? folder : $"{folder}-{life}";
}
