using BenchmarkDotNet.Attributes;
using Proxy.Cache.Admin;
using Proxy.Cache.Blocks;
using Proxy.Cache.Invalidation;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers.Memory;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.Bench.Micro;

/// <summary>Catalog lookups as the catalog grows: a hit's cost must not follow the number of cached objects.</summary>
[MemoryDiagnoser]
public class CatalogBenchmarks
{
    private const int Stride = 7919;

    private ObjectCatalog _catalog = new(1, new Generations());
    private string[] _keys = [];
    private int _next;

    /// <summary>Sizes measured; a command may add one.</summary>
    public static IList<int> Sizes { get; } = [1_000, 100_000, 1_000_000];

    [ParamsSource(nameof(Sizes))]
    public int Entries { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        // Room for all: an entry takes about 850 bytes (bench/results/catalog).
        _catalog = new ObjectCatalog(Math.Max(1L << 30, 1200L * Entries), new Generations());
        _keys = [.. Enumerable.Range(0, Entries).Select(number => $"files/index_files/{450_000_000_000 + (number / 64)}/1/1002/450000000000/HNSW_{number % 64}")];
        for (var i = 0; i < Entries; i++)
        {
            var entry = new CatalogEntry
            {
                Bucket = "a-bucket",
                Key = _keys[i],
                ETag = "\"0123456789abcdef0123456789abcdef\"",
                Policy = default,
                Layout = ObjectLayout.Single(new ContentId((ulong)i, 1), 16 << 20, 1 << 20),
            };
            _catalog.TryPublish(entry, _catalog.Take(entry.Id));
        }
    }

    [Benchmark]
    public bool Find()
    {
        _next = (_next + Stride) % _keys.Length;
        return _catalog.TryGet("a-bucket", _keys[_next], out _);
    }
}

/// <summary>A hit in the memory tier: lookup, lease, release.</summary>
[MemoryDiagnoser]
public class MemoryTierBenchmarks : IDisposable
{
    private const int Blocks = 4096;

    private readonly BlockPool _pool = new(512 << 20);
    private readonly MemoryTier _tier;
    private int _next;

    public MemoryTierBenchmarks() => _tier = new MemoryTier(_pool, TimeProvider.System);

    [GlobalSetup]
    public void Fill()
    {
        for (var i = 0; i < Blocks; i++)
        {
            if (_pool.TryRent(64 << 10, out var block))
            {
                _tier.Insert(Id(i), block, awaitsSecondHit: false);
            }
        }
    }

    [Benchmark]
    public int Hit()
    {
        _next = (_next + 797) % Blocks;
        if (!_tier.TryGet(Id(_next), out var lease))
        {
            return -1;
        }

        var length = lease.Length;
        lease.Dispose();
        return length;
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _tier.Dispose();
        _pool.Dispose();
        GC.SuppressFinalize(this);
    }

    private static BlockId Id(int number) => new(new ContentId((ulong)number, 42), 0);
}

/// <summary>What the console's miss-ratio curve costs: a reader that looks at a block and is taken, one that finds no slot, and the second's upkeep at its most.</summary>
[MemoryDiagnoser]
public class ReadSamplerBenchmarks
{
    private readonly ReadSampler _sampler = new();
    private readonly ReadSampler _full = new();
    private readonly GhostCache _ghost = new();
    private int _next;

    [Params(128, 8000)]
    public int Blocks { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        for (var i = 0; i <= ReadSampler.MostReads; i++)
        {
            _full.Observe(Id(i), 1 << 20);
        }
    }

    /// <summary>And its share of the upkeep.</summary>
    [Benchmark(OperationsPerInvoke = ReadSampler.MostReads)]
    public void ObserveAndFollow()
    {
        for (var i = 0; i < ReadSampler.MostReads; i++)
        {
            _next = (_next + 797) % Blocks;
            _sampler.Observe(Id(_next), 1 << 20);
        }

        _ghost.Follow(_sampler);
    }

    [Benchmark]
    public void ObserveWhenFull() => _full.Observe(Id(1), 1 << 20);

    private static BlockId Id(int number) => new(new ContentId((ulong)number * 0x9E3779B97F4A7C15, 42), 0);
}

/// <summary>A block's record on NVMe: written with its checksums, and read back with them checked.</summary>
public class BlockRecordBenchmarks
{
    private static readonly BlockId Id = new(new ContentId(1, 2), 3);

    private byte[] _data = [];
    private byte[] _record = [];

    [Params(64 << 10, 1 << 20)]
    public int Bytes { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        _data = new byte[Bytes];
        new Random(1).NextBytes(_data);
        _record = new byte[RecordLayout.RecordBytes(Bytes)];
        Write();
    }

    [Benchmark]
    public void Write() => RecordLayout.Write(_record, Id, _data, Bytes);

    [Benchmark]
    public bool CheckAndCopyOut() => RecordLayout.TryCopyOut(_record.AsSpan(RecordLayout.HeaderBytes), Id, Bytes, 0, 0, _data);
}
