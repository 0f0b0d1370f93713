using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache;
using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;
using Proxy.UnitTests.Tiers;

namespace Proxy.UnitTests.Cache;

/// <summary>A block turns out bad when its response's head and first bytes have left: the rest comes from the backend, of the same version, or not at all.</summary>
public sealed class SalvageTests : IAsyncLifetime
{
    private const int MiB = CacheFixture.MiB;
    private const int Blocks = 12;
    private static readonly byte[] Bytes = CacheFixture.Random((Blocks * MiB) - 4711);
    private readonly TestDirectory _directory = new();
    private TierStack _tiers = null!;
    private NvmeDevice _device = null!;
    private CacheFixture _fixture = null!;
    private string _etag = "";

    public async ValueTask InitializeAsync()
    {
        _tiers = TierStack.Open(
            new TierOptions { MemoryCapacityBytes = 64 * MiB, NvmeDirectories = [_directory.Path], NvmeCapacityBytes = 256 * MiB, FreeSpaceReserveBytes = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        _device = (NvmeDevice)_tiers.Nvme!;
        _device.ProbeInterval = TimeSpan.FromMilliseconds(50);
        await _device.Opened;
        _fixture = new CacheFixture(options => options.Memory.CapacityBytes = 64 * MiB, tiers: _tiers);
        _etag = _fixture.Source.Put(CacheFixture.Index, Bytes).ETag;
        await _fixture.GetAsync(CacheFixture.Index);
        await _fixture.Cache.IdleAsync();
        while (_tiers.Snapshot().Nvme[0].QueueBytes > 0)
        {
            await Task.Delay(2);
        }

        ForgetMemory();
    }

    public async ValueTask DisposeAsync()
    {
        _device.Faults = null;
        await _fixture.DisposeAsync();
        _directory.Dispose();
    }

    [Theory]
    [InlineData("flipped bits", null)]
    [InlineData("flipped bits", 5)]
    [InlineData("cut short", null)]
    [InlineData("read error", null)]
    [InlineData("one sector", Blocks - 1)]
    [InlineData("hanging reads", null)]
    [InlineData("evicted", null)]
    [InlineData("evicted", 7)]
    public async Task BlockFoundBad_AfterTheHeadLeft_TheBackendGivesTheRest(string fault, int? only)
    {
        using var gate = new ManualResetEventSlim();
        var expected = Bytes[1000..^1000];
        await using (var read = await _fixture.OpenAsync(CacheFixture.Index, CacheFixture.Range(1000, Bytes.Length - 1001)))
        {
            Assert.Equal(CacheOutcome.HitNvme, read.Outcome);
            var asked = _fixture.Source.Requests;
            var first = await read.ReadNextAsync(default);
            Assert.True(first.Span.SequenceEqual(expected.AsSpan(0, first.Length)));
            var at = first.Length;

            // From block 5 on: what is read ahead by now may be right.
            Break(fault, only is { } one ? [one] : [.. Enumerable.Range(5, Blocks - 5)], gate);
            try
            {
                while (await NextAsync(read) is { Length: > 0 } piece)
                {
                    Assert.True(piece.Span.SequenceEqual(expected.AsSpan(at, piece.Length)), $"wrong bytes from {at}");
                    at += piece.Length;
                }
            }
            finally
            {
                gate.Set();
            }

            Assert.Equal(expected.Length, at);
            var salvage = _fixture.Source.Log.Skip(asked).ToList();
            Assert.NotEmpty(salvage);
            Assert.All(salvage, request => Assert.Equal(_etag, request.IfMatch));
        }

        Assert.Equal(fault is "flipped bits" or "cut short", _tiers.Snapshot().Nvme[0].Corrupt > 0);

        // And the next reader has it from wherever it is now.
        _device.Faults = null;
        Assert.Equal(Bytes, (await _fixture.GetAsync(CacheFixture.Index)).Bytes);
        await AssertQuietAsync();
    }

    /// <summary>The version that was begun is gone from the backend: bytes of the next one must not follow those of the last.</summary>
    [Fact]
    public async Task BlockFoundBad_AndTheVersionHasChanged_TheReadBreaksOff()
    {
        using var gate = new ManualResetEventSlim();
        await using (var read = await _fixture.OpenAsync(CacheFixture.Index))
        {
            var at = (await read.ReadNextAsync(default)).Length;
            Break("flipped bits", [.. Enumerable.Range(5, Blocks - 5)], gate);
            _fixture.Source.Put(CacheFixture.Index, CacheFixture.Random(Bytes.Length, 2));
            await Assert.ThrowsAsync<IOException>(async () =>
            {
                while (await read.ReadNextAsync(default) is { Length: > 0 } piece)
                {
                    Assert.True(piece.Span.SequenceEqual(Bytes.AsSpan(at, piece.Length)), $"wrong bytes from {at}");
                    at += piece.Length;
                }
            });
            Assert.InRange(at, MiB, 6 * MiB);
        }

        await AssertQuietAsync();
    }

    /// <summary>The block is there and in order, but all memory is lent out: nothing to read it into, and nothing that ends by being tried again.</summary>
    [Fact]
    public async Task NoMemoryForABlock_AfterTheHeadLeft_TheBackendGivesTheRest()
    {
        var lent = new List<Block>();
        try
        {
            await using var read = await _fixture.OpenAsync(CacheFixture.Index);
            var asked = _fixture.Source.Requests;
            while (_tiers.TryRent(MiB, out var block) || _tiers.TryRent(64 << 10, out block) || _tiers.TryRent(4 << 10, out block))
            {
                lent.Add(block);
            }

            var at = 0;
            while (await NextAsync(read) is { Length: > 0 } piece)
            {
                Assert.True(piece.Span.SequenceEqual(Bytes.AsSpan(at, piece.Length)), $"wrong bytes from {at}");
                at += piece.Length;
            }

            Assert.Equal(Bytes.Length, at);
            Assert.Equal([_etag], _fixture.Source.Log.Skip(asked).Select(request => request.IfMatch));
        }
        finally
        {
            lent.ForEach(block => block.Release());
        }

        Assert.Equal(CacheOutcome.HitNvme, (await _fixture.GetAsync(CacheFixture.Index)).Outcome);
        await AssertQuietAsync();
    }

    /// <summary>Up to four blocks are read before there is an answer; the bytes are those of the range, counted where they were.</summary>
    [Theory]
    [InlineData(0, 1, true)]
    [InlineData(MiB - 1, 2, true)]
    [InlineData((3 * MiB) + 5, 65_536, true)]
    [InlineData(2 * MiB, 4 * MiB, true)]
    [InlineData((2 * MiB) + 1, 4 * MiB, false)]
    [InlineData((Blocks * MiB) - 4711 - 10, 100, true)]
    public async Task SmallRange_IsReadBeforeItIsAnswered(int first, int length, bool isBrought)
    {
        var asked = _fixture.Source.Requests;
        var request = CacheFixture.Range(first, first + length - 1);
        Assert.Equal(isBrought, _fixture.Cache.TryBring(CacheFixture.Index.Bucket, CacheFixture.Index.Key, request, _fixture.Source, out var opening));
        if (isBrought)
        {
            var before = _fixture.Cache.Snapshot().Served.Nvme;
            await using (var read = await opening)
            {
                Assert.Equal(CacheOutcome.HitNvme, read!.Outcome);
                var bytes = await CacheFixture.DrainAsync(read);
                Assert.True(Bytes.AsSpan(first, Math.Min(length, Bytes.Length - first)).SequenceEqual(bytes));
            }

            Assert.Equal(Math.Min(length, Bytes.Length - first), _fixture.Cache.Snapshot().Served.Nvme - before);
        }

        Assert.Equal(asked, _fixture.Source.Requests);
        await AssertQuietAsync();
    }

    /// <summary>Nothing has left yet: it is as if nobody had looked, and the backend is asked.</summary>
    [Theory]
    [InlineData("flipped bits")]
    [InlineData("cut short")]
    [InlineData("read error")]
    [InlineData("hanging reads")]
    public async Task SmallRange_BlockFoundBad_IsTheBackends(string fault)
    {
        using var gate = new ManualResetEventSlim();
        var request = CacheFixture.Range((6 * MiB) - 100, (6 * MiB) + 699_999);
        var (asked, before) = (_fixture.Source.Requests, _fixture.Cache.Snapshot());
        try
        {
            Break(fault, [6], gate);
            Assert.True(_fixture.Cache.TryBring(CacheFixture.Index.Bucket, CacheFixture.Index.Key, request, _fixture.Source, out var opening));
            Assert.Null(await opening);
            var after = _fixture.Cache.Snapshot();
            Assert.Equal((before.OpenReads, before.Served, asked), (after.OpenReads, after.Served, _fixture.Source.Requests));
            Assert.Equal(before.Reads, after.Reads);
            await using var read = await _fixture.OpenAsync(CacheFixture.Index, request);
            var bytes = await Task.Run(() => CacheFixture.DrainAsync(read)).WaitAsync(TimeSpan.FromSeconds(30));
            Assert.True(Bytes.AsSpan((6 * MiB) - 100, 700_100).SequenceEqual(bytes));
            Assert.All(_fixture.Source.Log.Skip(asked).Where(one => one.IfMatch is not null), one => Assert.Equal(_etag, one.IfMatch));
            Assert.True(_fixture.Source.Requests > asked);
        }
        finally
        {
            gate.Set();
        }

        await AssertQuietAsync();
    }

    /// <summary>All memory is lent out: nothing to read it into.</summary>
    [Fact]
    public async Task SmallRange_NoMemoryForIt_IsNotBrought()
    {
        var lent = new List<Block>();
        while (_tiers.TryRent(MiB, out var block) || _tiers.TryRent(64 << 10, out block) || _tiers.TryRent(4 << 10, out block))
        {
            lent.Add(block);
        }

        var request = CacheFixture.Range(5 * MiB, (5 * MiB) + 65_535);
        Assert.True(_fixture.Cache.TryBring(CacheFixture.Index.Bucket, CacheFixture.Index.Key, request, _fixture.Source, out var opening));
        Assert.Null(await opening);
        lent.ForEach(block => block.Release());
        Assert.Equal(CacheOutcome.HitNvme, (await _fixture.GetAsync(CacheFixture.Index, request)).Outcome);
        await AssertQuietAsync();
    }

    /// <summary>Elsewhere, since a read that turns in circles never gives its thread back.</summary>
    private static Task<ReadOnlyMemory<byte>> NextAsync(ObjectRead read)
        => Task.Run(async () => await read.ReadNextAsync(default)).WaitAsync(TimeSpan.FromSeconds(30));

    /// <summary>A read that was under way, ahead of the client or hanging, gives its memory back when the device at last answers.</summary>
    private async Task AssertQuietAsync()
    {
        for (var looks = 0; looks < 1000 && _tiers.Snapshot().Memory is var memory && memory.UsedBytes != memory.CachedBytes; looks++)
        {
            await Task.Delay(5);
        }

        await _fixture.AssertQuietAsync();
    }

    private BlockId Id(int number) => new(ContentIds.OfObject(CacheFixture.Index.Bucket, CacheFixture.Index.Key, _etag, Bytes.Length, MiB), number);

    private void ForgetMemory()
    {
        for (var number = 0; number < Blocks; number++)
        {
            _tiers.Memory.Remove(Id(number));
            Assert.True(_tiers.Contains(Id(number), out var tier) && tier == Tier.Nvme, $"Block {number} is not on the disk.");
        }
    }

    private void Break(string fault, int[] blocks, ManualResetEventSlim gate)
    {
        var path = _directory.File("data");
        switch (fault)
        {
            case "flipped bits":
                using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
                {
                    foreach (var number in blocks)
                    {
                        Assert.True(_device.Store!.Index.TryGet(Id(number), touch: false, out var location));
                        var geometry = _device.Store.Ring.Geometry;
                        var at = file.Position = geometry.FileOffsetOf(new RecordPlace(geometry, location.Address, location.Length).ChunkAddress(40)) + 5000;
                        var value = file.ReadByte();
                        file.Position = at;
                        file.WriteByte((byte)(value ^ 4));
                    }
                }

                break;
            case "cut short":
                using (var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
                {
                    file.SetLength(0);
                }

                break;
            case "read error":
                _device.Faults = static (operation, _) => throw new IOException($"Input/output error on {operation}");
                break;
            case "one sector":
                // Of a block that two threads share: the other half is always read well, so the device as a whole never looks bad.
                Assert.True(_device.Store!.Index.TryGet(Id(blocks[0]), touch: false, out var place));
                var ring = _device.Store.Ring.Geometry;
                var record = new RecordPlace(ring, place.Address, place.Length);
                var (from, until) = (ring.FileOffsetOf(record.ChunkAddress(0)) - (2 * DataFile.Alignment), ring.FileOffsetOf(record.ChunkAddress(16)));
                _device.Faults = (operation, offset) =>
                {
                    if (operation == DiskOperation.Read && offset >= from && offset < until)
                    {
                        throw new IOException("Input/output error", 5);
                    }
                };
                break;
            case "hanging reads":
                _device.HungRead = TimeSpan.FromMilliseconds(100); // here alone: on a busy machine an honest read takes as long
                _device.Faults = (operation, _) => gate.Wait();
                break;
            case "evicted":
                Array.ForEach(blocks, number => _tiers.Remove(Id(number)));
                break;
        }
    }
}
