using Microsoft.Extensions.Time.Testing;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.UnitTests.Tiers;

namespace Proxy.UnitTests.Cache;

public sealed class FreshnessTests
{
    /// <summary>To MinIO a slash before a key is none, and to SeaweedFS two in a row are one: a change under the one name is one of what lies under the other.</summary>
    [Theory]
    [InlineData("/")]
    [InlineData("//")]
    [InlineData("./")]
    [InlineData("a/../")]
    public async Task ChangeUnderANameThatAStoreFolds_IsSeenUnderTheOther(string before)
    {
        await using var fixture = new CacheFixture();
        var id = CacheFixture.Index;
        fixture.Source.Put(id, [1]);
        foreach (var outcome in (string[])["stored", "changed", "unknown"])
        {
            var old = (await fixture.GetAsync(id)).Bytes[0];
            using (var mutation = fixture.Cache.BeginMutation(id with { Key = before + id.Key }))
            {
                fixture.Source.Put(id, [(byte)(old + 1)]);
                if (outcome == "stored")
                {
                    mutation.Stored("\"e\"", capture: null, info: null, fixture.Source);
                }
                else if (outcome == "changed")
                {
                    mutation.Changed();
                }
            }

            Assert.Equal(old + 1, (await fixture.GetAsync(id)).Bytes[0]);
        }
    }

