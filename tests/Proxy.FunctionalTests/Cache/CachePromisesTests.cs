using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.Cache;
using Proxy.FunctionalTests.Faults;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Cache;

/// <summary>The cache's promises (design §6), each under every way in which a backend misbehaves: a cache over a remote backend over HTTP.</summary>
/// <remarks>
/// Those of the whole proxy: 2 is in <see cref="Durability.AcknowledgedPutTests"/>, <see cref="Durability.LocalStoreKillTests"/> and <see cref="Durability.FlushTests"/>, 4 in
/// <see cref="KillUnderReadTests"/>, 5 in <see cref="MemoryCeilingTests"/> and <see cref="BackendConcurrencyTests"/>, 7 in <see cref="UnsignedReadTests"/> and <see cref="Operations.AuthorizationTests"/>.
/// </remarks>
public sealed class CachePromisesTests : IAsyncLifetime
{
    private static readonly ObjectId Index = new("data", "files/index_files/1/1/1/1/HNSW_0");
    private static readonly ObjectId Unknown = new("data", "some/key");
    private static readonly byte[] Old = Make(1, 2_500_000);
    private static readonly byte[] New = Make(2, 2_300_000);

    private static readonly Dictionary<string, Fault> Faults = new(StringComparer.Ordinal)
    {
        ["latency"] = new() { Latency = TimeSpan.FromMilliseconds(50) },
        ["stall mid-body"] = new() { StallAfterBytes = 700_000 },
        ["reset"] = new() { ResetBeforeDoing = true },
        ["short body"] = new() { ResetAfterBytes = 1_300_001 },
        ["empty body"] = new() { ResetAfterBytes = 0 },
        ["wrong ETag"] = new() { ETag = "\"00000000000000000000000000000000\"" },
        ["no ETag"] = new() { ETag = "" },
        ["wrong Content-Range"] = new() { WrongContentRange = true },
        ["range ignored"] = new() { IgnoreRange = true },
        ["no Content-Length"] = new() { Chunked = true },
        ["200 with Error"] = new() { ErrorUnder200 = true },
        ["403"] = new() { Status = 403 },
        ["404"] = new() { Status = 404 },
        ["412"] = new() { Status = 412 },
        ["429"] = new() { Status = 429 },
        ["500"] = new() { Status = 500 },
        ["503"] = new() { Status = 503 },
    };

    private FaultyBackend _faulty = null!;
    private RemoteBackend _backend = null!;
    private ObjectCache _cache = null!;

    public static TheoryData<string, bool> Cases() => CasesOf(Faults.Keys);

    /// <summary>Of the faults that a HEAD has: no other touches it.</summary>
    public static TheoryData<string, bool> HeadCases() => CasesOf(["reset", "wrong ETag", "no ETag", "no Content-Length", "200 with Error", "403", "404", "412", "429", "500", "503"]);

