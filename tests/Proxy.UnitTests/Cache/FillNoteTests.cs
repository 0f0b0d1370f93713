using Microsoft.Extensions.Time.Testing;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.Cache.Metadata;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>When a key's bytes came and by what, as "explain this key" tells it.</summary>
public sealed class FillNoteTests
{
    private const int MiB = CacheFixture.MiB;
    private static readonly WarmPace NoPace = static (_, _) => ValueTask.CompletedTask;

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Explain_FilledByARead_SaysSoAndWhen()
    {
        await using var fixture = new CacheFixture(time: _time);
        fixture.Source.Put(CacheFixture.Unknown, CacheFixture.Random(MiB));
        await fixture.GetAsync(CacheFixture.Unknown);
        var filledAt = _time.GetUtcNow();
        await fixture.Cache.IdleAsync();
        _time.Advance(TimeSpan.FromMinutes(3));

        // A hit is no fill.
        Assert.Equal(CacheOutcome.Revalidated, (await fixture.GetAsync(CacheFixture.Unknown)).Outcome);
        AssertNote(fixture, CacheFixture.Unknown, Origin.Read, filledAt);
        Assert.Equal(Origin.Read, fixture.Cache.Admin.Find(CacheFixture.Unknown)!.Origin);
    }

    [Fact]
    public async Task Explain_FilledByAWarmJob_IsToldFromARead()
    {
        await using var fixture = new CacheFixture(time: _time);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(3 * MiB));
        await WarmAsync(fixture, CacheFixture.Index);
        AssertNote(fixture, CacheFixture.Index, Origin.Warm, _time.GetUtcNow());
        Assert.Equal(Origin.Warm, fixture.Cache.Admin.Find(CacheFixture.Index)!.Origin);

