using Proxy.Cache.Blocks;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

public sealed class ChecksumTests
{
    private static readonly BlockId Id = TestBlocks.Id(7);

    /// <summary>A CRC is linear: what a bit changes does not depend on the others, so two bits go unseen exactly when both change the same.</summary>
    [Theory]
    [InlineData(RecordLayout.ChunkBytes)]
    [InlineData(5003)]
    [InlineData(31)]
    public void OfChunk_AnyOneOrTwoBitsFlipped_Differs(int length)
    {
        var bytes = new byte[length];
        var whole = Checksum.OfChunk(Id, 0, bytes);
        var changes = new HashSet<uint> { 0 };
        for (var bit = 0; bit < 8 * length; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.True(changes.Add(Checksum.OfChunk(Id, 0, bytes) ^ whole), $"Bit {bit} changes what none or another one does.");
            bytes[bit / 8] = 0;
        }
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(1, 3)]
    [InlineData(0, 1)]
    [InlineData(4, 10)]
    [InlineData(5, 2043)]
    public void OfChunk_WordsSwappedOrChangedAlike_Differs(int one, int other)
    {
        var bytes = Chunk();
        var whole = Checksum.OfChunk(Id, 3, bytes);
        for (var i = 0; i < 8; i++)
        {
            (bytes[(one * 8) + i], bytes[(other * 8) + i]) = (bytes[(other * 8) + i], bytes[(one * 8) + i]);
        }

        Assert.NotEqual(whole, Checksum.OfChunk(Id, 3, bytes));
        bytes = Chunk();
        for (var i = 0; i < 8; i++)
        {
            bytes[(one * 8) + i] ^= 0x5A;
            bytes[(other * 8) + i] ^= 0x5A;
        }

        Assert.NotEqual(whole, Checksum.OfChunk(Id, 3, bytes));
    }

    [Fact]
    public void OfChunk_OfAnotherBlockChunkOrLength_Differs()
    {
        var bytes = Chunk();
        var sums = new List<uint> { Checksum.OfChunk(Id, 0, bytes), Checksum.OfChunk(Id, 1, bytes), Checksum.OfChunk(Id, 0, bytes.AsSpan(1)), Checksum.OfChunk(Id, 0, bytes.AsSpan(0, 8)) };
        sums.Add(Checksum.OfChunk(new BlockId(Id.Content, Id.Number + 1), 0, bytes));
        for (var bit = 0; bit < 64; bit++)
        {
            sums.Add(Checksum.OfChunk(new BlockId(new ContentId(Id.Content.High ^ (1UL << bit), Id.Content.Low), Id.Number), 0, bytes));
            sums.Add(Checksum.OfChunk(new BlockId(new ContentId(Id.Content.High, Id.Content.Low ^ (1UL << bit)), Id.Number), 0, bytes));
        }

        Assert.Equal(sums.Count, sums.Distinct().Count());
    }

    private static byte[] Chunk()
    {
        var bytes = new byte[RecordLayout.ChunkBytes];
        new Random(1).NextBytes(bytes);
        return bytes;
    }
}
