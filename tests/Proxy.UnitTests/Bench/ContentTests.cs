using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

public sealed class ContentTests
{
    private const int Size = 100_003;

    [Fact]
    public void Fill_FromAnyOffset_IsTheSameContent()
    {
        var content = new Content(7, "files/a");
        var whole = new byte[Size];
        content.Fill(whole, 0);
        var random = new Random(1);
        for (var i = 0; i < 500; i++)
        {
            var start = random.Next(Size);
            var piece = new byte[random.Next(Math.Min(300, Size - start) + 1)];
            content.Fill(piece, start);
            Assert.True(whole.AsSpan(start, piece.Length).SequenceEqual(piece), $"{piece.Length} bytes from {start}");
        }
    }

    [Fact]
    public void FirstDifference_OneByteChanged_IsThatByte()
    {
        var content = new Content(7, "files/a");
        var bytes = new byte[Size];
        content.Fill(bytes, 13);
        Assert.Equal(-1, content.FirstDifference(bytes, 13));
        foreach (var at in (int[])[0, 1, 8191, 8192, Size - 1])
        {
            bytes[at] ^= 1;
            Assert.Equal(13 + at, content.FirstDifference(bytes, 13));
            bytes[at] ^= 1;
        }
    }

    [Fact]
    public void Content_OfOtherSeedKeyOrOffset_Differs()
    {
        var bytes = new byte[4096];
        new Content(7, "files/a").Fill(bytes, 0);
        Assert.InRange(new Content(8, "files/a").FirstDifference(bytes, 0), 0, 7);
        Assert.InRange(new Content(7, "files/b").FirstDifference(bytes, 0), 0, 7);
        // A server that answered from a neighbouring 1 MiB block, or one byte off.
        Assert.InRange(new Content(7, "files/a").FirstDifference(bytes, 1 << 20), 1 << 20, (1 << 20) + 7);
        Assert.InRange(new Content(7, "files/a").FirstDifference(bytes, 1), 1, 8);
    }
}
