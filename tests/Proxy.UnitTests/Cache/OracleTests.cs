using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>Many tasks read, write and delete a few keys; every answer must be exactly one version that was current at some moment of its request.</summary>
/// <remarks>Seeded by PROXY_ORACLE_SEED (1), runs PROXY_ORACLE_SECONDS (8). The backend is gated by random yields, cuts bodies and fails at random.</remarks>
public sealed class OracleTests(ITestOutputHelper output)
{
    private const int Keys = 8;
    private const int Tasks = 12;

    [Fact]
    public async Task Cache_AnyInterleaving_AnswersWithAVersionOfItsWindow()
    {
        var seed = int.Parse(Environment.GetEnvironmentVariable("PROXY_ORACLE_SEED") ?? "1");
        var seconds = double.Parse(Environment.GetEnvironmentVariable("PROXY_ORACLE_SECONDS") ?? "8");
        await using var fixture = new CacheFixture(options =>
        {
            options.BlockSizeBytes = 64 << 10;
            options.Memory.CapacityBytes = 16 << 20;
            options.Fills.MaxRangeBytes = 1 << 20;
            options.Fills.WholeObjectBytes = 256 << 10;
            options.RevalidateTtl = TimeSpan.Zero;
            options.UnknownOutcomeWindow = TimeSpan.FromMilliseconds(200);
        });
        var faults = new ThreadLocal<Random>(() => new Random(seed ^ Environment.CurrentManagedThreadId));
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
        var keys = Enumerable.Range(0, Keys).Select(i => new Model(new ObjectId("b", i % 2 == 0 ? $"files/index_files/{i}/1/2/3/x" : $"any/{i}"))).ToArray();
        foreach (var key in keys)
        {
            key.Begin(0, deleted: false);
            fixture.Source.Put(key.Id, Bytes(key.Id, 0), ETag(0));
            key.End(0);
        }

        var clock = Stopwatch.StartNew();
        long reads = 0, writes = 0, broken = 0;
        await Task.WhenAll(Enumerable.Range(0, Tasks).Select(task => Task.Run(async () =>
        {
            var random = new Random((seed * 1000) + task);
            while (clock.Elapsed.TotalSeconds < seconds)
            {
                var key = keys[random.Next(Keys)];
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
        await fixture.AssertQuietAsync();
        var snapshot = fixture.Cache.Snapshot();
        output.WriteLine($"seed {seed}: {reads} reads, {broken} broken off, {writes} writes, {snapshot.Fills}, {string.Join(" ", snapshot.Reads.Select(r => $"{r.Outcome}/{r.Kind}={r.Requests}"))}");
        Assert.True(reads > 1000 && writes > 100, "The run was too small to mean anything.");
        Assert.True(snapshot.Reads.Where(read => read.Outcome is CacheOutcome.HitMemory).Sum(read => read.Requests) > 100, "Nothing was ever a hit.");
    }

    /// <returns>False when the read was refused or broke off, which is always allowed.</returns>
    private static async Task<bool> ReadAsync(CacheFixture fixture, Model key, Random random)
    {
        var window = key.Open();
        try
        {
            var head = random.Next(4) == 0;
            ByteRange? range = random.Next(2) == 0 ? null : ByteRange.FromTo(random.Next(300_000), random.Next(300_000, 700_000));
            await using var read = await fixture.OpenAsync(key.Id, new ReadRequest { HeadOnly = head, Range = range });
            var version = int.Parse(read.Info.ETag.Trim('"'));
            Assert.True(window.Allows(version), $"{key.Id}: version {version} is not one of {window}");
            Assert.Equal(Size(key.Id, version), read.Info.Size);
            if (head)
            {
                return true;
            }

            var leaveAt = random.Next(4) == 0 ? random.Next(200_000) : long.MaxValue;
            var at = read.Span.Offset;
            while (await read.ReadNextAsync(default) is { Length: > 0 } piece)
            {
                Check(key.Id, version, at, piece.Span);
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

    private static async Task WriteAsync(CacheFixture fixture, Model key, Random random)
    {
        // One writer per key at a time: with two the model would not know which one stands. CaptureTests has the case of two.
        await key.Writing.WaitAsync();
        try
        {
            var delete = random.Next(5) == 0;
            var version = key.Next();
            using var mutation = fixture.Cache.BeginMutation(key.Id);
            using var capture = delete ? null : fixture.Cache.TryBeginCapture(key.Id, null);
            var bytes = Bytes(key.Id, version);
            capture?.Append(bytes);
            await YieldAsync(random.Next(4));
            if (random.Next(10) == 0)
            {
                mutation.Refused();
                return;
            }

            key.Begin(version, delete);
            ObjectInfo? info = null;
            if (delete)
            {
                fixture.Source.Delete(key.Id);
            }
            else
            {
                info = fixture.Source.Put(key.Id, bytes, ETag(version));
            }

            await YieldAsync(random.Next(4));
            switch (random.Next(4))
            {
                case 0:
                    // The answer was lost: disposing tells the cache so.
                    mutation.Dispose();
                    break;
                case 1 when info is not null:
                    mutation.Stored(info.ETag, capture, null, fixture.Source);
                    break;
                case 2 when info is not null:
                    mutation.Stored(info.ETag, capture, info, fixture.Source);
                    break;
                default:
                    mutation.Changed();
                    break;
            }

            key.End(version);
        }
        finally
        {
            key.Writing.Release();
        }
    }

    private static string ETag(int version) => $"\"{version}\"";

    private static int Size(ObjectId id, int version) => (int)((uint)HashCode(id, version) % 500_000);

    private static byte[] Bytes(ObjectId id, int version)
    {
        var bytes = new byte[Size(id, version)];
        var seed = HashCode(id, version);
        for (var at = 0; at < bytes.Length; at++)
        {
            bytes[at] = Byte(seed, at);
        }

        return bytes;
    }

    private static void Check(ObjectId id, int version, long offset, ReadOnlySpan<byte> piece)
    {
        var seed = HashCode(id, version);
        for (var i = 0; i < piece.Length; i++)
        {
            if (piece[i] != Byte(seed, offset + i))
            {
                Assert.Fail($"{id} version {version}: wrong byte at {offset + i}");
            }
        }
    }

    private static byte Byte(int seed, long at) => (byte)((((ulong)at * 0x9E3779B97F4A7C15) ^ (uint)seed) >> 13);

    // The same in every process, unlike string.GetHashCode.
    private static int HashCode(ObjectId id, int version)
    {
        Span<byte> key = stackalloc byte[8];
        BinaryPrimitives.WriteInt32LittleEndian(key, version);
        BinaryPrimitives.WriteInt32LittleEndian(key[4..], id.Key.Sum(c => c) * 31);
        return (int)System.IO.Hashing.XxHash3.HashToUInt64(key);
    }

    private static async Task YieldAsync(int times)
    {
        for (; times > 0; times--)
        {
            await Task.Yield();
        }
    }

    /// <summary>Which versions of a key may be seen: the last one that ended before a read began, and all that began before it is over.</summary>
    private sealed class Model(ObjectId id)
    {
        private readonly ConcurrentDictionary<int, bool> _deleted = new();
        private readonly Lock _lock = new();
        private readonly List<int> _begun = [];
        private int _ended = -1;
        private int _next;

        public ObjectId Id { get; } = id;

        public SemaphoreSlim Writing { get; } = new(1);

        public int Next() => Interlocked.Increment(ref _next);

        public void Begin(int version, bool deleted)
        {
            lock (_lock)
            {
                _deleted[version] = deleted;
                _begun.Add(version);
            }
        }

        public void End(int version)
        {
            lock (_lock)
            {
                _ended = version;
            }
        }

        public Window Open()
        {
            lock (_lock)
            {
                return new Window(this, _ended);
            }
        }

        public sealed class Window(Model model, int oldest)
        {
            public bool Allows(int version)
            {
                lock (model._lock)
                {
                    return version >= oldest && model._begun.Contains(version) && !model._deleted[version];
                }
            }

            public bool AllowsMissing()
            {
                lock (model._lock)
                {
                    return model._begun.Any(version => version >= oldest && model._deleted[version]);
                }
            }

            public override string ToString()
            {
                lock (model._lock)
                {
                    return string.Join(", ", model._begun.Where(version => version >= oldest).Select(version => $"{version}{(model._deleted[version] ? " (deleted)" : "")}"));
                }
            }
        }
    }
}