    /// <summary>Its keys are only revalidated, and nobody would know why each costs a question a second.</summary>
    [Fact]
    public async Task KeysOfMilvusUnderARootNobodyNamed_AreSaidOnce()
    {
        var lines = new SaidLines<ObjectCache>();
        await using var fixture = new CacheFixture(tiers: await TierStacks.OpenAsync(), logger: lines);
        foreach (var id in (ObjectId[])[CacheFixture.Log, CacheFixture.Unknown, new("a-bucket", "mine/insert_log/1/2/3/100/5"), new("a-bucket", "mine/insert_log/1/2/3/100/6")])
        {
            fixture.Source.Put(id, [1]);
            await fixture.GetAsync(id);
        }

        Assert.Contains("minio.rootPath \"mine\"", Assert.Single(lines.Said), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Revalidate_WithinTtl_AsksNothing_AfterIt_OneHeadConfirms()
    {
        var time = new FakeTimeProvider();
        await using var fixture = new CacheFixture(time: time);
        fixture.Source.Put(CacheFixture.Unknown, CacheFixture.Random(1000));
        await fixture.GetAsync(CacheFixture.Unknown);
        await fixture.Cache.IdleAsync();
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Unknown)).Outcome);
        Assert.Equal(1, fixture.Source.Requests);
        time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Equal(CacheOutcome.Revalidated, (await fixture.GetAsync(CacheFixture.Unknown)).Outcome);
        Assert.Equal(2, fixture.Source.Requests);
        Assert.Equal(1, fixture.Source.Gets);
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Unknown)).Outcome);
    }

    [Fact]
    public async Task Revalidate_ChangedBehindOurBack_IsSeenAfterTheTtl()
    {
        var time = new FakeTimeProvider();
        await using var fixture = new CacheFixture(time: time);
        fixture.Source.Put(CacheFixture.Unknown, [1]);
        await fixture.GetAsync(CacheFixture.Unknown);
        fixture.Source.Put(CacheFixture.Unknown, [2, 3]);
        time.Advance(TimeSpan.FromSeconds(1.5));
        var got = await fixture.GetAsync(CacheFixture.Unknown);
        Assert.Equal([2, 3], got.Bytes);
        Assert.Equal(CacheOutcome.Miss, got.Outcome);
        fixture.Source.Delete(CacheFixture.Unknown);
        time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Equal(S3ErrorCode.NoSuchKey, (await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Unknown))).Code);
        Assert.Equal(0, fixture.Cache.Snapshot().CatalogEntries);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(60, true)]
    public async Task Revalidate_BackendDown_IsStaleOnlyWhenAllowed(int staleSeconds, bool served)
    {
        var time = new FakeTimeProvider();
        await using var fixture = new CacheFixture(options => options.StaleIfUnreachable = TimeSpan.FromSeconds(staleSeconds), time);
        fixture.Source.Put(CacheFixture.Unknown, [1, 2]);
        await fixture.GetAsync(CacheFixture.Unknown);
        await fixture.Cache.IdleAsync();
        time.Advance(TimeSpan.FromSeconds(10));
        fixture.Source.BeforeAnswer = (_, _) => throw new S3Exception(S3ErrorCode.SlowDown);
        if (served)
        {
            Assert.Equal(CacheOutcome.Stale, (await fixture.GetAsync(CacheFixture.Unknown)).Outcome);
            time.Advance(TimeSpan.FromSeconds(100));
        }

        Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Unknown))).Code);

        // Not being reachable removed nothing.
        fixture.Source.BeforeAnswer = null;
        Assert.Equal(CacheOutcome.Revalidated, (await fixture.GetAsync(CacheFixture.Unknown)).Outcome);
    }

    /// <summary>Confirmed while a change may still land, and the change lands after that: the time being over does not make it true again.</summary>
    [Fact]
    public async Task UnknownOutcome_LandsLate_IsSeenThoughNobodyReadInBetween()
    {
        var time = new FakeTimeProvider();
        await using var fixture = new CacheFixture(time: time);
        fixture.Source.Put(CacheFixture.Index, [1]);
        fixture.Cache.BeginMutation(CacheFixture.Index).Dispose();
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal([1], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        fixture.Source.Put(CacheFixture.Index, [2, 3]);
        time.Advance(fixture.Options.UnknownOutcomeWindow);
        Assert.Equal([2, 3], (await fixture.GetAsync(CacheFixture.Index)).Bytes);

        // Confirmed after it, nothing more is asked.
        await fixture.Cache.IdleAsync();
        var asked = fixture.Source.Requests;
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Index)).Outcome);
        Assert.Equal(asked, fixture.Source.Requests);
    }

    /// <summary>The backend may have applied the first one last, whatever the order of its answers.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task TwoWritesAtOnce_NeitherIsPublished(bool theLaterBegunEndsFirst)
    {
        await using var fixture = new CacheFixture();
        using var first = fixture.Cache.BeginMutation(CacheFixture.Index);
        using var second = fixture.Cache.BeginMutation(CacheFixture.Index);
        var answers = new[] { (Mutation: second, Info: fixture.Source.Put(CacheFixture.Index, [2])), (Mutation: first, Info: fixture.Source.Put(CacheFixture.Index, [1])) };
        foreach (var (mutation, info) in theLaterBegunEndsFirst ? answers : answers.Reverse())
        {
            mutation.Stored(info.ETag, capture: null, info, fixture.Source);
            Assert.False(fixture.Cache.Explain(CacheFixture.Index).Known);
        }

        Assert.Equal([1], (await fixture.GetAsync(CacheFixture.Index)).Bytes);

        // With nobody else on his way the next one is.
        using var third = fixture.Cache.BeginMutation(CacheFixture.Index);
        var last = fixture.Source.Put(CacheFixture.Index, [3]);
        third.Stored(last.ETag, capture: null, last, fixture.Source);
        Assert.True(fixture.Cache.Explain(CacheFixture.Index).Known);
    }

    /// <summary>A question that is on its way when the rules change is answered for its reader, and not kept under the old ones.</summary>
    [Theory]
    [InlineData(ObjectClass.Revalidate)]
    [InlineData(ObjectClass.Bypass)]
    public async Task Rules_Changed_WhileAReadIsUnderWay_WhatItLearnsIsNotKeptUnderTheOldOnes(ObjectClass changed)
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, [1]);
        var (asked, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        fixture.Source.BeforeAnswer = (_, _) =>
        {
            asked.TrySetResult();
            return gate.Task;
        };
        var reading = fixture.GetAsync(CacheFixture.Index);
        await asked.Task;
        fixture.Cache.UpdateRules(new CacheOptions { Rules = { new CacheRule { Pattern = "**", Class = changed } } });
        gate.SetResult();
        Assert.Equal([1], (await reading).Bytes);
        await fixture.Cache.IdleAsync();
        Assert.False(fixture.Cache.Explain(CacheFixture.Index).Known);
        await fixture.GetAsync(CacheFixture.Index);
        Assert.Equal(changed == ObjectClass.Revalidate, fixture.Cache.Explain(CacheFixture.Index).Known);
    }

    [Fact]
    public async Task IfMatch_OtherThanCached_AsksTheBackendBeforeSaying412()
    {
        await using var fixture = new CacheFixture();
        var old = fixture.Source.Put(CacheFixture.Index, [1]);
        await fixture.GetAsync(CacheFixture.Index);
        var current = fixture.Source.Put(CacheFixture.Index, [2]);
        Assert.Equal([2], (await fixture.GetAsync(CacheFixture.Index, Conditional(ifMatch: current.ETag))).Bytes);
        var e = await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Index, Conditional(ifMatch: old.ETag)));
        Assert.Equal(S3ErrorCode.PreconditionFailed, e.Code);
    }

    [Fact]
    public async Task Range_PastTheCachedEnd_AsksTheBackendBeforeSaying416()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, [1]);
        await fixture.GetAsync(CacheFixture.Index);
        fixture.Source.Put(CacheFixture.Index, [1, 2]);
        Assert.Equal([2], (await fixture.GetAsync(CacheFixture.Index, CacheFixture.Range(1, 5))).Bytes);
        var e = await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Index, CacheFixture.Range(2, 5)));
        Assert.Equal(S3ErrorCode.InvalidRange, e.Code);
        Assert.Contains(new("Content-Range", "bytes */2"), e.Headers);
    }

    [Fact]
    public async Task IfNoneMatch_Cached_Is304WithoutAsking()
    {
        await using var fixture = new CacheFixture();
        var info = fixture.Source.Put(CacheFixture.Index, [1]);
        await fixture.GetAsync(CacheFixture.Index);
        var e = await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Index, Conditional(ifNoneMatch: info.ETag)));
        Assert.Equal(S3ErrorCode.NotModified, e.Code);
        Assert.Contains(new("ETag", info.ETag), e.Headers);
        Assert.Equal([1], (await fixture.GetAsync(CacheFixture.Index, Conditional(ifNoneMatch: "\"other\""))).Bytes);
        Assert.Equal(1, fixture.Source.Requests);
    }

    [Fact]
    public async Task Purge_Prefix_ForgetsItsKeysOnly()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, [1]);
        fixture.Source.Put(CacheFixture.Log, [2]);
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.GetAsync(CacheFixture.Log);
        await fixture.Cache.IdleAsync();
        var report = fixture.Cache.Explain(CacheFixture.Index);
        Assert.Equal((ObjectClass.Immutable, true, 1L, 1L), (report.Class, report.Fresh, report.MemoryBytes, report.Milvus.Build));
        Assert.Equal(1, fixture.Cache.Purge("a-bucket/files/index_files/"));
        Assert.False(fixture.Cache.Explain(CacheFixture.Index).Known);
        Assert.True(fixture.Cache.Explain(CacheFixture.Log).Known);
        Assert.Equal([1], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
    }

    private static ReadRequest Conditional(string? ifMatch = null, string? ifNoneMatch = null)
        => new() { Preconditions = new Preconditions { IfMatch = ifMatch, IfNoneMatch = ifNoneMatch } };
}
