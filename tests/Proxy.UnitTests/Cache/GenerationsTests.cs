using Proxy.Cache.Invalidation;

namespace Proxy.UnitTests.Cache;

/// <summary>What is not taken on trust after a change whose end nobody knows.</summary>
public sealed class GenerationsTests
{
    private readonly Generations _generations = new();

    [Fact]
    public void Suspicion_OfAKey_IsOfNoOther_AndEndsWithItsTime()
    {
        _generations.Suspect(Generations.StripeOf("b", "k"), until: 100);
        Assert.Equal((true, false), (IsSuspect("b", "k", 99), IsSuspect("b", "k", 100)));
        Assert.Equal((true, false), (_generations.IsAnySuspect(99), _generations.IsAnySuspect(100)));
        Assert.InRange(Enumerable.Range(0, 1000).Count(i => IsSuspect("b", $"k{i}", 99)), 0, 5); // keys share counters by hash
    }

    [Fact]
    public void Suspicion_OfABucket_IsOfAllItsKeys_AndOfNoOthers()
    {
        _generations.SuspectBucket("b", until: 100);
        Assert.All(Enumerable.Range(0, 1000), i => Assert.Equal((true, false), (IsSuspect("b", $"k{i}", 99), IsSuspect("b", $"k{i}", 100))));
        Assert.InRange(Enumerable.Range(0, 1000).Count(i => IsSuspect($"b{i}", "k", 99)), 0, 20);
    }

    private bool IsSuspect(string bucket, string key, long validatedAt) => _generations.IsSuspect(Generations.SuspectPlaceOf(bucket, key), validatedAt);
}
