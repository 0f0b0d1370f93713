using Proxy.Cache;
using Proxy.Cache.Blocks;
using Proxy.Cache.Fills;
using Proxy.Cache.Metadata;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

public sealed class FillTests
{
    private const int MiB = CacheFixture.MiB;

    [Fact]
    public async Task Readers_ManyAtOnce_CauseOneRequest()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random((8 * MiB) + 512);
        fixture.Source.Put(CacheFixture.Index, bytes);
        var gate = new TaskCompletionSource();
        fixture.Source.BeforePiece = (_, given) => given > MiB ? gate.Task : Task.CompletedTask;
        var readers = Enumerable.Range(0, 32).Select(_ => Task.Run(() => fixture.GetAsync(CacheFixture.Index))).ToArray();
        while (fixture.Cache.Snapshot().OpenReads < readers.Length)
        {
            await Task.Yield();
        }

        gate.SetResult();
        foreach (var got in await Task.WhenAll(readers))
        {
            Assert.Equal(bytes, got.Bytes);
        }

        Assert.Equal(1, fixture.Source.Requests);
        Assert.Equal(bytes.Length, fixture.Source.GivenBytes);
        await fixture.AssertQuietAsync();
    }

    /// <summary>Also those who come in the moment when the first one's answer is there and what it brings is not yet.</summary>
    [Fact]
    public async Task Readers_OfManyObjects_CauseOneRequestEach()
    {
        await using var fixture = new CacheFixture();
        for (var round = 0; round < 2000; round++)
        {
            var id = new ObjectId("a-bucket", $"files/index_files/{round}/2/3/4/HNSW_0");
            fixture.Source.Put(id, CacheFixture.Random(100 + round));
            fixture.Source.BeforeHeaders = static async _ => await Task.Yield();
            await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => fixture.GetAsync(id))));
            Assert.Equal(round + 1, fixture.Source.Requests);
        }

        await fixture.AssertQuietAsync();
    }

    /// <summary>The first goes on where the bytes came in. Here it blocks there; the others must not be behind it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Crowd_BeforeOneColdObject_WaitsForNobodysAnswer(bool forTheHead)
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(100_000);
        fixture.Source.Put(CacheFixture.Index, bytes);
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        fixture.Source.BeforeHeaders = _ => forTheHead ? gate.Task : Task.CompletedTask;
        fixture.Source.BeforePiece = (_, _) => gate.Task;
        using var others = new CountdownEvent(7);

        // From the pool, where nothing but the cache says on which thread they go on.
        var readers = await Task.Run(() => (Task[])
            [ReadAsync(() => Assert.True(others.Wait(TimeSpan.FromSeconds(30)))), .. Enumerable.Range(0, others.InitialCount).Select(_ => ReadAsync(() => others.Signal()))]);
        Assert.DoesNotContain(readers, static reader => reader.IsCompleted);
        gate.SetResult();
        await Task.WhenAll(readers);

        async Task ReadAsync(Action whenRead)
        {
            await using var read = await fixture.OpenAsync(CacheFixture.Index);
            Assert.NotEqual(0, (await read.ReadNextAsync(default)).Length);
            whenRead();
        }
    }

    [Fact]
    public async Task Reader_OfARunningFill_GetsBytesBeforeItsFirstBlockIsComplete()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(4 * MiB);
        fixture.Source.Put(CacheFixture.Index, bytes);
        var gate = new TaskCompletionSource();
        fixture.Source.BeforePiece = (_, given) => given > 0 ? gate.Task : Task.CompletedTask;
        await using var read = await fixture.OpenAsync(CacheFixture.Index);
        var first = await read.ReadNextAsync(default);
        Assert.Equal(64 << 10, first.Length);
        Assert.True(bytes.AsSpan(0, first.Length).SequenceEqual(first.Span));
        var next = read.ReadNextAsync(default).AsTask();
        Assert.False(next.IsCompleted);
        gate.SetResult();
        Assert.NotEqual(0, (await next).Length);
    }

    [Fact]
    public async Task Write_DuringAFill_ItIsNotPublished()
    {
        await using var fixture = new CacheFixture();
        var old = CacheFixture.Random(3 * MiB, 1);
        fixture.Source.Put(CacheFixture.Index, old);
        var gate = new TaskCompletionSource();
        fixture.Source.BeforePiece = (asked, given) => given > 0 ? gate.Task : Task.CompletedTask;
        var reading = fixture.GetAsync(CacheFixture.Index);
        while (fixture.Cache.Snapshot().OpenReads == 0)
        {
            await Task.Yield();
        }

        var fresh = CacheFixture.Random(2 * MiB, 2);
        using (var mutation = fixture.Cache.BeginMutation(CacheFixture.Index))
        {
            fixture.Source.Put(CacheFixture.Index, fresh);
            mutation.Changed();
        }

        gate.SetResult();
        // Begun before the write: the old version, whole.
        Assert.Equal(old, (await reading).Bytes);
        await fixture.Cache.IdleAsync();
        Assert.Equal(1, fixture.Cache.Snapshot().Fills.Superseded);
        Assert.Equal(0, fixture.Cache.TierSnapshot().Memory.Blocks);
        Assert.Equal(fresh, (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Write_WhileTheFirstReadAsks_IsSeenByTheNextRead()
    {
        await using var fixture = new CacheFixture();
        var old = fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 1));
        var gate = new TaskCompletionSource();
        var chosen = new TaskCompletionSource();
        fixture.Source.BeforeHeaders = _ =>
        {
            chosen.TrySetResult();
            return gate.Task;
        };
        var first = fixture.GetAsync(CacheFixture.Index);
        await chosen.Task;
        using (var mutation = fixture.Cache.BeginMutation(CacheFixture.Index))
        {
            fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 2));
            mutation.Changed();
        }

        // Must not join the asking that began before the write.
        fixture.Source.BeforeHeaders = null;
        var second = await fixture.GetAsync(CacheFixture.Index);
        Assert.Equal(CacheFixture.Random(MiB, 2), second.Bytes);
        gate.SetResult();
        // The first read began before the write: either version is right for it, but only as a whole.
        var overtaken = await first;
        Assert.Equal(CacheFixture.Random(MiB, overtaken.ETag == old.ETag ? 1 : 2), overtaken.Bytes);
        Assert.Equal(CacheFixture.Random(MiB, 2), (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Write_WhileTheBackendAnswers_WhatItAnsweredDoesNotStand(bool captured)
    {
        await using var fixture = new CacheFixture(options => options.Fills.HeadAheadOnMiss = false);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 1));
        var gate = new TaskCompletionSource();
        var chosen = new TaskCompletionSource();
        fixture.Source.BeforeHeaders = _ =>
        {
            chosen.TrySetResult();
            return gate.Task;
        };

        // The old version is chosen, then written over, and only then told.
        var head = fixture.HeadAsync(CacheFixture.Index);
        await chosen.Task;
        var bytes = CacheFixture.Random(2 * MiB, 2);
        string current;
        using (var capture = fixture.Cache.TryBeginCapture(CacheFixture.Index, bytes.Length))
        using (var mutation = fixture.Cache.BeginMutation(CacheFixture.Index))
        {
            capture!.Append(bytes);
            var info = fixture.Source.Put(CacheFixture.Index, bytes);
            current = info.ETag;
            if (captured)
            {
                mutation.Stored(info.ETag, capture, info, fixture.Source);
            }
            else
            {
                mutation.Changed();
            }
        }

        gate.SetResult();
        await head;
        var report = fixture.Cache.Explain(CacheFixture.Index);
        Assert.Equal(captured, report.Known);
        Assert.Equal(captured ? current : null, report.ETag);
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task VersionChangedBehindOurBack_BeforeAByteLeft_TheNewOneIsRead(bool ignoresIfMatch)
    {
        await using var fixture = new CacheFixture(options => options.Fills.HeadAheadOnMiss = false);
        fixture.Source.IgnoresIfMatch = ignoresIfMatch;
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 1));
        await fixture.HeadAsync(CacheFixture.Index);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(2 * MiB, 2));
        Assert.Equal(CacheFixture.Random(2 * MiB, 2), (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task VersionChangedBehindOurBack_AfterBytesLeft_TheReadBreaks()
    {
        await using var fixture = new CacheFixture(options =>
        {
            options.Fills.MaxRangeBytes = MiB;
            options.Fills.ReadaheadBytes = 0;
        });
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(4 * MiB, 1));
        await using (var read = await fixture.OpenAsync(CacheFixture.Log))
        {
            Assert.NotEqual(0, (await read.ReadNextAsync(default)).Length);
            fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(4 * MiB, 2));
            await Assert.ThrowsAsync<IOException>(async () =>
            {
                while ((await read.ReadNextAsync(default)).Length > 0)
                {
                }
            });
        }

        Assert.Equal(CacheFixture.Random(4 * MiB, 2), (await fixture.GetAsync(CacheFixture.Log)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Deleted_BehindOurBack_IsNoSuchKey()
    {
        await using var fixture = new CacheFixture(options => options.Fills.HeadAheadOnMiss = false);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 1));
        await fixture.HeadAsync(CacheFixture.Index);
        fixture.Source.Delete(CacheFixture.Index);
        Assert.Equal(S3ErrorCode.NoSuchKey, (await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Index))).Code);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task ShortBody_IsContinuedWhereItStopped()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(5 * MiB);
        fixture.Source.Put(CacheFixture.Index, bytes);
        fixture.Source.CutBodyAt = _ => 2_000_000;
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        Assert.Equal(3, fixture.Source.Requests);
        Assert.Equal(bytes.Length, fixture.Source.GivenBytes);
        Assert.Equal(2, fixture.Cache.Snapshot().Fills.Retried);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Backend_Throttling_IsAbsorbed()
    {
        await using var fixture = new CacheFixture(options => options.Fills.HeadAheadOnMiss = false);
        var bytes = CacheFixture.Random(MiB);
        fixture.Source.Put(CacheFixture.Index, bytes);
        await fixture.HeadAsync(CacheFixture.Index);
        fixture.Source.BeforeAnswer = (_, number) => number <= 3 ? throw new S3Exception(S3ErrorCode.SlowDown) : Task.CompletedTask;
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Backend_Down_KnownImmutableStillHits_UnknownIsSlowDown()
    {
        await using var fixture = new CacheFixture(options => options.Fills.MaxAttempts = 1);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB));
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.Cache.IdleAsync();
        fixture.Source.BeforeAnswer = (_, _) => throw new IOException("refused");
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Index)).Outcome);
        Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Log))).Code);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Backend_DiesInTheBody_TheReadBreaksAndNothingWrongStays()
    {
        await using var fixture = new CacheFixture(options => options.Fills.MaxAttempts = 1);
        var bytes = CacheFixture.Random(3 * MiB);
        fixture.Source.Put(CacheFixture.Index, bytes);
        fixture.Source.BeforePiece = (_, given) => given > 1_500_000 ? throw new IOException("reset") : Task.CompletedTask;
        await Assert.ThrowsAsync<IOException>(() => fixture.GetAsync(CacheFixture.Index));
        fixture.Source.BeforePiece = null;
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Theory]
    [InlineData(8, 8 * MiB)]
    [InlineData(64, 2 * MiB)]
    public async Task ClientLeaves_SmallObjectIsFinished_LargeOneStops(int sizeMiB, int most)
    {
        await using var fixture = new CacheFixture(options => options.Fills.ReadaheadBytes = 0);
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(sizeMiB * MiB));
        var gate = new TaskCompletionSource();
        fixture.Source.BeforePiece = (_, given) => given >= MiB / 2 ? gate.Task : Task.CompletedTask;
        await using (var read = await fixture.OpenAsync(CacheFixture.Log))
        {
            await read.ReadNextAsync(default);
        }

        gate.SetResult();
        await fixture.Cache.IdleAsync();
        Assert.InRange(fixture.Source.GivenBytes, Math.Min(most, MiB), most);
        Assert.Equal(sizeMiB == 8 ? 0 : 1, fixture.Cache.Snapshot().Fills.Cancelled);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task ClientLeaves_AnotherWaits_TheFillGoesOn()
    {
        await using var fixture = new CacheFixture(options => options.Fills.ReadaheadBytes = 0);
        var bytes = CacheFixture.Random(33 * MiB);
        fixture.Source.Put(CacheFixture.Log, bytes);
        var gate = new TaskCompletionSource();
        fixture.Source.BeforePiece = (_, given) => given >= MiB / 2 ? gate.Task : Task.CompletedTask;
        var first = await fixture.OpenAsync(CacheFixture.Log);
        await using var second = await fixture.OpenAsync(CacheFixture.Log);
        await first.DisposeAsync();
        gate.SetResult();
        Assert.Equal(bytes, await CacheFixture.DrainAsync(second));
        Assert.Equal(2, fixture.Source.Requests);
    }

    /// <summary>Whoever leaves last sets a hanging fill a term. That is not the term of those who come after.</summary>
    [Fact]
    public async Task Reader_JoinsAFillThatEverybodyHadLeft_ItsTermIsOver()
    {
        var layout = ObjectLayout.Single(new ContentId(1, 2), MiB, MiB);
        var entry = new CatalogEntry { Bucket = "b", Key = "k", ETag = "\"e\"", Layout = layout, Info = null, Policy = default };
        var fill = new Fill(entry, default, FillPlan.Units(layout, new ByteSpan(0, MiB)), new Lock(), keepWithoutReaders: false, Origin.Read, TimeProvider.System);
        Join();
        fill.Leave(TimeSpan.FromSeconds(2));
        Join(); // by then, on a busy machine too
        await Task.Delay(2500);
        Assert.False(fill.Stop.IsCancellationRequested);
        fill.Leave(TimeSpan.Zero);
        Assert.True(fill.Stop.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds(30)));
        fill.Finish(FillEnd.Cancelled, error: null);

        void Join()
        {
            lock (fill.Gate)
            {
                fill.Join_NeedsLock();
            }
        }
    }
}
