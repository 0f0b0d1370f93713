using Proxy.Cache;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

public sealed class CaptureTests
{
    private const int MiB = CacheFixture.MiB;

    [Theory]
    [InlineData(0, true)]
    [InlineData(200, true)]
    [InlineData((16 << 20) + 512, true)]
    [InlineData((16 << 20) + 512, false)]
    public async Task Put_ThenRead_AsksTheBackendForNoBytes(int size, bool withInfo)
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(size);
        await PutAsync(fixture, CacheFixture.Index, bytes, withInfo);
        var got = await fixture.GetAsync(CacheFixture.Index);
        Assert.Equal(bytes, got.Bytes);
        Assert.Equal(0, fixture.Source.Gets);
        Assert.Equal(withInfo ? 0 : 1, fixture.Source.Requests);
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Index)).Outcome);
        Assert.Equal(withInfo ? 0 : 1, fixture.Source.Requests);
        Assert.Equal(1, fixture.Cache.Snapshot().FirstReadAfterWriteHits);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Put_WhoseETagTheBackendNoLongerHas_IsNotServed()
    {
        await using var fixture = new CacheFixture();
        using (var mutation = fixture.Cache.BeginMutation(CacheFixture.Unknown))
        using (var capture = Capture(fixture, CacheFixture.Unknown, CacheFixture.Random(MiB, 1)))
        {
            var info = fixture.Source.Put(CacheFixture.Unknown, CacheFixture.Random(MiB, 1));
            mutation.Stored(info.ETag, capture, null, fixture.Source);
        }

        fixture.Source.Put(CacheFixture.Unknown, CacheFixture.Random(2 * MiB, 2));
        Assert.Equal(CacheFixture.Random(2 * MiB, 2), (await fixture.GetAsync(CacheFixture.Unknown)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Puts_TwoAtOnce_PublishNeither()
    {
        await using var fixture = new CacheFixture();
        var one = fixture.Cache.BeginMutation(CacheFixture.Index);
        var two = fixture.Cache.BeginMutation(CacheFixture.Index);
        var second = fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 2));
        using (var capture = Capture(fixture, CacheFixture.Index, CacheFixture.Random(MiB, 2)))
        {
            two.Stored(second.ETag, capture, second, fixture.Source);
        }

        // Applied last by the backend, although the other one's answer came last.
        var first = fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 1));
        using (var capture = Capture(fixture, CacheFixture.Index, CacheFixture.Random(MiB, 1)))
        {
            one.Stored(first.ETag, capture, first, fixture.Source);
        }

        one.Dispose();
        two.Dispose();
        Assert.Equal(0, fixture.Cache.Snapshot().CatalogEntries);
        Assert.Equal(CacheFixture.Random(MiB, 1), (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Mutation_OutcomeUnknown_EveryReadAsksUntilTheWindowIsOver()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 1));
        fixture.Cache.BeginMutation(CacheFixture.Index).Dispose();
        Assert.Equal(CacheFixture.Random(MiB, 1), (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        // It lands after all.
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 2));
        Assert.Equal(CacheFixture.Random(MiB, 2), (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Mutation_Refused_TheVersionIsConfirmedNotFetchedAgain()
    {
        await using var fixture = new CacheFixture(options => options.Fills.HeadAheadOnMiss = false);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB, 1));
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.Cache.IdleAsync();
        using (var mutation = fixture.Cache.BeginMutation(CacheFixture.Index))
        {
            mutation.Refused();
        }

        await fixture.HeadAsync(CacheFixture.Index);
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Index)).Outcome);
        Assert.Equal(1, fixture.Source.Gets);
    }

    [Theory]
    [InlineData(new[] { 10 * 1048576, 10 * 1048576, 3 * 1048576 + 17 })]
    [InlineData(new[] { 16 * 1048576 + 512, 5 * 1048576 + 1, 1 })]
    [InlineData(new[] { 50_000 })]
    [InlineData(new[] { 0 })]
    public async Task Multipart_Completed_IsServedFromItsPartsAsTheyAre(int[] parts)
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(parts.Sum());
        await CompleteAsync(fixture, CacheFixture.Log, bytes, parts, skip: -1, withInfo: true);
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Log)).Bytes);
        var random = new Random(7);
        for (var i = 0; i < 20 && bytes.Length > 0; i++)
        {
            var first = random.Next(bytes.Length);
            var last = random.Next(first, bytes.Length);
            var got = await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(first, last));
            Assert.True(bytes.AsSpan(first, last - first + 1).SequenceEqual(got.Bytes));
        }

        Assert.Equal(0, fixture.Source.Requests);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Multipart_PartWhoseBytesAreGone_IsFilledWhenRead()
    {
        await using var fixture = new CacheFixture();
        int[] parts = [(5 * MiB) + 100, (6 * MiB) + 200, 1000];
        var bytes = CacheFixture.Random(parts.Sum());
        await CompleteAsync(fixture, CacheFixture.Log, bytes, parts, skip: 1, withInfo: false);
        var got = await fixture.GetAsync(CacheFixture.Log);
        Assert.Equal(bytes, got.Bytes);
        Assert.Equal(CacheOutcome.Partial, got.Outcome);
        Assert.Equal(1, fixture.Source.Gets);
        Assert.Equal(parts[1], fixture.Source.GivenBytes);
        await fixture.AssertQuietAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Multipart_OnePartNeverSeen_OnlyItIsFetched(bool withInfo)
    {
        await using var fixture = new CacheFixture();
        int[] parts = [(5 * MiB) + 100, (6 * MiB) + 200, 1000];
        var bytes = CacheFixture.Random(parts.Sum());
        await CompleteAsync(fixture, CacheFixture.Log, bytes, parts, skip: -1, withInfo, unseen: 1);
        while (!fixture.Cache.Explain(CacheFixture.Log).Known)
        {
            await Task.Yield();
        }

        var got = await fixture.GetAsync(CacheFixture.Log);
        Assert.Equal(bytes, got.Bytes);
        Assert.Equal(CacheOutcome.Partial, got.Outcome);
        Assert.Equal(parts[1], fixture.Source.GivenBytes);
        await fixture.AssertQuietAsync();
    }

    /// <summary>Its key was cached when its parts came. It was asked about, kept, and then served from memory for as long as an answer holds.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    public async Task Multipart_OfAKeyThatIsBypassedSince_IsNotKept(bool withInfo, bool whileAsked)
    {
        await using var fixture = new CacheFixture();
        int[] parts = [(5 * MiB) + 100, (6 * MiB) + 200, 1000];
        var bytes = CacheFixture.Random(parts.Sum());
        using var asked = new SemaphoreSlim(0);
        if (whileAsked)
        {
            fixture.Source.BeforeAnswer = (_, _) => asked.WaitAsync();
        }

        await CompleteAsync(fixture, CacheFixture.Log, bytes, parts, skip: -1, withInfo, unseen: 1, beforeComplete: () =>
        {
            if (!whileAsked)
            {
                Bypass();
            }
        });
        if (whileAsked)
        {
            Assert.Equal(1, fixture.Source.Requests);
            Bypass();
            asked.Release(10);
        }

        var begin = await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(0, MiB - 1));
        Assert.Equal((CacheOutcome.Bypass, false), (begin.Outcome, fixture.Cache.Explain(CacheFixture.Log).Known));
        Assert.Equal(whileAsked ? 2 : 1, fixture.Source.Requests);
        var got = await fixture.GetAsync(CacheFixture.Log);
        Assert.Equal(bytes, got.Bytes);
        Assert.Equal(CacheOutcome.Bypass, got.Outcome);
        await Patience.UntilAsync(() => fixture.Cache.TierSnapshot().Memory.Blocks == 0, () => $"{fixture.Cache.TierSnapshot().Memory.Blocks} of its blocks are left");
        Assert.False(fixture.Cache.Explain(CacheFixture.Log).Known);
        await fixture.AssertQuietAsync();

        void Bypass() => fixture.Cache.UpdateRules(new CacheOptions { Rules = { new CacheRule { Pattern = "**", Class = Proxy.Cache.Policy.ObjectClass.Bypass } } });
    }

    [Fact]
    public async Task Multipart_TwoPartsNeverSeen_TheObjectIsReadAnewAndNothingStays()
    {
        await using var fixture = new CacheFixture();
        int[] parts = [(5 * MiB) + 100, (6 * MiB) + 200, 5 * MiB, 1000];
        var bytes = CacheFixture.Random(parts.Sum());
        await CompleteAsync(fixture, CacheFixture.Log, bytes, parts, skip: -1, withInfo: false, unseen: 1, alsoUnseen: 2);
        Assert.Equal(0, fixture.Cache.TierSnapshot().Memory.Blocks);
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Log)).Bytes);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Multipart_Aborted_FreesItsBlocks()
    {
        await using var fixture = new CacheFixture();
        using (var capture = PartCapture(fixture, CacheFixture.Log, CacheFixture.Random(5 * MiB)))
        {
            fixture.Cache.KeepPart(CacheFixture.Log, "u", 1, "\"p1\"", capture);
        }

        Assert.Equal(5, fixture.Cache.TierSnapshot().Memory.Blocks);
        fixture.Cache.DropUpload(CacheFixture.Log, "u");
        Assert.Equal(0, fixture.Cache.TierSnapshot().Memory.Blocks);
        Assert.Equal(0, fixture.Cache.Snapshot().Captures.Parts);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Capture_AboveItsBudget_GoesToTheTiersEarlyAndIsWhole()
    {
        await using var fixture = new CacheFixture(options => options.Captures.MaxBytes = 2 * MiB);
        var bytes = CacheFixture.Random((9 * MiB) + 300);
        using (var mutation = fixture.Cache.BeginMutation(CacheFixture.Index))
        using (var capture = Capture(fixture, CacheFixture.Index, bytes))
        {
            Assert.InRange(fixture.Cache.Snapshot().Captures.BytesHeld, MiB, 2 * MiB);
            var info = fixture.Source.Put(CacheFixture.Index, bytes);
            mutation.Stored(info.ETag, capture, info, fixture.Source);
        }

        var got = await fixture.GetAsync(CacheFixture.Index);
        Assert.Equal(bytes, got.Bytes);
        Assert.Equal(CacheOutcome.HitMemory, got.Outcome);
        Assert.Equal(0, fixture.Source.Requests);
        await fixture.AssertQuietAsync();
    }

    [Theory]
    [InlineData(16)]
    [InlineData(40)]
    public async Task Captures_ManyAtOnceAboveTheBudget_AreAllWhole(int uploads)
    {
        // As a flush of many index files does: each larger than its share of the budget, all of them open until the backend answers.
        await using var fixture = new CacheFixture(options => (options.Memory.CapacityBytes, options.Captures.MaxBytes) = (512 * MiB, 40 * MiB));
        var bodies = Enumerable.Range(0, uploads).Select(i => CacheFixture.Random((4 * MiB) + i, i)).ToArray();
        var ids = bodies.Select((_, i) => CacheFixture.Index with { Key = $"files/index_files/1/2/3/{i}/HNSW_0" }).ToArray();
        var captures = ids.Select(id => fixture.Cache.TryBeginCapture(id, null)!).ToArray();
        for (var at = 0; at < bodies[^1].Length; at += 300_000)
        {
            for (var i = 0; i < uploads; i++)
            {
                captures[i].Append(bodies[i].AsSpan()[Math.Min(at, bodies[i].Length)..Math.Min(at + 300_000, bodies[i].Length)]);
            }
        }

        Assert.InRange(fixture.Cache.Snapshot().Captures.BytesHeld, 1, 80 * MiB);
        for (var i = 0; i < uploads; i++)
        {
            using var mutation = fixture.Cache.BeginMutation(ids[i]);
            using var capture = captures[i];
            var info = fixture.Source.Put(ids[i], bodies[i]);
            mutation.Stored(info.ETag, capture, info, fixture.Source);
        }

        for (var i = 0; i < uploads; i++)
        {
            Assert.Equal(bodies[i], (await fixture.GetAsync(ids[i])).Bytes);
        }

        Assert.Equal(0, fixture.Source.Requests);
        Assert.Equal(0, fixture.Cache.Snapshot().Captures.Dropped);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Capture_ThatWentEarlyAndWasRefused_LeavesNothing()
    {
        await using var fixture = new CacheFixture(options => options.Captures.MaxBytes = 2 * MiB);
        using (var capture = fixture.Cache.TryBeginCapture(CacheFixture.Index, null)!)
        {
            capture.Append(CacheFixture.Random(7 * MiB));
            Assert.InRange(fixture.Cache.TierSnapshot().Memory.Blocks, 4, 7);
        }

        Assert.Equal(0, fixture.Cache.TierSnapshot().Memory.Blocks);
        Assert.Equal(1, fixture.Cache.Snapshot().Captures.Abandoned);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Capture_WithNoMemoryLeft_GivesUpAndHoldsNothing()
    {
        await using var fixture = new CacheFixture(options => (options.Memory.CapacityBytes, options.Captures.MaxBytes) = (16 * MiB, 2 * MiB));
        Assert.Null(fixture.Cache.TryBeginCapture(CacheFixture.Index, 17 * MiB));
        var others = Enumerable.Range(0, 4).Select(_ => fixture.Cache.TryBeginCapture(CacheFixture.Index, null)!).ToArray();
        Array.ForEach(others, other => other.Append(CacheFixture.Random(100)));

        // Four hold a block each, which is the budget and the one block each may hold beside it.
        using (var capture = fixture.Cache.TryBeginCapture(CacheFixture.Index, null)!)
        {
            capture.Append(CacheFixture.Random(3 * MiB));
            Assert.Equal(3 * MiB, capture.Length);
            Assert.Equal(1, fixture.Cache.Snapshot().Captures.Dropped);
        }

        Array.ForEach(others, other => other.Dispose());
        await fixture.AssertQuietAsync();
    }

    internal static async Task<ObjectInfo> PutAsync(CacheFixture fixture, ObjectId id, byte[] bytes, bool withInfo)
    {
        using var mutation = fixture.Cache.BeginMutation(id);
        using var capture = Capture(fixture, id, bytes);
        var info = fixture.Source.Put(id, bytes);
        mutation.Stored(info.ETag, capture, withInfo ? info : null, fixture.Source);
        await Task.Yield();
        return info;
    }

    private static async Task CompleteAsync(CacheFixture fixture, ObjectId id, byte[] bytes, int[] parts, int skip, bool withInfo, int unseen = -1, int alsoUnseen = -1, Action? beforeComplete = null)
    {
        var at = 0;
        for (var i = 0; i < parts.Length; i++)
        {
            if (i == unseen || i == alsoUnseen)
            {
                at += parts[i];
                continue;
            }

            using var capture = PartCapture(fixture, id, bytes.AsSpan(at, parts[i]));
            if (i == skip)
            {
                capture.Dispose();
            }

            fixture.Cache.KeepPart(id, "upload", i + 1, $"\"part{i}\"", capture);
            at += parts[i];
        }

        beforeComplete?.Invoke();
        using var mutation = fixture.Cache.BeginMutation(id);
        var info = fixture.Source.Put(id, bytes, $"\"multi-{parts.Length}\"");
        mutation.Completed("upload", [.. parts.Select((_, i) => (i + 1, $"part{i}"))], info.ETag, withInfo ? info : null, fixture.Source);
        await Task.Yield();
    }

    private static Proxy.Cache.Captures.UploadCapture Capture(CacheFixture fixture, ObjectId id, ReadOnlySpan<byte> bytes)
        => Fed(fixture.Cache.TryBeginCapture(id, bytes.Length)!, bytes);

    private static Proxy.Cache.Captures.UploadCapture PartCapture(CacheFixture fixture, ObjectId id, ReadOnlySpan<byte> bytes)
        => Fed(fixture.Cache.TryBeginPartCapture(id, "upload", 1, bytes.Length)!, bytes);

    private static Proxy.Cache.Captures.UploadCapture Fed(Proxy.Cache.Captures.UploadCapture capture, ReadOnlySpan<byte> bytes)
    {
        // In pieces that fit no block.
        while (!bytes.IsEmpty)
        {
            var piece = Math.Min(bytes.Length, 77_777);
            capture.Append(bytes[..piece]);
            bytes = bytes[piece..];
        }

        return capture;
    }
}
