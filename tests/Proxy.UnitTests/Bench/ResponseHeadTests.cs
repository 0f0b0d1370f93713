using Proxy.Bench.Http;

namespace Proxy.UnitTests.Bench;

public sealed class ResponseHeadTests
{
    [Fact]
    public void Parse_AnAnswer_HasItsHeadersByAnyCase()
    {
        var head = ResponseHead.Parse("HTTP/1.1 206 Partial Content\r\ncontent-length: 4096\r\nETag:\"a\"\r\nX-CACHE:  HIT-NVME \r\nno colon\r\nConnection: Close\r\nEmpty:"u8);
        Assert.Equal((206, 4096L, "HIT-NVME", true, false), (head.Status, head.ContentLength, head.CacheOutcome, head.IsClosing, head.IsChunked));
        Assert.Equal("\"a\"", head["etag"]);
        Assert.Equal("", head["empty"]);
        Assert.Null(head["no colon"]);
        Assert.Null(head["Content-Range"]);
    }

    [Fact]
    public void Parse_StatusLineAlone_HasNoHeaders()
        => Assert.Null(ResponseHead.Parse("HTTP/1.1 204 No Content"u8).ContentLength);

    [Theory]
    [InlineData("SSH-2.0-x")]
    [InlineData("HTTP/1.1 2000 OK")]
    [InlineData("HTTP/1.1 -20 OK")]
    [InlineData("HTTP/2 200")]
    [InlineData("")]
    public void Parse_NoStatusLine_IsBroken(string text)
        => Assert.Throws<BrokenResponseException>(() => ResponseHead.Parse(System.Text.Encoding.ASCII.GetBytes(text)));

    [Theory]
    [InlineData("Content-Length: 12x")]
    [InlineData("Content-Length: -1")]
    [InlineData("Content-Length:")]
    public void Parse_LengthThatIsNone_HasNone(string line)
        => Assert.Null(ResponseHead.Parse(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{line}")).ContentLength);
}