        // What the job brought stays the job's, whoever reads it.
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Index)).Outcome);
        AssertNote(fixture, CacheFixture.Index, Origin.Warm, _time.GetUtcNow());
    }

    [Fact]
    public async Task Explain_FilledByTwo_NamesTheLastAndTheEarlier()
    {
        await using var fixture = new CacheFixture(time: _time);
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(40 * MiB));
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(0, MiB - 1));
        await fixture.Cache.IdleAsync();
        AssertNote(fixture, CacheFixture.Log, Origin.Read, _time.GetUtcNow());
        _time.Advance(TimeSpan.FromHours(1));
        await WarmAsync(fixture, CacheFixture.Log);
        AssertNote(fixture, CacheFixture.Log, Origin.Warm, _time.GetUtcNow(), Origin.Read);
        Assert.Equal(Origin.Read, fixture.Cache.Admin.Find(CacheFixture.Log)!.Origin);
    }

    [Fact]
    public async Task Explain_FilledAheadOfItsReader_SaysReadAhead()
    {
        await using var fixture = new CacheFixture(options => (options.Fills.SiblingSlices, options.Fills.ReadaheadBytes) = (1, 4 * MiB), _time);
        var sibling = new ObjectId("a-bucket", "files/index_files/1/2/3/4/HNSW_1");
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB));
        fixture.Source.Put(sibling, CacheFixture.Random(MiB));
        await fixture.GetAsync(CacheFixture.Index);
        while (!fixture.Cache.Explain(sibling).Known)
        {
            await Task.Yield();
        }

        await fixture.Cache.IdleAsync();
        AssertNote(fixture, CacheFixture.Index, Origin.Read, _time.GetUtcNow());
        AssertNote(fixture, sibling, Origin.ReadAhead, _time.GetUtcNow());

        // The range that follows a sequential reader's.
        fixture.Source.Put(CacheFixture.Log, CacheFixture.Random(40 * MiB));
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(20 * MiB, (21 * MiB) - 1));
        await fixture.Cache.IdleAsync();
        AssertNote(fixture, CacheFixture.Log, Origin.Read, _time.GetUtcNow());
        _time.Advance(TimeSpan.FromMinutes(1));
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(21 * MiB, (22 * MiB) - 1));
        await fixture.Cache.IdleAsync();
        var note = fixture.Cache.Explain(CacheFixture.Log).Filled!;
        Assert.Equal([Origin.Read, Origin.ReadAhead], note.EarlierBy.Append(note.By).Order());
        Assert.Equal(_time.GetUtcNow(), note.At);
    }

    [Fact]
    public async Task Explain_BytesThatAHeadBrought_SaysReadAhead()
    {
        await using var fixture = new CacheFixture(time: _time);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB));
        await fixture.HeadAsync(CacheFixture.Index);
        await fixture.Cache.IdleAsync();
        AssertNote(fixture, CacheFixture.Index, Origin.ReadAhead, _time.GetUtcNow());
        Assert.Equal(Origin.Read, fixture.Cache.Admin.Find(CacheFixture.Index)!.Origin);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Explain_CapturedByAPut_SaysSo_AlsoOnceItsHeadersAreKnown(bool withInfo)
    {
        await using var fixture = new CacheFixture(time: _time);
        var writtenAt = _time.GetUtcNow();
        Store(fixture, CacheFixture.Unknown, MiB, captured: true, withInfo);
        _time.Advance(TimeSpan.FromMinutes(1));
        await fixture.GetAsync(CacheFixture.Unknown);
        Assert.Equal(0, fixture.Source.Gets);
        AssertNote(fixture, CacheFixture.Unknown, Origin.Put, writtenAt);
    }

    [Fact]
    public async Task Explain_WrittenWithoutACapture_IsFilledByItsReader()
    {
        await using var fixture = new CacheFixture(time: _time);
        Store(fixture, CacheFixture.Unknown, MiB, captured: false, withInfo: true);
        Assert.Null(fixture.Cache.Explain(CacheFixture.Unknown).Filled);
        await fixture.GetAsync(CacheFixture.Unknown);
        await fixture.Cache.IdleAsync();
        AssertNote(fixture, CacheFixture.Unknown, Origin.Read, _time.GetUtcNow());
        Assert.Equal(Origin.Put, fixture.Cache.Admin.Find(CacheFixture.Unknown)!.Origin);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(2, 1)]
    [InlineData(2, 0)]
    public async Task Explain_CapturedByAMultipartUpload_SaysSo_WithBytesOfAtLeastOnePart(int parts, int captured)
    {
        await using var fixture = new CacheFixture(time: _time);
        var bytes = CacheFixture.Random(parts * 5 * MiB);
        for (var part = 0; part < parts; part++)
        {
            using var capture = fixture.Cache.TryBeginPartCapture(CacheFixture.Log, "u", part + 1, 5 * MiB)!;
            capture.Append(bytes.AsSpan(part * 5 * MiB, 5 * MiB));
            if (part >= captured)
            {
                capture.Dispose();
            }

            fixture.Cache.KeepPart(CacheFixture.Log, "u", part + 1, $"\"{part}\"", capture);
        }

        using var mutation = fixture.Cache.BeginMutation(CacheFixture.Log);
        var info = fixture.Source.Put(CacheFixture.Log, bytes);
        mutation.Completed("u", [.. Enumerable.Range(0, parts).Select(part => (part + 1, $"{part}"))], info.ETag, info, fixture.Source);
        Assert.Equal(Origin.Multipart, fixture.Cache.Admin.Find(CacheFixture.Log)!.Origin);
        if (captured > 0)
        {
            AssertNote(fixture, CacheFixture.Log, Origin.Multipart, _time.GetUtcNow());
        }
        else
        {
            Assert.Null(fixture.Cache.Explain(CacheFixture.Log).Filled);
        }
    }

    [Fact]
    public async Task Explain_BytesFromBeforeItsVersionWasLearnedAnew_AreOfUnknownOrigin()
    {
        await using var fixture = new CacheFixture(options => options.Fills.HeadAheadOnMiss = false, _time);
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB));
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.Cache.IdleAsync();
        using (var mutation = fixture.Cache.BeginMutation(CacheFixture.Index))
        {
            mutation.Refused();
        }

        await fixture.HeadAsync(CacheFixture.Index);
        var report = fixture.Cache.Explain(CacheFixture.Index);
        Assert.Equal((report.Size, null), (report.MemoryBytes, report.Filled));
    }

    [Fact]
    public async Task Explain_AfterARestart_SaysThatItIsNotKnown()
    {
        var folder = Directory.CreateTempSubdirectory("proxy-cache-").FullName;
        try
        {
            void Disk(CacheOptions options)
            {
                options.Nvme.Directories.Add(folder);
                (options.Nvme.CapacityBytes, options.Nvme.Engine, options.VerifyRecovered) = (128L * MiB, "Plain", false);
            }

            var bytes = CacheFixture.Random(40 * MiB);
            await using (var before = new CacheFixture(Disk))
            {
                before.Source.Put(CacheFixture.Log, bytes);
                await before.GetAsync(CacheFixture.Log, CacheFixture.Range(0, MiB - 1));
                await before.Cache.IdleAsync();
                Assert.Equal(Origin.Read, before.Cache.Explain(CacheFixture.Log).Filled!.By);
            }

            await using var fixture = new CacheFixture(Disk, _time);
            await fixture.Cache.Recovered;
            var note = fixture.Cache.Explain(CacheFixture.Log).Filled!;
            Assert.Equal((Origin.Recovered, null, 0), (note.By, note.At, note.EarlierBy.Count));

            // What comes afterwards is known, and that something may have been there before it.
            fixture.Source.Put(CacheFixture.Log, bytes);
            await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(20 * MiB, (21 * MiB) - 1));
            await fixture.Cache.IdleAsync();
            AssertNote(fixture, CacheFixture.Log, Origin.Read, _time.GetUtcNow(), Origin.Recovered);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Note_OfEveryOrigin_KeepsThemAllAndTheTimeToTheMillisecond()
    {
        var at = new DateTimeOffset(2199, 12, 31, 23, 59, 59, 999, TimeSpan.Zero);
        long word = 0;
        Assert.Null(FillNote.Of(word));
        foreach (var origin in Enum.GetValues<Origin>())
        {
            Assert.InRange((int)origin, 0, 7);
            word = FillNote.Add(word, origin, origin == Origin.Recovered ? null : at);
            var note = FillNote.Of(word)!;
            Assert.Equal((origin, origin == Origin.Recovered ? null : at), (note.By, note.At));
            Assert.Equal(Enum.GetValues<Origin>().Where(earlier => earlier < origin), note.EarlierBy);
        }
    }

    private static void Store(CacheFixture fixture, ObjectId id, int length, bool captured, bool withInfo)
    {
        var bytes = CacheFixture.Random(length);
        using var mutation = fixture.Cache.BeginMutation(id);
        using var capture = captured ? fixture.Cache.TryBeginCapture(id, length) : null;
        capture?.Append(bytes);
        var info = fixture.Source.Put(id, bytes);
        mutation.Stored(info.ETag, capture, withInfo ? info : null, fixture.Source);
    }

    private static async Task WarmAsync(CacheFixture fixture, ObjectId id)
    {
        Assert.Equal(WarmEnd.Warm, (await fixture.Cache.Admin.WarmAsync(id, fixture.Source, NoPace, TestContext.Current.CancellationToken)).End);
        await fixture.Cache.IdleAsync();
    }

    private static void AssertNote(CacheFixture fixture, ObjectId id, Origin by, DateTimeOffset at, params Origin[] earlier)
    {
        var note = fixture.Cache.Explain(id).Filled;
        Assert.NotNull(note);
        Assert.Equal((by, at), (note.By, note.At));
        Assert.Equal(earlier, note.EarlierBy);
    }
}
