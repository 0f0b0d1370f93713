using System.IO.Hashing;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

public sealed class RestartTests : IDisposable
{
    private const int MiB = CacheFixture.MiB;
    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-cache-").FullName;
    private readonly FakeSource _source = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Multipart_AfterARestart_IsFoundAgain(bool verify)
    {
        int[] parts = [10 * MiB, (4 * MiB) + 512];
        var bytes = CacheFixture.Random(parts.Sum());
        await using (var cache = await OpenAsync(verify))
        {
            var at = 0;
            for (var i = 0; i < parts.Length; i++)
            {
                using var capture = cache.TryBeginPartCapture(CacheFixture.Log, "u", i + 1, parts[i])!;
                capture.Append(bytes.AsSpan(at, parts[i]));
                cache.KeepPart(CacheFixture.Log, "u", i + 1, $"\"{i}\"", capture);
                at += parts[i];
            }

            using var mutation = cache.BeginMutation(CacheFixture.Log);
            var info = _source.Put(CacheFixture.Log, bytes);
            mutation.Completed("u", [(1, "0"), (2, "1")], info.ETag, info, _source);
        }

        await using (var cache = await OpenAsync(verify))
        {
            Assert.Equal(2, cache.Explain(CacheFixture.Log).Extents);
            Assert.Equal(!verify, cache.Explain(CacheFixture.Log).Fresh);
            await using var read = await cache.OpenAsync(CacheFixture.Log, default, _source, default);
            Assert.Equal(bytes, await CacheFixture.DrainAsync(read));
            Assert.Equal(verify ? CacheOutcome.Revalidated : CacheOutcome.HitNvme, read.Outcome);
            Assert.Equal(0, _source.Gets);
            Assert.Equal(verify ? 1 : 0, _source.Requests);
        }
    }

    [Fact]
    public async Task DeletedBeforeTheRestart_StaysUnknown()
    {
        await using (var cache = await OpenAsync(verify: false))
        {
            _source.Put(CacheFixture.Index, CacheFixture.Random(MiB));
            await (await cache.OpenAsync(CacheFixture.Index, default, _source, default)).DisposeAsync();
            using var mutation = cache.BeginMutation(CacheFixture.Index);
            mutation.Changed();
        }

        await using (var cache = await OpenAsync(verify: false))
        {
            Assert.False(cache.Explain(CacheFixture.Index).Known);
        }
    }

    [Fact]
    public async Task Revalidate_AfterARestart_AlwaysAsksFirst()
    {
        await using (var cache = await OpenAsync(verify: false))
        {
            _source.Put(CacheFixture.Unknown, CacheFixture.Random(MiB));
            await (await cache.OpenAsync(CacheFixture.Unknown, default, _source, default)).DisposeAsync();
        }

        _source.Put(CacheFixture.Unknown, [1]);
        await using (var cache = await OpenAsync(verify: false))
        {
            Assert.True(cache.Explain(CacheFixture.Unknown).Known);
            await using var read = await cache.OpenAsync(CacheFixture.Unknown, default, _source, default);
            Assert.Equal([1], await CacheFixture.DrainAsync(read));
        }
    }

    /// <summary>They were 503 until the backend was back, though nothing of them can have changed.</summary>
    [Fact]
    public async Task Immutable_AfterARestart_BackendUnreachable_IsStale()
    {
        var bytes = CacheFixture.Random((2 * MiB) + 17);
        await using (var cache = await OpenAsync(verify: true))
        {
            foreach (var id in (ObjectId[])[CacheFixture.Index, CacheFixture.Unknown])
            {
                _source.Put(id, bytes);
                await using var read = await cache.OpenAsync(id, default, _source, default);
                await CacheFixture.DrainAsync(read);
            }
        }

        await using (var cache = await OpenAsync(verify: true))
        {
            foreach (var failure in (Exception[])[new S3Exception(S3ErrorCode.SlowDown), new IOException("Connection refused")])
            {
                _source.BeforeAnswer = (_, _) => throw failure;
                await using var read = await cache.OpenAsync(CacheFixture.Index, default, _source, default);
                Assert.Equal((CacheOutcome.Stale, "b"), (read.Outcome, read.Info.Headers.Single().Value));
                Assert.Equal(bytes, await CacheFixture.DrainAsync(read));
                await using var head = await cache.OpenAsync(CacheFixture.Index, new ReadRequest { HeadOnly = true }, _source, default);
                Assert.Equal(CacheOutcome.Stale, head.Outcome);

                // A key that may be written again is not.
                Assert.Equal(S3ErrorCode.SlowDown, (await RefusedAsync(cache, CacheFixture.Unknown, default)).Code);
            }

            // Nor is anything once the backend says something, or where something else is asked for than is known.
            foreach (var word in (S3ErrorCode[])[S3ErrorCode.AccessDenied, S3ErrorCode.InternalError])
            {
                _source.BeforeAnswer = (_, _) => throw new S3Exception(word);
                Assert.Equal(word, (await RefusedAsync(cache, CacheFixture.Index, default)).Code);
            }

            _source.BeforeAnswer = static (_, _) => throw new S3Exception(S3ErrorCode.SlowDown);
            Assert.Equal(S3ErrorCode.SlowDown, (await RefusedAsync(cache, CacheFixture.Index, new ReadRequest { Preconditions = new Preconditions { IfMatch = "\"other\"" } })).Code);
            Assert.Equal(S3ErrorCode.SlowDown, (await RefusedAsync(cache, CacheFixture.Index, new ReadRequest { HeadOnly = true, NeedsChecksums = true })).Code);

            _source.BeforeAnswer = null;
            _source.Delete(CacheFixture.Index);
            Assert.Equal(S3ErrorCode.NoSuchKey, (await RefusedAsync(cache, CacheFixture.Index, default)).Code);
            _source.BeforeAnswer = static (_, _) => throw new S3Exception(S3ErrorCode.SlowDown);
            Assert.Equal(S3ErrorCode.SlowDown, (await RefusedAsync(cache, CacheFixture.Index, default)).Code);
        }

        Task<S3Exception> RefusedAsync(ObjectCache cache, ObjectId id, ReadRequest request)
            => Assert.ThrowsAsync<S3Exception>(async () => await (await cache.OpenAsync(id, request, _source, default)).DisposeAsync());
    }

