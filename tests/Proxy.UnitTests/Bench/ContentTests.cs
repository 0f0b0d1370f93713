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
    public void Fill_AnyOffsetAndLength_IsWhatThePlainFormWrites()
    {
        var content = new Content(7, "files/a");
        var (fast, plain) = (new byte[700], new byte[700]);
        for (var offset = 0; offset < 17; offset++)
        {
            for (var length = 0; length <= fast.Length; length++)
            {
                fast.AsSpan().Fill(0xEE);
                plain.AsSpan().Fill(0xEE);
                content.Fill(fast.AsSpan(0, length), (5L << 32) + offset);
                content.FillByWords(plain.AsSpan(0, length), (5L << 32) + offset);
                Assert.True(fast.AsSpan().SequenceEqual(plain), $"{length} bytes from {offset}");
            }
        }
    }

    [Fact]
    public void FirstDifference_AnyOffsetLengthAndByte_IsWhatThePlainFormFinds()
    {
        var content = new Content(7, "files/a");
        var bytes = new byte[400];
        for (var offset = 0; offset < 9; offset++)
        {
            for (var length = 0; length <= bytes.Length; length++)
            {
                var piece = bytes.AsSpan(0, length);
                content.FillByWords(piece, offset);
                Assert.Equal(-1, content.FirstDifference(piece, offset));
                Assert.Equal(-1, content.FirstDifferenceByWords(piece, offset));
                for (var at = 0; at < length; at++)
                {
                    piece[at] ^= 0x40;
                    if (content.FirstDifference(piece, offset) != offset + at || content.FirstDifferenceByWords(piece, offset) != offset + at)
                    {
                        Assert.Fail($"byte {at} of {length} from {offset}");
                    }

                    piece[at] ^= 0x40;
                }
            }
        }
    }

    [Fact]
    public void FirstDifference_TwoBytesChanged_IsTheFirst()
    {
        var content = new Content(7, "files/a");
        var bytes = new byte[4096];
        content.Fill(bytes, 3);
        bytes[3000] ^= 1;
        bytes[1001] ^= 1;
        Assert.Equal(3 + 1001, content.FirstDifference(bytes, 3));
    }

    [Fact]
    public void Fill_WhatItWasWhenTheResultsWereMeasured_IsTheSame()
    {
        // Written by the first form of this type: datasets that lie in backends stay readable.
        var bytes = new byte[24];
        new Content(7, "files/a").Fill(bytes, 5);
        Assert.Equal("105480197C01B19954986283FBCA7C4468D11D732405882D", Convert.ToHexString(bytes));
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
