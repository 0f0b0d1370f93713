using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Local;
using Proxy.Backends.Local.Bodies;
using Proxy.Backends.Local.Index;
using Proxy.S3.Errors;
using static Proxy.UnitTests.Local.StoreFixture;

namespace Proxy.UnitTests.Local;

public sealed class FolderTests
{
    [Fact]
    public async Task Open_Twice_IsRefusedInOneLine()
    {
        await using var fixture = await CreateAsync();
        var refusal = Assert.Throws<IOException>(() => LocalObjectStore.Open(fixture.Options, fixture.Time, NullLoggerFactory.Instance));
        Assert.Contains("in use by another process", refusal.Message, StringComparison.Ordinal);
        await fixture.ReopenAsync();
    }

    [Fact]
    public async Task Open_FormatOfANewerVersion_IsRefused()
    {
        await using var fixture = await CreateAsync();
        await fixture.Store.DisposeAsync();
        var format = Path.Combine(fixture.Options.Directory, "format");
        var text = await File.ReadAllTextAsync(format);
        await File.WriteAllTextAsync(format, text.Replace("format 1", "format 2", StringComparison.Ordinal));
        var refusal = Assert.Throws<IOException>(() => LocalObjectStore.Open(fixture.Options, fixture.Time, NullLoggerFactory.Instance));
        Assert.Contains("another format", refusal.Message, StringComparison.Ordinal);
        await File.WriteAllTextAsync(format, text);
        await fixture.ReopenAsync();
    }

    [Fact]
    public async Task Open_LeftoversOfACrash_AreSweptAndTheRestIsKept()
    {
        await using var fixture = await CreateAsync();
        await fixture.PutAsync("k", Random(50_000, 1));
        var kept = Assert.Single(fixture.BodyFiles());
        await fixture.Store.DisposeAsync();
        for (var i = 100; i < 110; i++)
        {
            await File.WriteAllBytesAsync(Path.Combine(Path.GetDirectoryName(kept)!, $"{i:x14}.body"), new byte[10]);
        }

        var folder = Directory.CreateDirectory(Path.Combine(fixture.Options.Directory, "bodies", $"{3:x11}"));
        await File.WriteAllBytesAsync(Path.Combine(folder.FullName, $"{3 * 4096:x14}.body"), new byte[10]);
        await fixture.ReopenAsync();
        await fixture.Store.Janitor.Swept;
        Assert.Equal([kept], fixture.BodyFiles());
        Assert.False(folder.Exists && Directory.Exists(folder.FullName));
        Assert.Equal((11L, true), (fixture.Store.Counters.OrphansSwept, fixture.Store.Counters.SweepFinished));
        Assert.Equal(Random(50_000, 1), await fixture.GetAsync("k"));
    }

    [Fact]
    public async Task Put_BodyFolderGone_IsRefusedAndTheOldStays()
    {
        await using var fixture = await CreateAsync();
        await fixture.PutAsync("k", "old");
        var bodies = Path.Combine(fixture.Options.Directory, "bodies");
        Directory.Delete(bodies);
        await File.WriteAllTextAsync(bodies, "a file where the folder was");
        await RefusedAsync(S3ErrorCode.InternalError, async () => await fixture.PutAsync("k", Random(50_000, 1)));
        Assert.Equal("old", await fixture.GetTextAsync("k"));
        File.Delete(bodies);
        Directory.CreateDirectory(bodies);
        await fixture.PutAsync("k", Random(50_000, 1));
        Assert.Equal(Random(50_000, 1), await fixture.GetAsync("k"));
    }

    [Fact]
    public async Task Put_MoreThanTheDiskHolds_IsSlowDownBeforeAByteIsRead()
    {
        await using var fixture = await CreateAsync();
        await fixture.PutAsync("k", "old");
        var content = new MemoryStream(new byte[8 << 20]);
        var tooMuch = new DriveInfo(fixture.Options.Directory).TotalSize;
        await RefusedAsync(S3ErrorCode.SlowDown, async () => await fixture.Store.PutObjectAsync(Id("k"), new(content, tooMuch, static () => null), new(), default));
        Assert.Equal("old", await fixture.GetTextAsync("k"));
        await fixture.ReopenAsync();
        Assert.Empty(fixture.BodyFiles());
    }

