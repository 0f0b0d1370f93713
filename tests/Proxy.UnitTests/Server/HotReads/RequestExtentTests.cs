using System.Text;
using Proxy.Server.HotReads;

namespace Proxy.UnitTests.Server.HotReads;

/// <summary>Where a request ends decides what the next one is: what is not certain must be said to be so.</summary>
public sealed class RequestExtentTests
{
    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0)]
    [InlineData("PUT /a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n", 12)]
    [InlineData("PUT /a/b HTTP/1.1\r\ncontent-length:5368709120 \r\nHost: a\r\n\r\n", 5368709120)]
    [InlineData("DELETE /a/b HTTP/1.1\r\nContent-Length: 0\r\nIf-None-Match: *\r\n\r\n", 0)]
    public void Of_AHeadThatSaysIt_IsHeadAndBody(string head, long body)
    {
        Assert.Equal(head.Length + body, RequestExtent.Of(Encoding.ASCII.GetBytes(head)));
        Assert.Equal(head.Length + body, RequestExtent.Of(Encoding.ASCII.GetBytes(head + "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\n")));
        Assert.Equal(RequestExtent.NotYetKnown, RequestExtent.Of(Encoding.ASCII.GetBytes(head[..^1])));
    }

    [Theory]
    [InlineData("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 3\r\ntransfer-encoding: identity\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: +3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nContent-Length : 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nHost: a\r\n Content-Length: 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\nContent-Length: 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nHost: a\nContent-Length: 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nHost: a\rContent-Length: 3\r\n\r\n")]
    [InlineData("PUT / HTTP/1.1\r\nHost\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")]
    [InlineData("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("\n")]
    [InlineData("\r")]
    public void Of_WhatReadersTakeDifferently_IsUnbounded(string head) => Assert.Equal(RequestExtent.Unbounded, RequestExtent.Of(Encoding.ASCII.GetBytes(head)));

    [Fact]
    public void Of_AHeadWithoutAnEnd_IsGivenUp() => Assert.Equal(RequestExtent.Unbounded, RequestExtent.Of(Encoding.ASCII.GetBytes("GET /" + new string('a', 200_000))));
}
