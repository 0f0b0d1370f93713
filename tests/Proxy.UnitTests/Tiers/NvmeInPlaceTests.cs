using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>Whole blocks, read from disk straight to where they are wanted: the bytes that a read through a buffer would give, in one read and not two.</summary>
public sealed class NvmeInPlaceTests
{
    private const int Block = 1 << 20;
    private const int Chunk = RecordLayout.ChunkBytes;

    /// <summary>All rent memory in large pages, but end everywhere: with a chunk, a byte behind one or before one, with and without whole sectors.</summary>
    private static readonly int[] Lengths =
    [
        Block, Block - 1, Block - 4095, Block - 4096, Block - 4097, Block - Chunk, Block - Chunk + 1, Block - Chunk - 1, Block - Chunk + 4096, Block - 20_000, (896 << 10) + 1, (896 << 10) + 3,
    ];

    public static TheoryData<NvmeEngine> Engines => [NvmeEngine.Faster, NvmeEngine.Plain];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Reads_OfWholeChunks_GiveTheSameBytesInOneReadWhereverTheRecordLies(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, capacityBytes: 1 << 30);
        store.BePatientWithReads();

        // Lengths that are no multiple of anything: records begin at every offset of a sector, and pages end within some.
        const int Blocks = 96;
        for (var number = 0; number < Blocks; number++)
        {
            await store.PutAsync(number, LengthOf(number));
        }

        await store.FlushedAsync();
        var ring = store.Device.Store!.Ring;
        var cut = 0;
        var aligned = new HashSet<long>();
        for (var number = 0; number < Blocks; number++)
        {
            var length = LengthOf(number);
            Assert.True(store.Device.Store.Index.TryGet(TestBlocks.Id(number), touch: false, out var location));
            var place = new RecordPlace(ring.Geometry, location.Address, length);
            cut += place.IsSplit ? 1 : 0;
            aligned.Add(place.ChunkAddress(0) % DataFile.Alignment);
            foreach (var (offset, wanted) in new[] { (0, length), (Chunk, length - Chunk), (0, 62 * Chunk), (3 * Chunk, 57 * Chunk) })
            {
                var take = Math.Min(wanted, length - offset);
                if (SizeClasses.SizeOf(SizeClasses.IndexOf(take)) != Block || (offset + take != length && (offset + take) % Chunk != 0))
                {
                    continue;
                }

                // Two threads share a long read that comes alone.
                var (reads, bytes) = (ring.File.Reads, ring.File.BytesRead);
                using var lease = await store.Device.ReadAsync(TestBlocks.Id(number), offset, take, CancellationToken.None);
                Assert.Equal(take, lease.Length);
                Assert.True(TestBlocks.IsRight(number, offset, lease.Span, length), $"Wrong bytes in block {number} of {length} at {offset}+{take}");
                Assert.Equal(2, ring.File.Reads - reads);
                Assert.InRange(ring.File.BytesRead - bytes, take, take + (64 * RecordLayout.ChecksumBytes) + Chunk + (5 * DataFile.Alignment));
            }
        }

