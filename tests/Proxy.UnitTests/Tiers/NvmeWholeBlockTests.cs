using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>Whole blocks and nearly whole ones of lengths that are no multiple of anything, and what is wrong with any of their chunks.</summary>
public sealed class NvmeWholeBlockTests
{
    private const int Block = 1 << 20;
    private const int Chunk = RecordLayout.ChunkBytes;

    /// <summary>They end everywhere: with a chunk, a byte behind one or before one, with and without whole sectors.</summary>
    private static readonly int[] Lengths =
    [
        Block, Block - 1, Block - 4095, Block - 4096, Block - 4097, Block - Chunk, Block - Chunk + 1, Block - Chunk - 1, Block - Chunk + 4096, Block - 20_000, (896 << 10) + 1, (896 << 10) + 3,
    ];

    public static TheoryData<NvmeEngine> Engines => [NvmeEngine.Faster, NvmeEngine.Plain];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Reads_OfWholeChunks_GiveTheSameBytesWhereverTheRecordLies(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, capacityBytes: 1 << 30);
        store.BePatientWithReads();

        // Records begin at many offsets of a sector, and pages end within some.
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
                var bytes = ring.File.BytesRead;
                using var lease = await store.Device.ReadAsync(TestBlocks.Id(number), offset, take, CancellationToken.None);
                Assert.Equal(take, lease.Length);
                Assert.True(TestBlocks.IsRight(number, offset, lease.Span, length), $"Wrong bytes in block {number} of {length} at {offset}+{take}");

                // In two reads, each out to the sectors around it: by two threads, or in two pieces.
                Assert.InRange(ring.File.BytesRead - bytes, take, take + (64 * RecordLayout.ChecksumBytes) + Chunk + (5 * DataFile.Alignment));
            }
        }

        Assert.True(cut >= 8, $"{cut} are cut");
        Assert.True(aligned.Count > Blocks / 4, $"{aligned.Count} offsets of a sector");
        Assert.Equal(0, store.Now.Corrupt);
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
        var one = new byte[1];
        using (var file = File.OpenHandle(directory.File("data"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            for (var number = 0; number < 2 * chunks; number++)
            {
                Assert.True(store.Device.Store.Index.TryGet(TestBlocks.Id(number), touch: false, out var location));
                var place = new RecordPlace(ring.Geometry, location.Address, Block);
                var chunk = number % chunks;
                var at = ring.Geometry.FileOffsetOf(number < chunks ? place.ChunkAddress(chunk) + (number * 257 % Chunk) : place.ChunkEnd(chunk) - 1 - (number % 4));
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
        using (var whole = await store.Device.ReadAsync(TestBlocks.Id(1), 0, Block, CancellationToken.None))
        {
            Assert.True(TestBlocks.IsRight(1, 0, whole.Span, Block));
        }

        var ring = store.Device.Store!.Ring;
        Assert.True(store.Device.Store.Index.TryGet(TestBlocks.Id(1), touch: false, out var location));
        var end = ring.Geometry.FileOffsetOf(new RecordPlace(ring.Geometry, location.Address, Block).End);
        using (var file = File.OpenHandle(directory.File("data"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            RandomAccess.SetLength(file, end - 1000);
        }

        using var lease = await store.Device.ReadAsync(TestBlocks.Id(1), 0, Block, CancellationToken.None);
        Assert.False(lease.HasValue);
        Assert.Equal((1, 0), (store.Now.Corrupt, store.Now.IoErrors));
    }

    private static int LengthOf(int number) => Lengths[number % Lengths.Length];
}
