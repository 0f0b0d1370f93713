using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Cache;
using Proxy.Cache.Captures;
using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.UnitTests.Tiers;

namespace Proxy.UnitTests.Cache;

/// <summary>Many tasks read, write and delete a few keys; every answer must be exactly one version that was current at some moment of its request.</summary>
/// <remarks>
/// Seeded by PROXY_ORACLE_SEED (1), runs PROXY_ORACLE_SECONDS (8), and on until PROXY_ORACLE_OPERATIONS (0) are done: the full form is 1,000,000. The backend is
/// gated by random yields, cuts bodies and fails at random. In the second form memory holds a fraction of the objects, the disk fails and flips bits under the
/// store, and uploads are larger than what captures may hold, so that all of them go to the tiers early.
/// </remarks>
public sealed class OracleTests(ITestOutputHelper output)
{
    private const int Tasks = 12;
    private const int TinyMemory = 8 << 20;
    private const int TinyCaptures = 256 << 10;
    private static readonly int Seed = int.Parse(Environment.GetEnvironmentVariable("PROXY_ORACLE_SEED") ?? "1");
    private static readonly double Seconds = double.Parse(Environment.GetEnvironmentVariable("PROXY_ORACLE_SECONDS") ?? "8");
    private static readonly long Operations = long.Parse(Environment.GetEnvironmentVariable("PROXY_ORACLE_OPERATIONS") ?? "0");

    [Fact]
    public async Task Cache_AnyInterleaving_AnswersWithAVersionOfItsWindow()
    {
        await using var fixture = new CacheFixture(options => Configure(options, 16 << 20));
        await RunAsync(fixture, keyCount: 8, () => 0);
        Assert.True(fixture.Cache.Snapshot().Reads.Where(read => read.Outcome is CacheOutcome.HitMemory).Sum(read => read.Requests) > 100, "Nothing was ever a hit.");
    }

    [Theory]
    [InlineData(NvmeEngine.Faster)]
    [InlineData(NvmeEngine.Plain)]
    public async Task Cache_TinyTiersABadDiskAndCapturesThatGoEarly_AnswersWithAVersionOfItsWindow(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        var tiers = TierStack.Open(
            new TierOptions
            {
                MemoryCapacityBytes = TinyMemory,
                NvmeDirectories = [directory.Path],
                NvmeCapacityBytes = 64 << 20,
                NvmeEngine = engine,
                FreeSpaceReserveBytes = 0,
                MaxBlockBytes = 64 << 10,
            },
            TimeProvider.System,
            NullLoggerFactory.Instance);
        var device = (NvmeDevice)tiers.Nvme!;
        device.ProbeInterval = TimeSpan.FromMilliseconds(20);
        await device.Opened;
        var faults = new ThreadLocal<Random>(() => new Random(Seed ^ Environment.CurrentManagedThreadId));
        device.Faults = (_, _) =>
        {
            if (faults.Value!.Next(2000) == 0)
            {
                throw new IOException("Input/output error");
            }
        };
        await using var fixture = new CacheFixture(
            options =>
            {
                Configure(options, TinyMemory);
                options.Captures.MaxBytes = TinyCaptures;
            },
            tiers: tiers);
        long mostHeld = 0;
        using var over = new CancellationTokenSource();
        var flipping = Task.Run(async () =>
        {
            var random = new Random(Seed);
            while (!over.IsCancellationRequested)
            {
                mostHeld = Math.Max(mostHeld, fixture.Cache.Snapshot().Captures.BytesHeld);
                FlipABit(Path.Combine(directory.Path, "data"), random);
                await Task.Delay(10);
            }
        });
        await RunAsync(fixture, keyCount: 100, () => tiers.Snapshot().Nvme[0].QueueBytes);
        await over.CancelAsync();
        await flipping;
        var (snapshot, nvme) = (fixture.Cache.Snapshot(), tiers.Snapshot().Nvme[0]);
        output.WriteLine($"captures {snapshot.Captures}, at most {mostHeld} held; first reads: {snapshot.FirstReadAfterWriteHits} hits, {snapshot.FirstReadAfterWriteMisses} misses; {nvme}");
        Assert.InRange(mostHeld, 1, 2 * TinyCaptures);
        Assert.True(snapshot.Captures.Kept > 100 && snapshot.FirstReadAfterWriteHits > 20, "Hardly an upload was kept.");
        Assert.True(snapshot.Reads.Where(read => read.Outcome is CacheOutcome.HitNvme).Sum(read => read.Requests) > 100, "Nothing was ever read from the disk.");
    }

    private static void Configure(CacheOptions options, long memory)
    {
        options.BlockSizeBytes = 64 << 10;
        options.Memory.CapacityBytes = memory;
        options.Fills.MaxRangeBytes = 1 << 20;
        options.Fills.WholeObjectBytes = 256 << 10;
        options.RevalidateTtl = TimeSpan.Zero;
        options.UnknownOutcomeWindow = TimeSpan.FromMilliseconds(200);
    }

