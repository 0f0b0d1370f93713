using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Local;
using Proxy.Backends.Local.Bodies;
using Proxy.Backends.Local.Index;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using static Proxy.UnitTests.Local.StoreFixture;

namespace Proxy.UnitTests.Local;

/// <summary>What must not be lost when something goes wrong that hardly ever does.</summary>
public sealed class RecoveryTests
{
    private const int SqliteFull = 13;
    private const int SqliteIoErr = 10;

    /// <summary>A disk that stays full while clients try again uses up numbers and undoes every batch, also the one that notes how far they went.</summary>
    [Fact]
    public async Task Numbers_WhoseNoteWasUndone_AreNotHandedOutAgainAfterACrash()
    {
        await using var folder = new Folder();
        long last = 0;
        using (var disk = new DiskThreads(1))
        {
            using var index = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: true, disk, new LocalCounts()));
            for (var round = 0; round < 3; round++)
            {
                Use(index, 600_000);
                await Assert.ThrowsAsync<IOException>(() => index.WriteAsync(static _ => 0, folder: Path.Combine(folder.Path, "not there")));
            }

            last = Use(index, 1);
            await index.WriteAsync(static _ => 0);
        }

        using var again = new DiskThreads(1);
        using var reopened = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: true, again, new LocalCounts()));
        Assert.True(reopened.NextId() > last, $"{reopened.FirstId} after {last}");

        static long Use(KeyIndex index, int count)
        {
            long used = 0;
            for (var i = 0; i < count; i++)
            {
                used = index.NextId();
            }

            return used;
        }
    }

    /// <summary>The kernel's own refusal: folders of /proc can be opened and not flushed.</summary>
    [Fact]
    public async Task Folder_ThatCannotBeFlushed_StopsWritesUntilARestart()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the fault is Linux's /proc");
        await using var folder = new Folder();
        using (var disk = new DiskThreads(1))
        {
            using var index = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: true, disk, new LocalCounts()));
            var failed = await Assert.ThrowsAsync<IndexException>(() => index.WriteAsync(static _ => 0, folder: "/proc"));
            Assert.Contains("Cannot flush the folder /proc", failed.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<IndexException>(() => index.WriteAsync(static _ => 0));
        }

        using var again = new DiskThreads(1);
        using var reopened = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: true, again, new LocalCounts()));
        Assert.Equal(7, await reopened.WriteAsync(static _ => 7));
    }

    /// <summary>Clients ask again: each refused upload would leave its body behind, on a disk that is ill already.</summary>
    [Fact]
    public async Task Uploads_AfterAFailedFlush_AreRefusedUnreadAndLeaveNoFile()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the fault is Linux's /proc");
        await using var folder = new Folder();
        using (var disk = new DiskThreads(1))
        {
            var bodies = new BodyFolder(folder.Path, fsync: true, disk, new LocalCounts());
            using var index = new KeyIndex(folder.Path, bodies);
            var store = new StoreContext(index, bodies, new LocalOptions { Directory = folder.Path }, TimeProvider.System);
            var writes = new ObjectWrites(store, new ObjectReads(store));
            await index.WriteAsync(static transaction =>
            {
                transaction.CreateBucket(Bucket, 0);
                return 0;
            });
            var late = await store.ReceiveAsync(Content(Random(1 << 20, 1)), default);
            Assert.Single(folder.Bodies());

            await Assert.ThrowsAsync<IndexException>(() => index.WriteAsync(static _ => 0, folder: "/proc"));
            await RefusedAsync(S3ErrorCode.InternalError, () => store.CommitAsync(late, static _ => 0));
            for (var i = 0; i < 10; i++)
            {
                var content = Content(Random(1 << 20, i));
                await RefusedAsync(S3ErrorCode.InternalError, () => writes.PutAsync(Id("k" + i), content, new(), default));
                Assert.Equal(0, content.Stream.Position);
            }
        }

        Assert.Empty(folder.Bodies());
    }

    /// <summary>Only the log knows what became of it: what it may name has to be there after a restart.</summary>
    [Fact]
    public async Task Commit_ThatFailsItself_KeepsTheBody()
    {
        await using var folder = new Folder();
        using (var disk = new DiskThreads(1))
        {
            var bodies = new BodyFolder(folder.Path, fsync: true, disk, new LocalCounts());
            using var index = new KeyIndex(folder.Path, bodies);
            var store = new StoreContext(index, bodies, new LocalOptions { Directory = folder.Path }, TimeProvider.System);
            var body = await store.ReceiveAsync(Content(Random(1 << 20, 1)), default);
            await RefusedAsync(S3ErrorCode.InternalError, () => store.CommitAsync(body, transaction =>
            {
                transaction.AddBody(body);
                transaction.Commit(); // reaches the disk, and the commit behind it says that it has failed
                return 0;
            }));
            await RefusedAsync(S3ErrorCode.InternalError, () => store.ReceiveAsync(Content(Random(1 << 20, 2)), default));
        }

        Assert.Single(folder.Bodies());
    }

    [Fact]
    public async Task Numbers_BeyondTheNoteButInUse_AreNotHandedOutAgain()
    {
        await using var folder = new Folder();
        using (var disk = new DiskThreads(1))
        {
            using var index = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: false, disk, new LocalCounts()));
            await index.WriteAsync(static transaction =>
            {
                transaction.AddBody(new ReceivedBody(9_000_000, 1, [], [1], null));
                return 0;
            });
        }

        using var again = new DiskThreads(1);
        using var reopened = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: false, again, new LocalCounts()));
        Assert.True(reopened.NextId() > 9_000_000);
    }

    [Fact]
    public async Task Receive_WhoseFileIsThereAlready_LeavesItAlone()
    {
        await using var folder = new Folder();
        using (var disk = new DiskThreads(1))
        {
            var bodies = new BodyFolder(folder.Path, fsync: false, disk, new LocalCounts());
            using (var taken = bodies.Create(5, 0))
            {
                RandomAccess.Write(taken, "somebody's"u8, 0);
            }

            await RefusedAsync(S3ErrorCode.InternalError, () => BodyWriter.ReceiveAsync(bodies, static () => 5, Content(Random(50_000, 1)), 0, long.MaxValue, default));
        }

        Assert.Equal("somebody's", await File.ReadAllTextAsync(Directory.GetFiles(folder.Path, "*.body", SearchOption.AllDirectories).Single()));
    }

    [Fact]
    public async Task Open_BodiesWithoutTheirIndex_IsRefused()
    {
        await using var fixture = await CreateAsync();
        await fixture.PutAsync("k", Random(50_000, 1));
        await fixture.Store.DisposeAsync();
        var index = Path.Combine(fixture.Options.Directory, KeyIndex.FileName);
        File.Move(index, index + ".lost");
        var refusal = Assert.Throws<IOException>(() => LocalObjectStore.Open(fixture.Options, fixture.Time, NullLoggerFactory.Instance));
        Assert.Contains("index.db", refusal.Message, StringComparison.Ordinal);
        File.Move(index + ".lost", index);
        await fixture.ReopenAsync();
        Assert.Equal(Random(50_000, 1), await fixture.GetAsync("k"));
    }

    /// <summary>The writer's own share of a checkpoint meets a disk that refuses, as a full one does: it ended the process.</summary>
    [Fact]
    public async Task Checkpoint_ThatFailsInTheWriter_IsTriedAgainLater()
    {
        await using var folder = new Folder();
        using var disk = new DiskThreads(1);
        using var index = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: false, disk, new LocalCounts()));
        var file = new FileInfo(Path.Combine(folder.Path, KeyIndex.FileName));
        await WriteAsync(1, 1 << 20);
        var empty = file.Length;
        using (var old = index.Read())
        {
            // Keeps the checkpointer from moving all of it, so that something is left for the writer.
            old.Reader.BeginSnapshot();
            _ = old.Reader.AliveBodies(0, 1);
            for (var i = 2; i < 18; i++)
            {
                await WriteAsync(i, 1 << 20);
            }

            Assert.True(SpinWait.SpinUntil(() => new FileInfo(file.FullName).Length > empty, TimeSpan.FromSeconds(30)), "the checkpointer has not come");
        }

        // The log is gone from under it: commits go on at its end, but what it held cannot be read.
        using (var log = new FileStream(Path.Combine(folder.Path, KeyIndex.FileName + "-wal"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            log.SetLength(0);
        }

        for (var i = 40; i < 60; i++)
        {
            Assert.Equal(i, await WriteAsync(i, 1 << 10));
        }

        Task<int> WriteAsync(int body, int length) => index.WriteAsync(
            transaction =>
            {
                transaction.AddBody(new ReceivedBody(body, length, [], new byte[length], null));
                return body;
            },
            inlineBytes: length);
    }

    /// <summary>With no room for the log to grow, every later commit would be refused too: moved into the database, it starts over in the room it has.</summary>
    [Fact]
    public async Task Commit_RefusedByAFullDisk_MovesTheLog()
    {
        await using var folder = new Folder();
        using var disk = new DiskThreads(1);
        using var index = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: false, disk, new LocalCounts()));
        var file = Path.Combine(folder.Path, KeyIndex.FileName);
        await index.WriteAsync(
            static transaction =>
            {
                transaction.AddBody(new ReceivedBody(1, 1 << 20, [], new byte[1 << 20], null));
                return 0;
            },
            inlineBytes: 1 << 20);
        Assert.InRange(new FileInfo(file).Length, 0, (1 << 20) - 1);

        var refused = await Assert.ThrowsAsync<IndexException>(() => index.WriteAsync<int>(static _ => throw new IndexException(SqliteFull, "the disk is full")));
        Assert.True(refused.IsDiskFull);
        Assert.True(SpinWait.SpinUntil(() => new FileInfo(file).Length > 1 << 20, TimeSpan.FromSeconds(30)), "the log was not moved");
        Assert.Equal(7, await index.WriteAsync(static _ => 7));
    }

    /// <summary>Of a quota SQLite says that the write failed; what a flush or the shared memory says leaves open what the disk holds.</summary>
    [Theory]
    [InlineData(SqliteFull, 0, true)]
    [InlineData(SqliteIoErr | (3 << 8), 28, true)] // write, ENOSPC
    [InlineData(SqliteIoErr | (3 << 8), 122, true)] // write, EDQUOT
    [InlineData(SqliteIoErr | (3 << 8), 5, false)] // write, EIO
    [InlineData(SqliteIoErr | (4 << 8), 122, false)] // fsync
    [InlineData(SqliteIoErr | (19 << 8), 28, false)] // shmsize
    [InlineData(SqliteIoErr, 28, false)]
    public void Refusal_OfTheIndex_IsAFullDiskOnlyWhereNothingIsLeftOpen(int code, int errno, bool isFull)
    {
        var refused = new IndexException(code, "refused", errno);
        Assert.Equal((isFull, code & 0xFF), (refused.IsDiskFull, refused.Code));
    }

    [Fact]
    public void Refusal_OfSqliteItself_HasItsCode()
    {
        var refused = Assert.Throws<IndexException>(static () => new Database("/not there/index.db", readOnly: true));
        Assert.Equal((14, false), (refused.Code, refused.IsDiskFull)); // SQLITE_CANTOPEN
    }

    [Fact]
    public async Task Write_AsSoonAsTheIndexIsOpen_IsTheOnlyOneAtIt()
    {
        await using var folder = new Folder();
        using var disk = new DiskThreads(1);
        for (var round = 0; round < 200; round++)
        {
            using var index = new KeyIndex(folder.Path, new BodyFolder(folder.Path, fsync: false, disk, new LocalCounts()));
            var inside = 0;
            var most = 0;
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => index.WriteAsync(
                transaction =>
                {
                    most = Math.Max(most, Interlocked.Increment(ref inside));
                    Thread.SpinWait(20_000);
                    return Interlocked.Decrement(ref inside);
                },
                mayBlock: true))));
            Assert.Equal(1, most);
        }
    }

    [Fact]
    public async Task Get_OfManyParts_HoldsOneFileOpenAtATime()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "counts open files in /proc");
        await using var fixture = await CreateAsync(static options => options.InlineBytes = 0);
        var upload = await fixture.Store.CreateMultipartUploadAsync(Id("k"), new(), default);
        var parts = new List<CompletedPart>();
        for (var i = 1; i <= 50; i++)
        {
            var part = await fixture.Store.UploadPartAsync(Id("k"), upload, i, Content(Random(100, i)), default);
            parts.Add(new CompletedPart(i, part.ETag, null));
        }

        await fixture.Store.CompleteMultipartUploadAsync(Id("k"), upload, new CompleteOptions { Parts = parts }, default);
        await using var body = await fixture.Store.GetObjectAsync(Id("k"), ObjectReadOptions.Whole, default);
        var buffer = new byte[100];
        for (var i = 1; i <= 50; i++)
        {
            await body.Content.ReadExactlyAsync(buffer);
            Assert.Equal(Random(100, i), buffer);
            Assert.InRange(OpenBodies(fixture.Options.Directory), 0, 1);
            if (i == 25)
            {
                // What is still to be read stays, whatever becomes of the key.
                await fixture.Store.DeleteObjectAsync(Id("k"), null, default);
            }
        }

        await body.DisposeAsync();
        await fixture.Store.DisposeAsync();
        Assert.Empty(fixture.BodyFiles());
        await fixture.ReopenAsync();

        static int OpenBodies(string directory) => Directory.GetFiles("/proc/self/fd")
            .Count(link => new FileInfo(link).LinkTarget is { } target && target.StartsWith(directory, StringComparison.Ordinal) && target.Contains(".body", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("2024", true)]
    [InlineData("10.5", true)]
    [InlineData("0xabc", true)]
    [InlineData("192.168.5.4", false)]
    public async Task CreateBucket_NumbersInItsName_OnlyAnAddressIsRefused(string name, bool allowed)
    {
        await using var fixture = await CreateAsync();
        if (allowed)
        {
            await fixture.Store.CreateBucketAsync(name, default);
            Assert.Equal(name, (await fixture.Store.HeadBucketAsync(name, default)).Name);
        }
        else
        {
            await RefusedAsync(S3ErrorCode.InvalidBucketName, async () => await fixture.Store.CreateBucketAsync(name, default));
        }
    }

    private sealed class Folder : IAsyncDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("local-index-").FullName;

        public string[] Bodies() => Directory.GetFiles(Path, "*.body", SearchOption.AllDirectories);

        public ValueTask DisposeAsync()
        {
            Directory.Delete(Path, recursive: true);
            return ValueTask.CompletedTask;
        }
    }
}
