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
    public void PriceList_BackendOfItsOwnPrices_IsBilledByThemAndTheRestByTheCommonOnes()
    {
        var prices = new PriceList(new PriceOptions { GetPerThousand = 2 }, new Dictionary<string, BackendPriceOptions> { ["near"] = new() { EgressPerGiB = 0, PutPerThousand = 7 } });
        Assert.Equal([0, 7, 2, 0], Of("NEAR"));
        Assert.Equal([0.09, 0.005, 2, 0], Of("far"));

        double[] Of(string backend) => [prices.Of(backend).EgressPerGiB, prices.Of(backend).PutPerThousand, prices.Of(backend).GetPerThousand, prices.Of(backend).DeletePerThousand];
    }

    [Fact]
    public void Savings_OfTheEmbeddedStore_AreNoMoney()
    {
        var prices = new PriceList(new PriceOptions { GetPerThousand = 1000, EgressPerGiB = 1 }, new Dictionary<string, BackendPriceOptions>());
        var local = new SavedReads.Row("local", IsBilled: false);
        var remote = new SavedReads.Row("far", IsBilled: true);
        local.Add(isRequestSaved: true, isHead: false, 1L << 30);
        Assert.Equal(new Saved(1, 0, 1L << 30, null), Savings.Of([local], prices, isBilled: false));
        Assert.Equal(new Saved(1, 0, 1L << 30, 0), Savings.Of([local], prices, isBilled: true));

        remote.Add(isRequestSaved: true, isHead: true, 0);
        remote.Add(isRequestSaved: false, isHead: false, 1L << 30);
        Assert.Equal(new Saved(1, 1, 2L << 30, 1 + 1), Savings.Of([local, remote], prices, isBilled: true));
    }

    [Fact]
    public void OfEgress_IsPerGiB() => Assert.Equal(0.18, new PriceOptions().OfEgress(2L << 30), 1e-12);
}