    private static void FlipABit(string path, Random random)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            var at = file.Position = random.NextInt64(file.Length + 1);
            if (file.ReadByte() is >= 0 and var value)
            {
                file.Position = at;
                file.WriteByte((byte)(value ^ (1 << random.Next(8))));
            }
        }
        catch (IOException)
        {
            // The store is making it anew.
        }
    }

    private async Task RunAsync(CacheFixture fixture, int keyCount, Func<long> queued)
    {
        var faults = new ThreadLocal<Random>(() => new Random(Seed ^ Environment.CurrentManagedThreadId));
        fixture.Source.PieceBytes = 24 << 10;
        fixture.Source.BeforeAnswer = async (_, _) =>
        {
            if (faults.Value!.Next(40) == 0)
            {
                throw new S3Exception(S3ErrorCode.SlowDown);
            }

            await YieldAsync(faults.Value!.Next(4));
        };
        fixture.Source.BeforeHeaders = _ => YieldAsync(faults.Value!.Next(6));
        fixture.Source.BeforePiece = (_, _) => faults.Value!.Next(200) == 0 ? throw new IOException("reset") : YieldAsync(faults.Value!.Next(2));
        var keys = Enumerable.Range(0, keyCount).Select(i => new OracleKey(new ObjectId("b", i % 2 == 0 ? $"files/index_files/{i}/1/2/3/x" : $"any/{i}"))).ToArray();
        foreach (var key in keys)
        {
            key.Begin(0, deleted: false);
            fixture.Source.Put(key.Id, key.Bytes(0), ETag(0));
            key.End(0);
        }

        var clock = Stopwatch.StartNew();
        long done = 0, reads = 0, writes = 0, broken = 0;
        await Task.WhenAll(Enumerable.Range(0, Tasks).Select(task => Task.Run(async () =>
        {
            var random = new Random((Seed * 1000) + task);
            while (clock.Elapsed.TotalSeconds < Seconds || Interlocked.Read(ref done) < Operations)
            {
                var key = keys[random.Next(keyCount)];
                Interlocked.Increment(ref done);
                if (random.Next(10) == 0)
                {
                    await WriteAsync(fixture, key, random);
                    Interlocked.Increment(ref writes);
                }
                else if (await ReadAsync(fixture, key, random))
                {
                    Interlocked.Increment(ref reads);
                }
                else
                {
                    Interlocked.Increment(ref broken);
                }
            }
        })));
        fixture.Source.BeforeAnswer = null;
        fixture.Source.BeforePiece = null;
        await fixture.Cache.IdleAsync();
        for (var waited = 0; queued() > 0 && waited < 2000; waited++)
        {
            await Task.Delay(5);
        }

        await fixture.AssertQuietAsync();
        var snapshot = fixture.Cache.Snapshot();
        output.WriteLine($"seed {Seed}: {done} operations in {clock.Elapsed.TotalSeconds:F0} s: {reads} reads, {broken} broken off, {writes} writes, {snapshot.Fills}, {string.Join(" ", snapshot.Reads.Select(r => $"{r.Outcome}/{r.Kind}={r.Requests}"))}");
        Assert.True(reads > 1000 && writes > 100, "The run was too small to mean anything.");
    }

    /// <returns>False when the read was refused or broke off, which is always allowed.</returns>
    private static async Task<bool> ReadAsync(CacheFixture fixture, OracleKey key, Random random)
    {
        var window = key.Open();
        try
        {
            var head = random.Next(4) == 0;
            ByteRange? range = random.Next(2) == 0 ? null : ByteRange.FromTo(random.Next(300_000), random.Next(300_000, 700_000));
            await using var read = await fixture.OpenAsync(key.Id, new ReadRequest { HeadOnly = head, Range = range });
            var version = int.Parse(read.Info.ETag.Trim('"'));
            Assert.True(window.Allows(version), $"{key.Id}: version {version} is not one of {window}");
            Assert.Equal(key.Size(version), read.Info.Size);
            if (head)
            {
                return true;
            }

            var leaveAt = random.Next(4) == 0 ? random.Next(200_000) : long.MaxValue;
            var at = read.Span.Offset;
            while (await read.ReadNextAsync(default) is { Length: > 0 } piece)
            {
                key.Check(version, at, piece.Span);
                at += piece.Length;
                if (at - read.Span.Offset > leaveAt)
                {
                    return true;
                }
            }

            Assert.Equal(read.Span.End, at);
            return true;
        }
        catch (S3Exception e) when (e.Code == S3ErrorCode.NoSuchKey)
        {
            Assert.True(window.AllowsMissing(), $"{key.Id}: missing, but {window}");
            return true;
        }
        catch (S3Exception e) when (e.Code == S3ErrorCode.SlowDown || e.Code == S3ErrorCode.InvalidRange)
        {
            return false;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task WriteAsync(CacheFixture fixture, OracleKey key, Random random)
    {
        // One writer per key at a time: with two the model would not know which one stands. CaptureTests has the case of two.
        await key.Writing.WaitAsync();
        try
        {
            var version = key.Next();
            if (random.Next(5) == 0)
            {
                await DeleteAsync(fixture, key, version, random);
            }
            else if (random.Next(3) == 0)
            {
                await UploadInPartsAsync(fixture, key, version, random);
            }
            else
            {
                await PutAsync(fixture, key, version, random);
            }
        }
        finally
        {
            key.Writing.Release();
        }
    }

    private static async Task DeleteAsync(CacheFixture fixture, OracleKey key, int version, Random random)
    {
        using var mutation = fixture.Cache.BeginMutation(key.Id);
        await YieldAsync(random.Next(4));
        if (random.Next(10) == 0)
        {
            mutation.Refused();
            return;
        }

        key.Begin(version, deleted: true);
        fixture.Source.Delete(key.Id);
        await YieldAsync(random.Next(4));
        if (random.Next(4) != 0)
        {
            mutation.Changed();
        }

        // Else the answer was lost: disposing tells the cache so.
        mutation.Dispose();
        key.End(version);
    }

    private static async Task PutAsync(CacheFixture fixture, OracleKey key, int version, Random random)
    {
        using var mutation = fixture.Cache.BeginMutation(key.Id);
        using var capture = fixture.Cache.TryBeginCapture(key.Id, null)!;
        var bytes = key.Bytes(version);

        // Some clients vanish, some are refused at the end.
        if (!await FeedAsync(capture, bytes, random) || random.Next(10) == 0)
        {
            mutation.Refused();
            return;
        }

        key.Begin(version, deleted: false);
        var info = fixture.Source.Put(key.Id, bytes, ETag(version));
        await YieldAsync(random.Next(4));
        switch (random.Next(4))
        {
            case 0:
                mutation.Dispose();
                break;
            case 1:
                mutation.Stored(info.ETag, capture, null, fixture.Source);
                break;
            case 2:
                mutation.Stored(info.ETag, capture, info, fixture.Source);
                break;
            default:
                mutation.Changed();
                break;
        }

        key.End(version);
    }

    private static async Task UploadInPartsAsync(CacheFixture fixture, OracleKey key, int version, Random random)
    {
        var (upload, bytes, parts) = ($"upload-{version}", key.Bytes(version), random.Next(1, 5));
        for (var part = 0; part < parts; part++)
        {
            // One part in eight comes some other way, and one is sent twice, its first bytes being other ones.
            for (var times = random.Next(8) switch { 0 => 0, 1 => 2, _ => 1 }; times > 0; times--)
            {
                using var capture = fixture.Cache.TryBeginPartCapture(key.Id, upload, part + 1, null)!;
                var sent = Part(part);
                if (times == 2)
                {
                    Array.Reverse(sent);
                }

                if (await FeedAsync(capture, sent, random))
                {
                    fixture.Cache.KeepPart(key.Id, upload, part + 1, $"\"{part}-{times}\"", capture);
                }
            }
        }

        if (random.Next(6) == 0)
        {
            fixture.Cache.DropUpload(key.Id, upload);
            return;
        }

        using var mutation = fixture.Cache.BeginMutation(key.Id);
        await YieldAsync(random.Next(4));
        key.Begin(version, deleted: false);
        var info = fixture.Source.Put(key.Id, bytes, ETag(version));
        await YieldAsync(random.Next(4));
        if (random.Next(6) == 0)
        {
            mutation.Dispose();
            fixture.Cache.DropUpload(key.Id, upload);
        }
        else
        {
            mutation.Completed(upload, [.. Enumerable.Range(0, parts).Select(part => (part + 1, $"{part}-1"))], info.ETag, random.Next(2) == 0 ? info : null, fixture.Source);
        }

        key.End(version);

        byte[] Part(int part) => bytes[(int)((long)bytes.Length * part / parts)..(int)((long)bytes.Length * (part + 1) / parts)];
    }

    /// <returns>False when the client left before its end.</returns>
    private static async Task<bool> FeedAsync(UploadCapture capture, ReadOnlyMemory<byte> bytes, Random random)
    {
        var leaves = random.Next(10) == 0 ? random.Next(bytes.Length + 1) : int.MaxValue;
        for (var at = 0; at < bytes.Length;)
        {
            var piece = Math.Min(random.Next(1, 50_000), bytes.Length - at);
            capture.Append(bytes.Span.Slice(at, piece));
            at += piece;
            if (at > leaves)
            {
                return false;
            }

            await YieldAsync(random.Next(3));
        }

        return true;
    }

    private static string ETag(int version) => $"\"{version}\"";

    private static async Task YieldAsync(int times)
    {
        for (; times > 0; times--)
        {
            await Task.Yield();
        }
    }
}
