using System.Text;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;
using Proxy.Server.HotReads;

namespace Proxy.UnitTests.Server.HotReads;

public sealed class AnswerHeadTests
{
    [Theory]
    [InlineData("a\tb")]
    [InlineData("grüße")]
    [InlineData("")]
    public void Write_Metadata_IsSentAsItIs(string value) => Assert.Contains($"\r\nx-amz-meta-a: {value}\r\n", Write(value), StringComparison.Ordinal);

    [Theory]
    [InlineData("a\r\nSet-Cookie: b")]
    [InlineData("a\0b")]
    [InlineData("a\u001Fb")]
    [InlineData("a\u007Fb")]
    public void Write_ControlCharacter_IsNotSent(string value) => Assert.Throws<InvalidOperationException>(() => Write(value));

    private static string Write(string metadata)
    {
        var read = new FakeRead(new ObjectInfo { Size = 3, ETag = "\"1\"", LastModified = DateTimeOffset.UnixEpoch, ContentType = "text/plain", Headers = [new("x-amz-meta-a", metadata)] });
        var into = new byte[AnswerHead.MaxBytes(read.Info)];
        return Encoding.UTF8.GetString(into, 0, AnswerHead.Write(into, read, isPartial: false, withChecksums: false, "id"));
    }

    private sealed class FakeRead(ObjectInfo info) : ObjectRead
    {
        public override ObjectInfo Info => info;

        public override ByteSpan Span => new(0, info.Size);

        public override bool IsPartial => false;

        public override CacheOutcome Outcome => CacheOutcome.HitMemory;

        public override MilvusKind Kind => default;

        public override ValueTask<ReadOnlyMemory<byte>> ReadNextAsync(CancellationToken cancellation) => default;

        public override ValueTask DisposeAsync() => default;
    }
}