        Assert.True(cut >= 8, $"{cut} are cut");
        Assert.True(aligned.Count > Blocks / 4, $"{aligned.Count} offsets of a sector");
        Assert.Equal(0, store.Now.Corrupt);
    }

    [Fact]
    public async Task Reads_ManyAtOnce_OneReadEachAndNeverAnothersBytes()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, capacityBytes: 256 << 20);
        store.BePatientWithReads();
        const int Blocks = 24;
        for (var number = 0; number < Blocks; number++)
        {
            await store.PutAsync(number, LengthOf(number));
        }

        await store.FlushedAsync();
        var file = store.Device.Store!.Ring.File;
        var before = file.Reads;
        using (var gate = new ManualResetEventSlim())
        {
            // All are there before the first is read: only that one may be shared by two threads.
            store.Device.Faults = (operation, _) =>
            {
                if (operation == DiskOperation.Read)
                {
                    gate.Wait();
                }
            };
            var reads = Enumerable.Range(0, 2 * Blocks).Select(i => ReadAsync(i % Blocks)).ToArray();
            gate.Set();
            await Task.WhenAll(reads);
            store.Device.Faults = null;
        }

        Assert.Equal((2 * Blocks) + 1, file.Reads - before);

        async Task ReadAsync(int number)
        {
            using var lease = await store.Device.ReadAsync(TestBlocks.Id(number), 0, Block, CancellationToken.None);
            Assert.Equal(LengthOf(number), lease.Length);
            Assert.True(TestBlocks.IsRight(number, 0, lease.Span, LengthOf(number)));
        }
    }

    [Fact]
    public async Task Reads_OneBitWrongInAnyChunkOrItsChecksum_AreNeverServed()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, capacityBytes: 1 << 30);
        store.BePatientWithReads();
        var chunks = RecordLayout.Chunks(Block);
        for (var number = 0; number < 2 * chunks; number++)
        {
            await store.PutAsync(number, Block);
        }

        await store.FlushedAsync();
        var ring = store.Device.Store!.Ring;
        using (var file = File.OpenHandle(directory.File("data"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            for (var number = 0; number < 2 * chunks; number++)
            {
                Assert.True(store.Device.Store.Index.TryGet(TestBlocks.Id(number), touch: false, out var location));
                var place = new RecordPlace(ring.Geometry, location.Address, Block);
                var chunk = number % chunks;
                var at = ring.Geometry.FileOffsetOf(number < chunks ? place.ChunkAddress(chunk) + (number * 257 % Chunk) : place.ChunkEnd(chunk) - 1 - (number % 4));
                var one = new byte[1];
                Assert.Equal(1, RandomAccess.Read(file, one, at));
                one[0] ^= (byte)(1 << (number % 8));
                RandomAccess.Write(file, one, at);
            }
        }

        for (var number = 0; number < 2 * chunks; number++)
        {
            using var lease = await store.Device.ReadAsync(TestBlocks.Id(number), 0, Block, CancellationToken.None);
            Assert.False(lease.HasValue, $"Block {number} was served");
        }

        Assert.Equal(2 * chunks, store.Now.Corrupt);
    }

    [Fact]
    public async Task Reads_OfAFileThatWasCutShortWithin_AreMisses()
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        store.BePatientWithReads();
        await store.PutAsync(1, Block);
        await store.FlushedAsync();
        var ring = store.Device.Store!.Ring;
        Assert.True(store.Device.Store.Index.TryGet(TestBlocks.Id(1), touch: false, out var location));
        var end = ring.Geometry.FileOffsetOf(new RecordPlace(ring.Geometry, location.Address, Block).End);
        using (var file = File.OpenHandle(directory.File("data"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            RandomAccess.SetLength(file, end - 1000);
        }

        using var lease = await store.Device.ReadAsync(TestBlocks.Id(1), 0, Block, CancellationToken.None);
        Assert.False(lease.HasValue);
        Assert.Equal(0, store.Now.IoErrors);
    }

    [Fact]
    public void ReadToTwoPlaces_WhateverTheirLengths_IsOneRange()
    {
        using var directory = new TestDirectory();
        var bytes = new byte[10_000];
        new Random(1).NextBytes(bytes);
        File.WriteAllBytes(directory.File("some"), bytes);
        using var file = DataFile.Open(directory.File("some"), DirectIo.Off);
        foreach (var (first, second, offset) in new[] { (0, 100, 7), (100, 0, 7), (1, 9_999, 0), (9_999, 1, 0), (4_096, 5_000, 3), (3_000, 7_000, 0) })
        {
            var (one, other) = (new byte[first], new byte[second]);
            file.Read(one, other, offset);
            Assert.Equal(bytes[offset..(offset + first + second)], one.Concat(other).ToArray());
        }

        // The end comes within the first, at its end, within the second.
        foreach (var offset in new[] { 9_500, 9_000, 8_500, 8_001 })
        {
            Assert.Throws<EndOfStreamException>(() => file.Read(new byte[1_000], new byte[1_000], offset));
        }
    }

    private static int LengthOf(int number) => Lengths[number % Lengths.Length];
}
