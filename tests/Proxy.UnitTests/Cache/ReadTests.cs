using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

public sealed class ReadTests
{
    private const int MiB = CacheFixture.MiB;

    /// <summary>A number too big for a long is read as the biggest one. A unit more than that was asked for, which is less than nothing.</summary>
    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(long.MaxValue - 4000)]
    public async Task Suffix_LongerThanAnyObject_KeyNotKnown_IsAskedForAsItCanBe(long suffix)
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(100_000);
        fixture.Source.Put(CacheFixture.Unknown, bytes);
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Unknown, new ReadRequest { Range = ByteRange.Suffix(suffix) })).Bytes);
        Assert.DoesNotContain(fixture.Source.Log, static asked => asked.Range is { Last: < 0 });
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Get_Cold_IsOneRequestThenHits()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random((16 * MiB) + 512);
        fixture.Source.Put(CacheFixture.Index, bytes);
        var cold = await fixture.GetAsync(CacheFixture.Index);
        Assert.Equal(CacheOutcome.Miss, cold.Outcome);
        Assert.Equal(bytes, cold.Bytes);
        Assert.Equal(1, fixture.Source.Requests);
        await fixture.Cache.IdleAsync();
        for (var i = 0; i < 3; i++)
        {
            var warm = await fixture.GetAsync(CacheFixture.Index);
            Assert.Equal(CacheOutcome.HitMemory, warm.Outcome);
            Assert.Equal(bytes, warm.Bytes);
        }

        Assert.Equal(CacheOutcome.HitMemory, await fixture.HeadAsync(CacheFixture.Index));
        Assert.Equal(1, fixture.Source.Requests);
        await fixture.AssertQuietAsync();
    }

    /// <summary>More than the hit path holds is handed out without a wait all the same, while it lies in memory; what does not is left to who may wait.</summary>
    [Fact]
    public async Task TryReadNext_LargeReadInMemory_HandsOutAllOfItButNothingThatIsNotThere()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(40 * MiB);
        fixture.Source.Put(CacheFixture.Index, bytes);
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        fixture.Source.BeforePiece = (_, position) => position == 0 ? Task.CompletedTask : gate.Task;
        await using (var cold = await fixture.OpenAsync(CacheFixture.Index))
        {
            Assert.False(cold.TryReadNext(out var nothing)); // no block is whole yet
            Assert.True(nothing.IsEmpty);
            gate.SetResult();
            Assert.Equal(bytes, await CacheFixture.DrainAsync(cold));
        }

        await fixture.Cache.IdleAsync();
        await using (var warm = await fixture.OpenAsync(CacheFixture.Index))
        {
            var got = new MemoryStream();
            while (warm.TryReadNext(out var piece))
            {
                got.Write(piece.Span);
            }

            Assert.Equal(bytes, got.ToArray());
        }

        await fixture.AssertQuietAsync();
    }

    /// <summary>What a read had brought is the backend's, also where it lies in memory by the time the read comes to it.</summary>
    [Theory]
    [InlineData(32)]
    [InlineData(2)]
    public async Task Get_Cold_CountsNoByteAsSaved(int window)
    {
        await using var fixture = new CacheFixture(options => options.Fills.MaxRangeBytes = window * MiB);
        var bytes = CacheFixture.Random((9 * MiB) + 77);
        fixture.Source.Put(CacheFixture.Log, bytes);
        Assert.Equal(CacheOutcome.Miss, (await fixture.GetAsync(CacheFixture.Log)).Outcome);
        await fixture.Cache.IdleAsync();
        var cold = fixture.Cache.Snapshot().Served;
        Assert.Equal((0, 0, bytes.Length), (cold.Memory, cold.Nvme, cold.Backend));

        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Log)).Outcome);
        var warm = fixture.Cache.Snapshot().Served;
        Assert.Equal((bytes.Length, 0, bytes.Length), (warm.Memory, warm.Nvme, warm.Backend));
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Get_PartOfItCached_CountsThatPartAsSaved()
    {
        await using var fixture = new CacheFixture(options => options.Fills.MaxRangeBytes = 2 * MiB);
        var bytes = CacheFixture.Random(9 * MiB);
        fixture.Source.Put(CacheFixture.Log, bytes);
        await fixture.GetAsync(CacheFixture.Log, new ReadRequest { Range = ByteRange.FromTo(4 * MiB, (5 * MiB) - 1) });
        await fixture.Cache.IdleAsync();
        Assert.Equal(CacheOutcome.Partial, (await fixture.GetAsync(CacheFixture.Log)).Outcome);
        await fixture.Cache.IdleAsync();
        var served = fixture.Cache.Snapshot().Served;
        Assert.Equal((MiB, 0, 9 * MiB), (served.Memory, served.Nvme, served.Backend));
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Get_LargerThanOneWindow_IsWhole()
    {
        await using var fixture = new CacheFixture(options => options.Fills.MaxRangeBytes = 2 * MiB);
        var bytes = CacheFixture.Random((9 * MiB) + 77);
        fixture.Source.Put(CacheFixture.Log, bytes);
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Log)).Bytes);
        await fixture.Cache.IdleAsync();
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Log)).Outcome);
        Assert.Equal(5, fixture.Source.Requests);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task HeadThenGet_IndexSlice_IsOneRequest()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random((4 * MiB) + 512);
        fixture.Source.Put(CacheFixture.Index, bytes);
        Assert.Equal(CacheOutcome.Miss, await fixture.HeadAsync(CacheFixture.Index));
        Assert.Equal(bytes, (await fixture.GetAsync(CacheFixture.Index)).Bytes);
        Assert.Equal(1, fixture.Source.Requests);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task HeadThenTail_Parquet_IsOneRequestOfAtMostTwiceTheTail()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random((9 * MiB) + 4711);
        fixture.Source.Put(CacheFixture.Log, bytes);
        await fixture.HeadAsync(CacheFixture.Log);
        var tail = await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(bytes.Length - 65536, bytes.Length - 1));
        Assert.Equal(bytes[^65536..], tail.Bytes);
        Assert.Equal(1, fixture.Source.Requests);
        Assert.InRange(fixture.Source.GivenBytes, 65536, 2 * 65536);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task SmallColdRange_FetchesLittle_SecondTouchOfTheBlockBringsIt()
    {
        await using var fixture = new CacheFixture();
        var bytes = CacheFixture.Random(48 * MiB);
        fixture.Source.Put(CacheFixture.Log, bytes);
        await fixture.HeadAsync(CacheFixture.Log);
        await fixture.Cache.IdleAsync();
        var before = fixture.Source.GivenBytes;
        var first = await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range((10 * MiB) + 1000, (10 * MiB) + 66_535));
        Assert.Equal(bytes[((10 * MiB) + 1000)..((10 * MiB) + 66_536)], first.Bytes);
        await fixture.Cache.IdleAsync();
        Assert.InRange(fixture.Source.GivenBytes - before, 65536, 2 * 65536);

        // The same again is a hit.
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range((10 * MiB) + 1000, (10 * MiB) + 66_535))).Outcome);

        // Another small piece of the block is its second touch.
        await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range((10 * MiB) + 500_000, (10 * MiB) + 500_009));
        await fixture.Cache.IdleAsync();
        Assert.Equal(CacheOutcome.HitMemory, (await fixture.GetAsync(CacheFixture.Log, CacheFixture.Range(10 * MiB, (11 * MiB) - 1))).Outcome);
        await fixture.AssertQuietAsync();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65535)]
    [InlineData(65537)]
    [InlineData(1048576)]
    [InlineData(1048577)]
    [InlineData(5 * 1048576 + 12345)]
    public async Task RandomRanges_AnySize_GiveTheRightBytes(int size)
    {
        await using var fixture = new CacheFixture(options => options.BlockSizeBytes = 256 << 10);
        var bytes = CacheFixture.Random(size);
        fixture.Source.Put(CacheFixture.Log, bytes);
        var random = new Random(size);
        for (var i = 0; i < 60; i++)
        {
            ByteRange? range = random.Next(5) switch
            {
                0 => null,
                1 => ByteRange.From(random.Next(size + 2)),
                2 => ByteRange.Suffix(random.Next(size + 2)),
                _ => ByteRange.FromTo(random.Next(size + 2), random.Next(size * 2 + 2)) is var r && r.Last < r.First ? ByteRange.FromTo(r.Last!.Value, r.First!.Value) : r,
            };
            var span = new ByteSpan(0, size);
            if (range is { } asked && !asked.TryResolve(size, out span))
            {
                var e = await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Log, new ReadRequest { Range = range }));
                Assert.Equal(S3ErrorCode.InvalidRange, e.Code);
                Assert.Contains(new("Content-Range", $"bytes */{size}"), e.Headers);
                continue;
            }

            var got = await fixture.GetAsync(CacheFixture.Log, new ReadRequest { Range = range });
            Assert.True(bytes.AsSpan((int)span.Offset, (int)span.Length).SequenceEqual(got.Bytes), $"{i}: {range}");
        }

        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task Miss_NoSuchKey_IsTheBackendsWordAndNeverRemembered()
    {
        await using var fixture = new CacheFixture();
        Assert.Equal(S3ErrorCode.NoSuchKey, (await Assert.ThrowsAsync<S3Exception>(() => fixture.GetAsync(CacheFixture.Index))).Code);
        Assert.Equal(S3ErrorCode.NoSuchKey, (await Assert.ThrowsAsync<S3Exception>(() => fixture.HeadAsync(CacheFixture.Index))).Code);
        fixture.Source.Put(CacheFixture.Index, [1, 2, 3]);
        Assert.Equal([1, 2, 3], (await fixture.GetAsync(CacheFixture.Index)).Bytes);
    }

    [Fact]
    public async Task Bypass_Wal_AsksEveryTimeAndKeepsNothing()
    {
        await using var fixture = new CacheFixture();
        var id = new ObjectId("a-bucket", "files/wp/1/2/3.blk");
        fixture.Source.Put(id, CacheFixture.Random(3 * MiB));
        Assert.True(fixture.Cache.IsBypassed(id.Bucket, id.Key));
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(CacheOutcome.Bypass, (await fixture.GetAsync(id)).Outcome);
            Assert.Equal(CacheOutcome.Bypass, await fixture.HeadAsync(id));
        }

        Assert.Equal(4, fixture.Source.Requests);
        Assert.Equal(0, fixture.Cache.TierSnapshot().Memory.Blocks);
        await fixture.AssertQuietAsync();
    }

    [Fact]
    public async Task MemoryHit_TryOpenAndRead_AllocatesNothing()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random((4 * MiB) + 512));
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.Cache.IdleAsync();
        var request = CacheFixture.Range(MiB - 5, (3 * MiB) + 4);
        for (var i = 0; i < 1000; i++)
        {
            Hit();
        }

        Assert.Equal(0, Allocations.Least(100, Hit));

        void Hit()
        {
            Assert.True(fixture.Cache.TryOpen("a-bucket", CacheFixture.Index.Key.AsSpan(), request, out var read));
            long sum = 0;
            while (true)
            {
                var piece = Next(read!);
                if (piece.IsEmpty)
                {
                    break;
                }

                sum += piece.Length;
            }

            Assert.True(sum == (2 * MiB) + 10);
            var closed = read!.DisposeAsync().AsTask();
            Assert.True(closed.IsCompletedSuccessfully);
            closed.GetAwaiter().GetResult();
        }

        // Not awaited on purpose: a memory hit has to be complete at once.
        [System.Diagnostics.CodeAnalysis.SuppressMessage("Reliability", "CA2012", Justification = "Consumed once, when seen to be complete.")]
        static ReadOnlyMemory<byte> Next(ObjectRead read)
        {
            var next = read.ReadNextAsync(default);
            Assert.True(next.IsCompletedSuccessfully);
            return next.GetAwaiter().GetResult();
        }
    }

    [Fact]
    public async Task Counters_EveryRead_AddUp()
    {
        await using var fixture = new CacheFixture();
        fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(MiB));
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.GetAsync(CacheFixture.Index);
        await fixture.HeadAsync(CacheFixture.Index);
        var snapshot = fixture.Cache.Snapshot();
        Assert.Equal(3, snapshot.Reads.Sum(read => read.Requests));
        Assert.All(snapshot.Reads, read => Assert.Equal(MilvusKind.Index, read.Kind));
        Assert.Equal(2 * MiB, snapshot.Reads.Sum(read => read.Bytes));
        Assert.Equal(2 * MiB, snapshot.Served.Memory + snapshot.Served.Nvme + snapshot.Served.Backend);
        Assert.Equal(1, snapshot.Misses.Unknown);
    }
}
