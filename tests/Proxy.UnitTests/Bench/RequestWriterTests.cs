using System.Text;
using Microsoft.Extensions.Time.Testing;
using Proxy.Bench.Http;
using Proxy.Bench.Load;
using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

/// <summary>The load generator's lean signer against the plain one, and its reading of answers.</summary>
public sealed class RequestWriterTests
{
    private static readonly S3Target Target = new(new Uri("http://127.0.0.1:9000"), "minioadmin", "minioadmin", "us-east-1", "a-bucket");
    private static readonly DatasetObject[] Objects = [new("files/a b/1", 1 << 20, ObjectKind.IndexSlice, new Content(1, "x"))];

    [Fact]
    public void Write_Head_IsWhatThePlainSignerWrites()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 5, 24, 1, 2, 3, TimeSpan.Zero));
        var signer = new RequestSigner(Target, time);
        var plain = new byte[RequestSigner.HeadBytes];
        var length = signer.WriteHead(plain, "HEAD", "files/a b/1", "", RequestSigner.EmptyPayload, []);
        Assert.Equal(Encoding.ASCII.GetString(plain, 0, length), Write(time, new LoadRequest(LoadOperation.Head, 0, 0, 0)));
    }

    [Fact]
    public void Write_Range_IsSigned()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 5, 24, 1, 2, 3, TimeSpan.Zero));
        var one = Write(time, new LoadRequest(LoadOperation.Range, 0, 4096, 4096));
        var other = Write(time, new LoadRequest(LoadOperation.Range, 0, 8192, 4096));
        Assert.Contains("\r\nRange: bytes=4096-8191\r\n", one, StringComparison.Ordinal);
        Assert.Contains("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,", one, StringComparison.Ordinal);
        Assert.NotEqual(one[^68..], other[^68..]);
    }

    [Fact]
    public void Write_NextDay_SignsWithThatDaysKey()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 5, 24, 23, 59, 59, TimeSpan.Zero));
        var writer = new RequestWriter(Target, Objects, time);
        var buffer = new byte[RequestWriter.RequestBytes];
        var request = new LoadRequest(LoadOperation.Get, 0, 0, 1 << 20);
        writer.Write(request, buffer);
        time.Advance(TimeSpan.FromSeconds(2));
        var length = writer.Write(request, buffer);
        Assert.Equal(Write(time, request), Encoding.ASCII.GetString(buffer, 0, length));
    }

    [Fact]
    public void ResponseHeader_PiecesOfAHead_AreNotYetOne()
    {
        var bytes = "HTTP/1.1 206 Partial Content\r\ncontent-length: 4096\r\nX-Cache: HIT-MEMORY\r\n\r\nbody"u8;
        Assert.False(ResponseHeader.TryParse(bytes[..70], out _));
        Assert.True(ResponseHeader.TryParse(bytes, out var header));
        Assert.Equal((206, 4096L, CacheOutcome.Memory, bytes.Length - 4), (header.Status, header.ContentLength, header.Outcome, header.HeadBytes));
        Assert.Throws<BrokenResponseException>(() => ResponseHeader.TryParse("SSH-2.0\r\n\r\n"u8, out _));
    }

    private static string Write(TimeProvider time, LoadRequest request)
    {
        var writer = new RequestWriter(Target, Objects, time);
        var buffer = new byte[RequestWriter.RequestBytes];
        return Encoding.ASCII.GetString(buffer, 0, writer.Write(request, buffer));
    }
}