    [Fact]
    public async Task Mutation_ThatFails_DoesNotSpoilItsBatch()
    {
        await using var fixture = await CreateAsync();
        var root = Directory.CreateDirectory(Path.Combine(fixture.Options.Directory, "alone")).FullName;
        using var disk = new DiskThreads(1);
        using var index = new KeyIndex(root, new BodyFolder(root, fsync: true, disk, new LocalCounts()));
        using var gate = new ManualResetEventSlim();
        var first = index.WriteAsync(_ =>
        {
            gate.Wait();
            return 0;
        });
        var good = Enumerable.Range(0, 10).Select(i => index.WriteAsync(transaction =>
        {
            transaction.CreateBucket("bucket-" + i, 0);
            return i;
        })).ToArray();
        var bad = index.WriteAsync<int>(transaction =>
        {
            transaction.CreateBucket("half-made", 0);
            throw new InvalidOperationException("a bug");
        });
        gate.Set();
        await first;
        Assert.Equal(Enumerable.Range(0, 10), await Task.WhenAll(good));
        await Assert.ThrowsAsync<InvalidOperationException>(() => bad);
        Assert.Equal(10, index.Buckets.Count);
        Assert.DoesNotContain("half-made", index.Buckets.Keys);
    }

    [Fact]
    public async Task Write_ThatMayBlock_IsCommittedWhereItWasAskedForAndOthersFollow()
    {
        await using var fixture = await CreateAsync();
        var root = Directory.CreateDirectory(Path.Combine(fixture.Options.Directory, "alone")).FullName;
        using var disk = new DiskThreads(1);
        using var index = new KeyIndex(root, new BodyFolder(root, fsync: true, disk, new LocalCounts()));
        using var entered = new ManualResetEventSlim();
        using var gate = new ManualResetEventSlim();
        var threads = new List<Thread>();
        Task<int> Write(int value, bool mayBlock, bool waits = false) => index.WriteAsync(
            transaction =>
            {
                threads.Add(Thread.CurrentThread);
                transaction.CreateBucket("bucket-" + value, 0);
                entered.Set();
                if (waits)
                {
                    gate.Wait();
                }

                return value;
            },
            mayBlock: mayBlock);

        // Two that may block: the second finds the first committing, and waits for the writer instead.
        Thread? own = null;
        var first = Task.Run(async () =>
        {
            own = Thread.CurrentThread;
            return await Write(1, mayBlock: true, waits: true);
        });
        entered.Wait();
        var others = new[] { Write(2, mayBlock: true), Write(3, mayBlock: false) };
        Assert.DoesNotContain(others, static other => other.IsCompleted);
        gate.Set();
        Assert.Equal(1, await first);
        var rest = await Task.WhenAll(others);
        Assert.Equal([2, 3], rest);
        Assert.Same(own, threads[0]);
        Assert.Equal(["index-writer", "index-writer"], threads.Skip(1).Select(static thread => thread.Name));
        Assert.Equal(3, index.Buckets.Count);

        // No thread of the pool, so it must not be held up.
        var asked = new TaskCompletionSource<Task<int>>();
        new Thread(() => asked.SetResult(Write(4, mayBlock: true))).Start();
        Assert.Equal(4, await await asked.Task);
        Assert.Equal("index-writer", threads[^1].Name);
    }

    [Fact]
    public async Task Writes_AtOnce_ShareCommits()
    {
        await using var fixture = await CreateAsync(static options => options.Fsync = true);

        // Threads of their own: how many the pool has to spare is the other tests' doing.
        await Task.WhenAll(Enumerable.Range(0, 16).Select(thread => Task.Factory.StartNew(
            () =>
            {
                for (var i = 0; i < 25; i++)
                {
                    fixture.PutAsync($"k{thread}-{i}", "x").AsTask().Wait();
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        var counters = fixture.Store.Counters;
        Assert.Equal(401, counters.Mutations);
        Assert.True(counters.Commits < 300 && counters.LargestBatch > 1, $"{counters.Commits} commits, largest of {counters.LargestBatch}");
    }

    [Fact]
    public async Task Log_UnderSteadyWrites_StaysBounded()
    {
        await using var fixture = await CreateAsync();
        var body = Random(16 << 10, 1);
        for (var round = 0; round < 40; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 200).Select(i => fixture.PutAsync($"k{i}", body).AsTask()));
        }

        var log = new FileInfo(Path.Combine(fixture.Options.Directory, "index.db-wal")).Length;
        Assert.True(log < 100 << 20, $"The log has {log >> 20} MiB after {40 * 200 * 16 >> 10} MiB of bodies.");
        await fixture.Store.DisposeAsync();
        Assert.False(File.Exists(Path.Combine(fixture.Options.Directory, "index.db-wal")));
        await fixture.ReopenAsync();
    }
}