    /// <summary>Its age is not known, and nothing says that it is less than the machine's uptime.</summary>
    [Fact]
    public async Task Revalidate_AfterARestartOfTheMachine_BackendUnreachable_IsNotStale()
    {
        var options = Options(verify: true);
        options.StaleIfUnreachable = TimeSpan.FromMinutes(10);
        await using (var cache = await OpenAsync(options, TimeProvider.System))
        {
            _source.Put(CacheFixture.Unknown, [1]);
            await (await cache.OpenAsync(CacheFixture.Unknown, default, _source, default)).DisposeAsync();
        }

        await using (var cache = await OpenAsync(options, new JustBooted()))
        {
            Assert.True(cache.Explain(CacheFixture.Unknown).Known);
            _source.BeforeAnswer = static (_, _) => throw new S3Exception(S3ErrorCode.SlowDown);
            Assert.Equal(
                S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(async () => await (await cache.OpenAsync(CacheFixture.Unknown, default, _source, default)).DisposeAsync())).Code);
        }
    }

    /// <summary>A deletion that it could not note must not be undone by the restart.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Journal_CannotBeWritten_NothingItSaidBeforeIsBelieved(bool canBeAgain)
    {
        var options = Options(verify: false);
        options.Catalog.JournalBytes = 64 << 10;
        var (path, obstacle) = (Path.Combine(_folder, "catalog.journal"), Path.Combine(_folder, "catalog.journal.new"));
        var time = new FakeTimeProvider();
        await using (var cache = await OpenAsync(options, time))
        {
            Store(cache, CacheFixture.Index);
            Store(cache, CacheFixture.Log);

            // It grows until it has to be rewritten, which fails.
            Directory.CreateDirectory(obstacle);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            for (var isTooLong = false; !(isTooLong && (!File.Exists(path) || new FileInfo(path).Length < options.Catalog.JournalBytes)) && !patience.IsCancellationRequested;)
            {
                isTooLong |= !File.Exists(path) || new FileInfo(path).Length > options.Catalog.JournalBytes;
                if (!isTooLong)
                {
                    Store(cache, CacheFixture.Unknown);
                }

                await Task.Delay(1);
            }

            using (var mutation = cache.BeginMutation(CacheFixture.Index))
            {
                mutation.Changed();
            }

            if (canBeAgain)
            {
                Directory.Delete(obstacle);
                for (var isBack = false; !isBack && !patience.IsCancellationRequested; isBack = File.Exists(path))
                {
                    time.Advance(TimeSpan.FromMinutes(1));
                    await Task.Delay(1);
                }

                Assert.True(File.Exists(path));
            }
        }

        await using (var cache = await OpenAsync(verify: false))
        {
            Assert.False(cache.Explain(CacheFixture.Index).Known);
            Assert.Equal(canBeAgain, cache.Explain(CacheFixture.Log).Known);
        }
    }

    [Fact]
    public async Task Journal_RecordOfAnotherBlockSize_SupersedesTheOlderOne()
    {
        foreach (var blockSize in (int[])[MiB, 4 * MiB])
        {
            // Written around the proxy: what the first one noted is not taken back, only read anew.
            _source.Put(CacheFixture.Index, [(byte)(blockSize / MiB)]);
            var options = Options(verify: false);
            options.BlockSizeBytes = blockSize;
            await using var cache = await OpenAsync(options, TimeProvider.System);
            await (await cache.OpenAsync(CacheFixture.Index, default, _source, default)).DisposeAsync();
        }

        await using (var cache = await OpenAsync(verify: false))
        {
            Assert.False(cache.Explain(CacheFixture.Index).Known);
        }
    }

    [Fact]
    public async Task Journal_CutAnywhereOrFlipped_BringsBackOnlyWhatChecks()
    {
        await using (var cache = await OpenAsync(verify: false))
        {
            for (var i = 0; i < 20; i++)
            {
                var id = new ObjectId("b", $"files/index_files/{i}/1/1/1/x");
                var info = _source.Put(id, [(byte)i]);
                using var mutation = cache.BeginMutation(id);
                mutation.Stored(info.ETag, null, info, _source);
            }
        }

        var path = Path.Combine(_folder, "catalog.journal");
        var whole = await File.ReadAllBytesAsync(path);
        var random = new Random(3);
        for (var round = 0; round < 30; round++)
        {
            var damaged = (byte[])whole.Clone();
            if (round % 2 == 0)
            {
                damaged = damaged[..random.Next(damaged.Length)];
            }
            else
            {
                damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            }

            await File.WriteAllBytesAsync(path, damaged);
            await using var cache = await OpenAsync(verify: false);
            for (var i = 0; i < 20; i++)
            {
                var report = cache.Explain(new ObjectId("b", $"files/index_files/{i}/1/1/1/x"));
                Assert.True(!report.Known || (report.Size == 1 && report.ETag == $"\"v{i + 1}\""));
            }
        }
    }

    /// <summary>Its checksum is right, so some other build wrote it: it ends the reading, not the journal.</summary>
    [Fact]
    public async Task Journal_RecordOfAnotherBuild_EndsTheReadingAlone()
    {
        var payload = new MemoryStream();
        using (var writer = new BinaryWriter(payload, Encoding.UTF8, leaveOpen: true))
        {
            writer.Write((byte)1);
            writer.Write("b");
            writer.Write("k");
            writer.Write("\"e\"");
            writer.Write(MiB);
            writer.Write(10_001);
        }

        using (var file = new BinaryWriter(File.Create(Path.Combine(_folder, "catalog.journal"))))
        {
            file.Write("S3XCAT01"u8);
            file.Write((int)payload.Length);
            file.Write(XxHash3.HashToUInt64(payload.ToArray()));
            file.Write(payload.ToArray());
        }

        var info = _source.Put(CacheFixture.Index, [1]);
        await using (var cache = await OpenAsync(verify: false))
        {
            using var mutation = cache.BeginMutation(CacheFixture.Index);
            mutation.Stored(info.ETag, null, info, _source);
        }

        await using (var cache = await OpenAsync(verify: false))
        {
            Assert.True(cache.Explain(CacheFixture.Index).Known);
        }
    }

    [Fact]
    public async Task Journal_PastItsBound_IsRewrittenSmaller()
    {
        var options = Options(verify: false);
        options.Catalog.JournalBytes = 64 << 10;
        await using (var cache = ObjectCache.Open(options, TimeProvider.System, NullLoggerFactory.Instance))
        {
            var info = _source.Put(CacheFixture.Index, [1]);
            for (var i = 0; i < 5000; i++)
            {
                using var mutation = cache.BeginMutation(CacheFixture.Index);
                mutation.Stored(info.ETag, null, info, _source);
            }
        }

        Assert.InRange(new FileInfo(Path.Combine(_folder, "catalog.journal")).Length, 1, 2 << 20);
        await using (var cache = await OpenAsync(verify: false))
        {
            Assert.True(cache.Explain(CacheFixture.Index).Known);
        }
    }

    private CacheOptions Options(bool verify) => new()
    {
        Memory = { CapacityBytes = 64 * MiB },
        Nvme = { Directories = { _folder }, CapacityBytes = 256L * MiB, Engine = "Plain" },
        VerifyRecovered = verify,
    };

    private void Store(ObjectCache cache, ObjectId id)
    {
        var info = _source.Put(id, [1]);
        using var mutation = cache.BeginMutation(id);
        mutation.Stored(info.ETag, null, info, _source);
    }

    private Task<ObjectCache> OpenAsync(bool verify) => OpenAsync(Options(verify), TimeProvider.System);

    private static async Task<ObjectCache> OpenAsync(CacheOptions options, TimeProvider time)
    {
        var cache = ObjectCache.Open(options, time, NullLoggerFactory.Instance);
        await cache.Recovered;
        while (cache.TierSnapshot().Nvme.Any(nvme => nvme.State is Proxy.Cache.Tiers.NvmeState.Opening or Proxy.Cache.Tiers.NvmeState.Recovering))
        {
            // The tier has no event for this; a spin would take the pool's threads from it.
            await Task.Delay(2);
        }

        return cache;
    }

    /// <summary>The clock that entries are validated by, on a machine that has just been started.</summary>
    private sealed class JustBooted : TimeProvider
    {
        private readonly long _since = System.GetTimestamp();

        public override long GetTimestamp() => base.GetTimestamp() - _since;
    }
}