    public async ValueTask InitializeAsync()
    {
        _faulty = await FaultyBackend.StartAsync(0, "data");
        _backend = new RemoteBackend(
            "test",
            new RemoteOptions
            {
                Endpoints = [_faulty.Url],
                AccessKey = "key",
                SecretKey = "secret",
                RetryDelay = TimeSpan.FromMilliseconds(1),
                StallTimeout = TimeSpan.FromMilliseconds(250),
                ResponseTimeout = TimeSpan.FromSeconds(3),
                ReadAttempts = 1,
                Health = new BackendHealthOptions { FailuresToOpen = 1000, MaxWait = TimeSpan.FromSeconds(1) },
            },
            TimeProvider.System,
            NullLoggerFactory.Instance);
        _cache = ObjectCache.Open(
            new CacheOptions { Memory = { CapacityBytes = 64 << 20 }, RevalidateTtl = TimeSpan.Zero, Fills = { MaxAttempts = 2, SiblingSlices = 0 } }, TimeProvider.System, NullLoggerFactory.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await _cache.DisposeAsync();
        await _backend.DisposeAsync();
        await _faulty.DisposeAsync();
    }

    /// <summary>Promise 1.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task NeverAWrongByte_WhileEveryReadFails_AndAfterwards(string fault, bool immutable)
    {
        var id = immutable ? Index : Unknown;
        _faulty.Store.TryPut(id.Bucket, id.Key, FaultyObject.Of(Old));
        _faulty.Break("GetObject", Faults[fault]);
        foreach (var range in new ByteRange?[] { null, ByteRange.FromTo(100_000, 1_900_000), ByteRange.Suffix(65_536), ByteRange.FromTo(1_048_570, 1_048_580) })
        {
            await ReadAsync(id, range, Old);
        }

        _faulty.Heal();
        Assert.True(await ReadAsync(id, null, Old), "It is not served once the backend is well again.");
        Assert.True(await ReadAsync(id, ByteRange.FromTo(5, 2_000_000), Old));
        await AssertQuietAsync();
    }

    /// <summary>Promise 1, when every second answer is right.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task NeverAWrongByte_WhileReadsFailNowAndThen(string fault, bool immutable)
    {
        var id = immutable ? Index : Unknown;
        _faulty.Store.TryPut(id.Bucket, id.Key, FaultyObject.Of(Old));
        for (var flap = 0; flap < 3; flap++)
        {
            _faulty.Break("GetObject", Faults[fault], times: 1);
            _faulty.Break("HeadObject", Bodiless(fault), times: 1);
            await Task.WhenAll(Enumerable.Range(0, 4).Select(i => ReadAsync(id, i % 2 == 0 ? null : ByteRange.FromTo(i * 300_000, 2_000_000), Old)));
            _cache.Purge("data/");
        }

        _faulty.Heal();
        Assert.True(await ReadAsync(id, null, Old));
        await AssertQuietAsync();
    }

    /// <summary>Promise 3.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task ReadYourWrites_AfterAnAcknowledgedWrite_NeverTheOldVersion(string fault, bool immutable)
    {
        var id = immutable ? Index : Unknown;
        _faulty.Store.TryPut(id.Bucket, id.Key, FaultyObject.Of(Old));
        Assert.True(await ReadAsync(id, null, Old));
        _faulty.Break("GetObject", Faults[fault]);
        _faulty.Break("HeadObject", Bodiless(fault));
        foreach (var captured in new[] { false, true })
        {
            using (var mutation = _cache.BeginMutation(id))
            using (var capture = captured ? _cache.TryBeginCapture(id, New.Length) : null)
            {
                capture?.Append(New);
                var stored = FaultyObject.Of(New);
                _faulty.Store.TryPut(id.Bucket, id.Key, stored);
                mutation.Stored(stored.ETag, capture, null, _backend.Source);
            }

            await ReadAsync(id, null, New);
            await ReadAsync(id, ByteRange.FromTo(10, 1_500_000), New);
        }

        _faulty.Heal();
        Assert.True(await ReadAsync(id, null, New));
        await AssertQuietAsync();
    }

    /// <summary>Promise 3, when nobody knows whether the write was done.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task ReadYourWrites_AfterAnUnknownOutcome_EveryReadAsksTheBackend(string fault, bool immutable)
    {
        var id = immutable ? Index : Unknown;
        _faulty.Store.TryPut(id.Bucket, id.Key, FaultyObject.Of(Old));
        Assert.True(await ReadAsync(id, null, Old));
        using (_cache.BeginMutation(id))
        {
            // Disposed without an outcome: the answer was lost.
        }

        Assert.True(await ReadAsync(id, null, Old));
        _faulty.Break("GetObject", Faults[fault], times: 1);

        // And now it lands, late.
        _faulty.Store.TryPut(id.Bucket, id.Key, FaultyObject.Of(New));
        await ReadAsync(id, null, New);
        _faulty.Heal();
        Assert.True(await ReadAsync(id, null, New));
        await AssertQuietAsync();
    }

    /// <summary>Promise 6.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task WarmReadOfAnImmutableKey_WhateverTheBackendDoes_AsksItNothing(string fault, bool whole)
    {
        _faulty.Store.TryPut(Index.Bucket, Index.Key, FaultyObject.Of(Old));
        Assert.True(await ReadAsync(Index, null, Old));
        await _cache.IdleAsync();
        _faulty.Break("*", Faults[fault]);
        var before = _faulty.Requests.Count;
        Assert.True(await ReadAsync(Index, whole ? null : ByteRange.FromTo(70_000, 2_222_222), Old));
        Assert.Equal(before, _faulty.Requests.Count);
    }

    /// <summary>Design §5, coherence: only the backend's own 404 removes. No failure is an answer.</summary>
    [Theory]
    [MemberData(nameof(HeadCases))]
    public async Task Revalidation_ThatFails_RemovesNothingButFor404(string fault, bool viaRange)
    {
        _faulty.Store.TryPut(Unknown.Bucket, Unknown.Key, FaultyObject.Of(Old));
        Assert.True(await ReadAsync(Unknown, null, Old));
        await _cache.IdleAsync();
        var (gets, heads) = (_faulty.Count("GetObject"), _faulty.Count("HeadObject"));
        _faulty.Break("HeadObject", Bodiless(fault));
        var answered = await ReadAsync(Unknown, viaRange ? ByteRange.FromTo(0, 99_999) : null, Old);
        Assert.True(_faulty.Count("HeadObject") > heads, "The backend was not asked.");
        if (fault == "wrong ETag")
        {
            // No failure but another version: its GET is refused, and the next one tells what there is.
            Assert.True(answered);
            Assert.True(_faulty.Count("GetObject") > gets, "The bytes of one version were served as another's.");
            return;
        }

        Assert.False(answered, "Nobody said that it still stands.");
        Assert.Equal(fault != "404", _cache.Explain(Unknown).Known);
        _faulty.Heal();
        Assert.True(await ReadAsync(Unknown, null, Old));
        Assert.Equal(fault == "404", _faulty.Count("GetObject") > gets);
    }

    /// <summary>Promise 8.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Counters_UnderFailingReads_AddUp(string fault, bool immutable)
    {
        var id = immutable ? Index : Unknown;
        _faulty.Store.TryPut(id.Bucket, id.Key, FaultyObject.Of(Old));
        var outcomes = new List<CacheOutcome>();
        for (var i = 0; i < 6; i++)
        {
            if (i % 2 == 0)
            {
                _faulty.Break("GetObject", Faults[fault], times: 1);
            }

            await ReadAsync(id, i % 3 == 0 ? null : ByteRange.FromTo(i * 200_000, (i * 200_000) + 300_000), Old, outcomes);
        }

        await AssertQuietAsync();
        var snapshot = _cache.Snapshot();
        Assert.Equal(outcomes.GroupBy(o => o).ToDictionary(g => g.Key, g => (long)g.Count()), snapshot.Reads.GroupBy(r => r.Outcome).ToDictionary(g => g.Key, g => g.Sum(r => r.Requests)));
        Assert.Equal(outcomes.Count(o => o is CacheOutcome.Miss or CacheOutcome.Partial), snapshot.Misses.Unknown + snapshot.Misses.Expired + snapshot.Misses.Evicted);
    }

    /// <returns>Whether every byte came. A refusal or a break is honest; other bytes, or the bytes of another version, never are.</returns>
    private async Task<bool> ReadAsync(ObjectId id, ByteRange? range, byte[] expected, List<CacheOutcome>? outcomes = null)
    {
        try
        {
            var request = new ReadRequest { Range = range };
            await using var read = _cache.TryOpen(id.Bucket, id.Key, request, out var hit) ? hit! : await _cache.OpenAsync(id, request, _backend.Source, default);
            outcomes?.Add(read.Outcome);
            Assert.Equal(expected.Length, read.Info.Size);
            var at = read.Span.Offset;
            while (await read.ReadNextAsync(default) is { Length: > 0 } piece)
            {
                Assert.True(expected.AsSpan((int)at, piece.Length).SequenceEqual(piece.Span), $"wrong bytes from {at}");
                at += piece.Length;
            }

            Assert.Equal(read.Span.End, at);
            return true;
        }
        catch (Exception e) when (e is S3Exception or IOException)
        {
            return false;
        }
    }

    private async Task AssertQuietAsync()
    {
        await _cache.IdleAsync();
        var snapshot = _cache.Snapshot();
        Assert.Equal((0, 0, 0), (snapshot.OpenReads, snapshot.Fills.BytesInFlight, snapshot.Captures.BytesHeld));
        var memory = _cache.TierSnapshot().Memory;
        Assert.Equal(memory.CachedBytes, memory.UsedBytes);
    }

    private static TheoryData<string, bool> CasesOf(IEnumerable<string> names)
    {
        var data = new TheoryData<string, bool>();
        foreach (var name in names)
        {
            data.Add(name, true);
            data.Add(name, false);
        }

        return data;
    }

    /// <summary>What is left of a fault where there is no body to stop within.</summary>
    private static Fault Bodiless(string fault) => Faults[fault] with { ResetAfterBytes = null, StallAfterBytes = null };

    private static byte[] Make(int seed, int length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
