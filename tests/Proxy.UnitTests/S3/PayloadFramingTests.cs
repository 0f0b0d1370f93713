using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.S3.Streaming;

namespace Proxy.UnitTests.S3;

/// <summary>The frames of aws-chunked, whoever sent them: nothing is signed here.</summary>
public sealed class PayloadFramingTests
{
    [Theory]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", 5, true)]
    [InlineData("5;a=b\r\nhello\r\n0\r\n", 5, true)]
    [InlineData("5\r\nhello\r\n0\r\n\r\n\r\n", 5, true)]
    [InlineData("5\nhello\r\n0\r\n\r\n", 5, false)]
    [InlineData("5\r\nhello0\r\n\r\n", 5, false)]
    [InlineData("5\r\nhello\r\n", 5, false)]
    [InlineData("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 5, false)]
    [InlineData("5\r\nhello\r\n0\r\n\r\nrest", 5, false)]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", 6, false)]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", 4, false)]
    [InlineData("ffffffffffffffff\r\nhello", 5, false)]
    [InlineData("10000000000000000\r\nhello", 5, false)]
    [InlineData("-5\r\nhello\r\n0\r\n\r\n", 5, false)]
    [InlineData(" 5\r\nhello\r\n0\r\n\r\n", 5, false)]
    [InlineData("\r\nhello", 5, false)]
    public async Task Open_Framing_IsStrict(string body, int decoded, bool valid)
    {
        var headers = new HeaderTable { ["x-amz-content-sha256"] = PayloadHash.StreamingUnsignedTrailer, ["x-amz-decoded-content-length"] = decoded.ToString() };
        var stream = PayloadReader.Open(new MemoryStream(Encoding.ASCII.GetBytes(body)), AuthenticatedRequest.Unverified(headers), headers).Stream;
        if (valid)
        {
            Assert.Equal("hello", Encoding.ASCII.GetString(await PayloadStreams.ReadAllAsync(stream)));
        }
        else
        {
            await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(stream));
        }
    }

    /// <summary>Whoever gave up the upload may not have been told yet that its last read has ended: the buffer that this one still fills must not be somebody else's by then.</summary>
    [Fact]
    public async Task Dispose_WhileAReadIsUnderWay_KeepsTheBufferUntilItsEnd()
    {
        var headers = new HeaderTable { ["x-amz-content-sha256"] = PayloadHash.StreamingUnsignedTrailer, ["x-amz-decoded-content-length"] = "5" };
        await using var body = new WaitingStream();
        var stream = PayloadReader.Open(body, AuthenticatedRequest.Unverified(headers), headers).Stream;
        var reading = stream.ReadAsync(new byte[5]).AsTask();
        Assert.True(MemoryMarshal.TryGetArray<byte>(body.Asked, out var lent));
        await stream.DisposeAsync();
        Assert.NotSame(lent.Array, RentAgain());

        body.Ends.SetResult(0);
        await Assert.ThrowsAsync<S3Exception>(() => reading);
        Assert.Same(lent.Array, RentAgain());
        Assert.Equal("IncompleteBody", (await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(stream))).Code.Name);

        // A thread's own pool gives what it was last given.
        byte[] RentAgain()
        {
            var rented = ArrayPool<byte>.Shared.Rent(lent.Array!.Length);
            ArrayPool<byte>.Shared.Return(rented);
            return rented;
        }
    }

    [Fact]
    public async Task Open_EndlessChunkHeader_IsRefusedAtOnce()
    {
        var headers = new HeaderTable { ["x-amz-content-sha256"] = PayloadHash.StreamingUnsignedTrailer, ["x-amz-decoded-content-length"] = "5" };
        await using var body = new PayloadStreams.Piecewise(Encoding.ASCII.GetBytes(new string('0', 1 << 20)), 1024);
        await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(PayloadReader.Open(body, AuthenticatedRequest.Unverified(headers), headers).Stream));
        Assert.InRange(body.Position, 1, 64 << 10);
    }

    /// <summary>The algorithm's bare name is no trailer: what follows under it was looked for under another name.</summary>
    [Fact]
    public async Task Open_TrailerWithoutItsPrefix_IsRefused()
    {
        var headers = new HeaderTable { ["x-amz-content-sha256"] = PayloadHash.StreamingUnsignedTrailer, ["x-amz-decoded-content-length"] = "5", ["x-amz-trailer"] = "crc32" };
        using var body = new MemoryStream("5\r\nhello\r\n0\r\ncrc32:NhCmhg==\r\n\r\n"u8.ToArray());
        var refusal = await Assert.ThrowsAsync<S3Exception>(() => PayloadStreams.ReadAllAsync(PayloadReader.Open(body, AuthenticatedRequest.Unverified(headers), headers).Stream));
        Assert.Equal("InvalidRequest", refusal.Code.Name);
    }

    [Fact]
    public void Open_RandomFraming_EndsOrIsRefusedInBoundedMemory()
    {
        var headers = new HeaderTable
        {
            ["x-amz-content-sha256"] = PayloadHash.StreamingUnsignedTrailer,
            ["x-amz-decoded-content-length"] = "11",
            ["x-amz-trailer"] = "x-amz-checksum-crc32",
        };
        var request = AuthenticatedRequest.Unverified(headers);
        var buffer = new byte[4096];
        RandomInput.Mutate(6, 20_000, ["5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"], "0123456789abcdef;\r\n:=-x", maxBytes: 96 << 10, text =>
        {
            using var stream = PayloadReader.Open(new MemoryStream(Encoding.ASCII.GetBytes(text)), request, headers).Stream;
            var length = 0;
            while (stream.ReadAsync(buffer, length, buffer.Length - length).GetAwaiter().GetResult() is > 0 and var read)
            {
                length += read;
            }

            // Accepted: then it is the text whose checksum the trailer has.
            Assert.Equal("hello world", Encoding.ASCII.GetString(buffer, 0, length));
        });
    }

    /// <summary>Its one read ends when it is told to.</summary>
    private sealed class WaitingStream : MemoryStream
    {
        public TaskCompletionSource<int> Ends { get; } = new();

        public Memory<byte> Asked { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Asked = buffer;
            return await Ends.Task;
        }
    }
}
