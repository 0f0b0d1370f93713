using Proxy.Server.WebConsole;

namespace Proxy.UnitTests.Server;

public sealed class FiguresTests
{
    [Theory]
    [InlineData(0, "$0")]
    [InlineData(0.000_001, "< $0.00001")]
    [InlineData(0.000_42, "$0.00042")]
    [InlineData(0.099, "$0.099")]
    [InlineData(0.1, "$0.10")]
    [InlineData(1234.567, "$1234.57")]
    [InlineData(1_234_567.8, "$1,234,568")]
    public void Money_OfAnySize_KeepsTheDigitsThatCount(double dollars, string expected) => Assert.Equal(expected, Figures.Money(dollars));
}
