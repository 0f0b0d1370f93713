using Microsoft.Extensions.Time.Testing;
using Proxy.Cache.Blocks;

namespace Proxy.UnitTests.Tiers;

public sealed class LendingAccountTests
{
    private const int MiB = 1 << 20;
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Pays_EachByteThatGoesBackWasLentSixteenTimes()
    {
        var account = new LendingAccount(_time);
        Assert.True(account.Pays);
        account.Lent(31 * MiB);
        account.Returned(MiB);
        Assert.True(account.Pays);
        account.Returned(MiB);
        Assert.False(account.Pays);
        account.Lent(MiB);
        Assert.True(account.Pays);
    }

    /// <summary>Other work may have come: it is tried again, once in five minutes.</summary>
    [Fact]
    public void Pays_FiveMinutesLater_IsTriedAgain()
    {
        var account = new LendingAccount(_time);
        for (var round = 0; round < 3; round++)
        {
            account.Lent(MiB);
            account.Returned(MiB);
            _time.Advance(TimeSpan.FromSeconds(299));
            Assert.False(account.Pays);
            _time.Advance(TimeSpan.FromSeconds(1));
            Assert.True(account.Pays);
        }
    }
}
