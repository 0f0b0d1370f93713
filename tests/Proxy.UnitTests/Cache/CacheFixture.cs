using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>A cache in memory over a <see cref="FakeSource"/>.</summary>
internal sealed class CacheFixture : IAsyncDisposable
{
    public const int MiB = 1 << 20;
    public static readonly ObjectId Index = new("a-bucket", "files/index_files/1/2/3/4/HNSW_0");
    public static readonly ObjectId Log = new("a-bucket", "files/insert_log/1/2/3/100/5");
    public static readonly ObjectId Unknown = new("a-bucket", "some/key");

    /// <param name="tiers">Tiers of the test's own, which it can make fail; null opens those that the options say.</param>
    /// <param name="logger">Of a cache over tiers of the test's own.</param>
    public CacheFixture(Action<CacheOptions>? configure = null, TimeProvider? time = null, TierStack? tiers = null, ILogger<ObjectCache>? logger = null)
    {
        Options = new CacheOptions { Memory = { CapacityBytes = 128 * MiB }, Fills = { SiblingSlices = 0 } };
        configure?.Invoke(Options);
        Cache = tiers is null
            ? ObjectCache.Open(Options, time ?? TimeProvider.System, NullLoggerFactory.Instance)
            : new ObjectCache(Options, tiers, time ?? TimeProvider.System, logger ?? NullLogger<ObjectCache>.Instance);
    }

    public CacheOptions Options { get; }

    public ObjectCache Cache { get; }

    public FakeSource Source { get; } = new();

    /// <summary>Opened as the server does: the hit path first, then what lies on NVMe.</summary>
    public async Task<ObjectRead> OpenAsync(ObjectId id, ReadRequest request = default, CancellationToken cancellation = default)
        => Cache.TryOpen(id.Bucket, id.Key, request, out var read) ? read!
            : Cache.TryBring(id.Bucket, id.Key, request, Source, out var opening) && await opening is { } brought ? brought
            : await Cache.OpenAsync(id, request, Source, cancellation);

    public async Task<(byte[] Bytes, CacheOutcome Outcome, string ETag)> GetAsync(ObjectId id, ReadRequest request = default)
    {
        await using var read = await OpenAsync(id, request);
        return (await DrainAsync(read), read.Outcome, read.Info.ETag);
    }

    public async Task<CacheOutcome> HeadAsync(ObjectId id)
    {
        await using var read = await OpenAsync(id, new ReadRequest { HeadOnly = true });
        return read.Outcome;
    }

    /// <param name="taken">Of its bytes, what was read already.</param>
    public static async Task<byte[]> DrainAsync(ObjectRead read, int taken = 0, CancellationToken cancellation = default)
    {
        var bytes = new byte[read.Span.Length - taken];
        var at = 0;
        while (await read.ReadNextAsync(cancellation) is { Length: > 0 } piece)
        {
            piece.CopyTo(bytes.AsMemory(at));
            at += piece.Length;
        }

        Assert.Equal(bytes.Length, at);
        return bytes;
    }

    public static byte[] Random(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static ReadRequest Range(long first, long last) => new() { Range = ByteRange.FromTo(first, last) };

    /// <summary>What must hold whenever nothing runs.</summary>
    public async Task AssertQuietAsync()
    {
        await Cache.IdleAsync();
        var snapshot = Cache.Snapshot();
        Assert.Equal(0, snapshot.OpenReads);
        Assert.Equal(0, snapshot.Fills.BytesInFlight);
        Assert.Equal(0, snapshot.Captures.BytesHeld);

        // Blocks read ahead on NVMe for a reader that left are read to their end, and then kept or given back: what is under way now ends by itself, a leak does not.
        var memory = Cache.TierSnapshot().Memory;
        for (var waited = Stopwatch.StartNew(); memory.CachedBytes != memory.UsedBytes && waited.Elapsed < TimeSpan.FromSeconds(10);)
        {
            await Task.Delay(1);
            memory = Cache.TierSnapshot().Memory;
        }

        Assert.Equal(memory.CachedBytes, memory.UsedBytes);
    }

    public ValueTask DisposeAsync() => Cache.DisposeAsync();
}
