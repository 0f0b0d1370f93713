using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Streaming;

namespace Proxy.UnitTests.S3;

public sealed class AwsChunkedStreamTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    [InlineData(131_072)]
    [InlineData(300_001)]
    public async Task Framing_ReadInAnyPieces_IsTheEncodersOwn(int length)
    {
        var body = new byte[length];
        new Random(length).NextBytes(body);
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            using var sum = IncrementalChecksum.Create(algorithm);
            sum.Append(body);
            var value = sum.GetBase64AndReset();
            var expected = AwsChunkedEncoder.Encode(body, 64 << 10, signer: null, [new(algorithm.ToHeaderName(), value)]);
            foreach (var piece in (int[])[3, 4096, 70_000, 1 << 20])
            {
                var source = new MemoryStream(body);
                await using var framed = new AwsChunkedStream(source, length, algorithm, () =>
                {
                    Assert.Equal(length, source.Position);
                    return value;
                });
                Assert.Equal(expected, await ReadAllAsync(framed, piece));
            }

            Assert.Equal(expected.Length, AwsChunkedStream.EncodedLength(length, algorithm));
        }
    }

    [Fact]
    public async Task Body_ShorterThanDeclared_NeverEnds()
    {
        await using var framed = new AwsChunkedStream(new MemoryStream(new byte[99]), 100, ChecksumAlgorithm.Crc32, () => throw new InvalidOperationException("the body had not ended"));
        await Assert.ThrowsAsync<S3Exception>(() => ReadAllAsync(framed, 4096));
    }

    private static async Task<byte[]> ReadAllAsync(AwsChunkedStream framed, int piece)
    {
        var buffer = new byte[piece];
        using var all = new MemoryStream();
        Assert.Equal(0, await framed.ReadAsync(Memory<byte>.Empty));
        Assert.False(framed.HasBegun);
        while (await framed.ReadAsync(buffer) is var read and > 0)
        {
            all.Write(buffer, 0, read);
        }

        return all.ToArray();
    }
}
