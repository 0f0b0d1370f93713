using Proxy.Server.Telemetry;

namespace Proxy.UnitTests.Telemetry;

public sealed class PriceOptionsTests
{
    [Theory]
    [InlineData("GetObject", 0.0004)]
    [InlineData("HeadObject", 0.0004)]
    [InlineData("Unknown", 0.0004)]
    [InlineData("PutObject", 0.005)]
    [InlineData("UploadPart", 0.005)]
    [InlineData("ListObjectsV2", 0.005)]
    [InlineData("DeleteObjects", 0)]
    [InlineData("AbortMultipartUpload", 0)]
    public void Of_AnOperation_IsItsClassOfThePriceList(string operation, double perThousand) => Assert.Equal(perThousand, 1000 * new PriceOptions().Of(operation), 1e-12);

    [Fact]
    public void OfEgress_IsPerGiB() => Assert.Equal(0.18, new PriceOptions().OfEgress(2L << 30), 1e-12);
}
