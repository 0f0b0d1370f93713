using System.Globalization;
using Proxy.S3.Objects;
using Proxy.S3.Requests;

namespace Proxy.UnitTests.S3;

public sealed class RangeHeaderTests
{
    [Theory]
    [InlineData("bytes=0-9", 0L, 9L)]
    [InlineData("bytes=5-", 5L, null)]
    [InlineData("bytes=-5", null, 5L)]
    [InlineData("bytes=-0", null, 0L)]
    [InlineData("Bytes= 0-9 ", 0L, 9L)]
    [InlineData("bytes=0-99999999999999999999", 0L, long.MaxValue)]
    [InlineData("bytes=,0-1,", 0L, 1L)]
    public void Parse_OneRange_IsSingle(string text, long? first, long? last)
    {
        Assert.True(RangeHeader.TryParse(text, out var range));
        Assert.Equal(new ByteRange(first, last), range);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("bytes")]
    [InlineData("bytes=")]
    [InlineData("bytes=-")]
    [InlineData("bytes=9-0")]
    [InlineData("bytes=a-b")]
    [InlineData("bytes=+1-2")]
    [InlineData("bytes=1")]
    [InlineData("bytes=0-1,x")]
    [InlineData("items=0-1")]
    [InlineData("bytes=--1")]
    [InlineData("bytes=0 -1")]
    [InlineData("bytes=0- 1")]
    public void Parse_Malformed_IsNoRange(string? text) => Assert.Equal(RangeKind.None, RangeHeader.Parse(text, out _));

    [Fact]
    public void Parse_TwoRanges_IsMultiple() => Assert.Equal(RangeKind.Multiple, RangeHeader.Parse("bytes=0-1, 5-6", out _));

    [Theory]
    [InlineData("bytes=0-0", 10, 0, 1)]
    [InlineData("bytes=5-100", 10, 5, 5)]
    [InlineData("bytes=-3", 10, 7, 3)]
    [InlineData("bytes=-100", 10, 0, 10)]
    [InlineData("bytes=9-", 10, 9, 1)]
    [InlineData("bytes=0-99999999999999999999", 10, 0, 10)]
    public void Parse_ThenResolve_ClampsToSize(string text, long size, long offset, long length)
    {
        Assert.True(RangeHeader.TryParse(text, out var range) && range.TryResolve(size, out var span) && span == new ByteSpan(offset, length));
    }

    [Theory]
    [InlineData("bytes=10-", 10)]
    [InlineData("bytes=-0", 10)]
    [InlineData("bytes=0-0", 0)]
    [InlineData("bytes=99999999999999999999-", 10)]
    public void Parse_ThenResolve_OutsideIsUnsatisfiable(string text, long size)
        => Assert.True(RangeHeader.TryParse(text, out var range) && !range.TryResolve(size, out _));

    [Fact]
    public void Parse_RandomTexts_AllocateNothing()
        => RandomInput.Mutate(2, 50_000, ["bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-1,2-3"], "bytes=-,0123456789 \tx", maxBytes: 0, text =>
        {
            if (RangeHeader.TryParse(text, out var range) && range.TryResolve(1000, out var span))
            {
                Assert.True(span.Offset >= 0 && span.Length > 0 && span.End <= 1000);
            }
        });

    [Theory]
    [InlineData("Sun, 06 Nov 1994 08:49:37 GMT")]
    [InlineData("Sunday, 06-Nov-94 08:49:37 GMT")]
    [InlineData("Sun Nov  6 08:49:37 1994")]
    [InlineData("1994-11-06T08:49:37Z")]
    [InlineData("1994-11-06T08:49:37.000Z")]
    public void HttpDate_EveryForm_IsRead(string text)
    {
        Assert.True(HttpDate.TryParse(text, out var date));
        Assert.Equal(new DateTimeOffset(1994, 11, 6, 8, 49, 37, TimeSpan.Zero), date);
    }

    [Theory]
    [InlineData("")]
    [InlineData("yesterday, at half past nine")]
    [InlineData("Mon, 06 Nov 1994 08:49:37 GMT")]
    public void HttpDate_Nonsense_IsRefused(string text) => Assert.False(HttpDate.TryParse(text, out _));

    [Fact]
    public void HttpDate_Format_IsRfc1123()
    {
        var date = new DateTimeOffset(1994, 11, 6, 8, 49, 37, 250, TimeSpan.Zero);
        Span<char> text = stackalloc char[HttpDate.Length];
        Assert.True(HttpDate.TryFormat(date.ToOffset(TimeSpan.FromHours(3)), text));
        Assert.Equal("Sun, 06 Nov 1994 08:49:37 GMT", text.ToString());
        Assert.Equal(text.ToString(), HttpDate.Format(date));
        Span<byte> iso = stackalloc byte[HttpDate.Iso8601Length];
        Assert.True(HttpDate.TryFormatIso8601(date, iso));
        Assert.Equal("1994-11-06T08:49:37.250Z", System.Text.Encoding.ASCII.GetString(iso));
        Assert.Equal(date.ToString("r", CultureInfo.InvariantCulture), HttpDate.Format(date));
    }
}
