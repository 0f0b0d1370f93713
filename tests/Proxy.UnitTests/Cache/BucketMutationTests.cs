using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>Changes of keys that the request does not name: whatever is asked of the backend around them, no older version stands afterwards.</summary>
public sealed class BucketMutationTests
{
    [Theory]
    [InlineData("changed")]
    [InlineData("refused")]
    [InlineData("unknown")]
    public async Task KnownKeys_AreAskedForAgain_HoweverItEnded(string outcome)
    {
        await using var fixture = new CacheFixture();
        var other = new ObjectId("other-bucket", CacheFixture.Index.Key);
        foreach (var id in new[] { CacheFixture.Index, CacheFixture.Log, other })
        {
            fixture.Source.Put(id, [1]);
            await fixture.GetAsync(id);
        }

        using (var mutation = fixture.Cache.BeginBucketMutation(CacheFixture.Index.Bucket))
        {
            fixture.Source.Put(CacheFixture.Index, [2]);
            fixture.Source.Put(CacheFixture.Log, [3]);
            End(mutation, outcome);
        }

        Assert.Equal([2], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        Assert.Equal([3], (await fixture.GetAsync(CacheFixture.Log)).Bytes);
        Assert.Equal([1], (await fixture.GetAsync(other)).Bytes);
        await fixture.AssertQuietAsync();
    }

    /// <summary>The key is in no catalog when the change begins, and its old version is on its way.</summary>
    [Theory]
    [InlineData("changed", true)]
    [InlineData("changed", false)]
    [InlineData("refused", true)]
    [InlineData("unknown", true)]
    public async Task KeyLearnedMeanwhile_IsNotKept(string outcome, bool askedBefore)
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, [1]);
        var (chosen, answer) = HoldAnswers(fixture);
        var reading = askedBefore ? fixture.GetAsync(CacheFixture.Index) : null;
        if (askedBefore)
        {
            await chosen.Task;
        }

        using (var mutation = fixture.Cache.BeginBucketMutation(CacheFixture.Index.Bucket))
        {
            reading ??= fixture.GetAsync(CacheFixture.Index);
            await chosen.Task;
            fixture.Source.Put(CacheFixture.Index, [2]);
            End(mutation, outcome);
        }

        answer.SetResult();
        fixture.Source.BeforeHeaders = null;

        // It began before the change was over: either version is right, one that was current when it ended too.
        Assert.True((await reading).Bytes is [1] or [2]);
        Assert.Equal([2], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        Assert.Equal([2], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task UnknownOutcome_LandsLate_EveryReadAsksTheBackend()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, [1]);
        using (fixture.Cache.BeginBucketMutation(CacheFixture.Index.Bucket))
        {
            // Disposed without an outcome: the connection broke.
        }

        Assert.Equal([1], (await fixture.GetAsync(CacheFixture.Index)).Bytes);

        // The backend was still unpacking.
        fixture.Source.Put(CacheFixture.Index, [2]);
        Assert.Equal([2], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
    }

    /// <summary>While the backend is away, asking it would mean to refuse what is known for certain.</summary>
    [Fact]
    public async Task UnknownOutcome_KeysOfAnotherBucket_AreNotAskedFor()
    {
        await using var fixture = new CacheFixture();
        var other = new ObjectId("other-bucket", CacheFixture.Index.Key);
        fixture.Source.Put(other, [1]);
        await fixture.GetAsync(other);
        await fixture.Cache.IdleAsync();
        fixture.Cache.BeginBucketMutation(CacheFixture.Index.Bucket).Dispose();
        fixture.Source.BeforeAnswer = static (_, _) => throw new S3Exception(S3ErrorCode.SlowDown);
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(other)).Outcome);
        Assert.Equal(1, fixture.Source.Requests);
    }

    /// <summary>An operator purges because somebody wrote around the proxy: an answer from before must not bring the old version back.</summary>
    [Fact]
    public async Task Purge_WhileTheKeyIsLearned_IsNotUndoneByTheAnswer()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, [1]);
        var (chosen, answer) = HoldAnswers(fixture);
        var reading = fixture.GetAsync(CacheFixture.Index);
        await chosen.Task;
        fixture.Source.Put(CacheFixture.Index, [2]);
        fixture.Cache.Purge(CacheFixture.Index.Bucket + "/");
        answer.SetResult();
        fixture.Source.BeforeHeaders = null;
        await reading;
        Assert.Equal([2], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
    }

    /// <summary>The backend has chosen the version it answers with, and does not answer yet.</summary>
    private static (TaskCompletionSource Chosen, TaskCompletionSource Answer) HoldAnswers(CacheFixture fixture)
    {
        var (chosen, answer) = (new TaskCompletionSource(), new TaskCompletionSource());
        fixture.Source.BeforeHeaders = _ =>
        {
            chosen.TrySetResult();
            return answer.Task;
        };
        return (chosen, answer);
    }

    private static void End(Proxy.Cache.Invalidation.Mutation mutation, string outcome)
    {
        switch (outcome)
        {
            case "changed":
                mutation.Changed();
                break;
            case "refused":
                mutation.Refused();
                break;
        }
    }
}
