using System.Collections.Concurrent;
using System.Globalization;
using Proxy.Backends.Local.Bodies;

namespace Proxy.Backends.Local.Index;

/// <summary>The ordered index of one store: buckets, objects, uploads, and who refers to which body.</summary>
/// <remarks>
/// Thread-safe. SQLite with a write-ahead log: keys are BLOBs, so their order is UTF-8 byte order; one thread writes (<see cref="IndexWriter"/>), any number
/// read, and neither waits for the other. A change is durable when its log frame has been flushed, which happens once per batch.
/// </remarks>
internal sealed class KeyIndex : IDisposable
{
    public const string FileName = "index.db";

    /// <summary>Numbers handed out between two notes of how far they went; a crash skips at most as many.</summary>
    private const long IdReserve = 1 << 20;

    /// <summary>Idle connections kept; more readers at once open more and close them again.</summary>
    private const int PooledReaders = 16;

    private const string Schema = """
        CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS buckets(id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB NOT NULL UNIQUE, created INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS objects(bucket INTEGER NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL, size INTEGER NOT NULL, etag BLOB NOT NULL,
            modified INTEGER NOT NULL, class BLOB, checksums BLOB, parts INTEGER, details BLOB NOT NULL, layout BLOB NOT NULL, PRIMARY KEY(bucket, key)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS bodies(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, data BLOB);
        CREATE TABLE IF NOT EXISTS uploads(id INTEGER PRIMARY KEY AUTOINCREMENT, token INTEGER NOT NULL, bucket INTEGER NOT NULL, key BLOB NOT NULL,
            initiated INTEGER NOT NULL, class BLOB, algorithm BLOB, type BLOB, details BLOB NOT NULL);
        CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads(bucket, key, id);
        CREATE INDEX IF NOT EXISTS uploads_by_age ON uploads(initiated);
        CREATE TABLE IF NOT EXISTS parts(upload INTEGER NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, md5 BLOB NOT NULL, modified INTEGER NOT NULL,
            checksums BLOB, layout BLOB NOT NULL, PRIMARY KEY(upload, number)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS completed(id INTEGER PRIMARY KEY, token INTEGER NOT NULL, bucket INTEGER NOT NULL, key BLOB NOT NULL, etag BLOB NOT NULL,
            modified INTEGER NOT NULL, size INTEGER NOT NULL, checksums BLOB, at INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS completed_by_age ON completed(at);
        """;

    private readonly string _path;
    private readonly Database _database;
    private readonly ConcurrentBag<Connection> _readers = [];
    private readonly IndexWriter _writer;
    private int _idle;
    private long _lastId;
    private long _reservedId;

    public KeyIndex(string directory, BodyFolder bodies)
    {
        _path = Path.Combine(directory, FileName);
        _database = new Database(_path, readOnly: false);
        _database.Execute("PRAGMA journal_mode=WAL");
        _database.Execute(Synchronous(bodies.Fsync));
        _database.Execute("PRAGMA cache_size=-65536");
        // A net below the background checkpoints: past 64 MiB of log the commit itself moves it.
        _database.Execute("PRAGMA wal_autocheckpoint=16384");
        _database.Execute(Schema);
        if (bodies.Fsync)
        {
            // The log is a new file after every clean stop: its name must be as durable as what is written to it.
            Native.FlushFolder(directory);
        }

        var buckets = new Dictionary<string, BucketRow>(StringComparer.Ordinal);
        var list = _database.Prepare("SELECT id, name, created FROM buckets");
        while (list.Step())
        {
            buckets.Add(list.Text(1), new BucketRow(list.Int64(0), list.Text(1), list.Int64(2)));
        }

        list.Reset();
        var last = _database.Prepare("SELECT value FROM meta WHERE name='reserved'");
        FirstId = last.Step() ? last.Int64(0) : 0;
        last.Reset();

        // The note is in the commit of what it speaks of, so no body can be beyond it. Were it, its number would be given to another: cheap to make sure.
        var newest = _database.Prepare("SELECT max(id) FROM bodies");
        FirstId = _lastId = newest.Step() ? Math.Max(FirstId, newest.Int64(0)) : FirstId;
        newest.Reset();
        _reservedId = FirstId + IdReserve;
        _database.Execute(string.Create(CultureInfo.InvariantCulture, $"INSERT OR REPLACE INTO meta(name, value) VALUES('reserved', {_reservedId})"));
        _writer = new IndexWriter(this, _database, OpenForCheckpoints(bodies.Fsync), bodies, buckets);
    }

    /// <summary>Every number of this run is greater: a body file with a smaller one that the index does not know is an orphan.</summary>
    public long FirstId { get; }

    /// <summary>As of the last commit.</summary>
    public IReadOnlyDictionary<string, BucketRow> Buckets => _writer.Buckets;

    /// <inheritdoc cref="IndexWriter.Broken"/>
    public IndexException? Broken => _writer.Broken;

    /// <summary>A number for a body or a version, never handed out before.</summary>
    public long NextId() => Interlocked.Increment(ref _lastId);

    /// <summary>Runs <paramref name="mutation"/> in its turn, one at a time; done when it is durable.</summary>
    /// <param name="mutation">May be run twice, the first run undone: it must not change anything but the transaction.</param>
    /// <param name="folder">The folder of a new body file, flushed before the commit; null when there is none.</param>
    /// <param name="inlineBytes">Body bytes that the change puts into the index.</param>
    /// <param name="mayBlock">The caller's own pool thread may do it, flush and all, when nobody else is at it. Not for one of many changes of one request: they would be flushed one by one.</param>
    /// <exception cref="Proxy.S3.Errors.S3Exception">What <paramref name="mutation"/> refuses with.</exception>
    /// <exception cref="IndexException">The disk refused, and nothing was changed unless <see cref="IndexException.IsOutcomeUnknown"/>.</exception>
    public Task<T> WriteAsync<T>(Func<IndexTransaction, T> mutation, string? folder = null, int inlineBytes = 0, bool mayBlock = false) =>
        _writer.WriteAsync(mutation, folder, inlineBytes, mayBlock);

    /// <summary>Borrows a connection. Dispose soon: while it reads, the log cannot start over.</summary>
    public Lease Read()
    {
        if (_readers.TryTake(out var pooled))
        {
            Interlocked.Decrement(ref _idle);
            return new Lease(this, pooled);
        }

        var database = new Database(_path, readOnly: true);
        database.Execute("PRAGMA cache_size=-4096");
        return new Lease(this, new Connection(database, new IndexReader(database)));
    }

    /// <summary>Room for new rows and small bodies that takes none on the disk.</summary>
    public long FreeBytes()
    {
        using var read = Read();
        return read.Reader.FreeBytes();
    }

    public void Dispose()
    {
        _writer.Dispose();
        while (_readers.TryTake(out var reader))
        {
            reader.Database.Dispose();
        }

        _database.CheckpointTruncate();
        _database.Dispose();
    }

    /// <summary>Notes, well before they run out, that more numbers may be in use.</summary>
    /// <returns>What is noted if the transaction is committed: <see cref="NoteReserved"/> is told then. Null when there is no need yet.</returns>
    internal long? ReserveIds(IndexTransaction transaction)
    {
        var last = Volatile.Read(ref _lastId);
        if (last + (IdReserve / 2) <= _reservedId)
        {
            return null;
        }

        transaction.SetReservedId(last + IdReserve);
        return last + IdReserve;
    }

    /// <summary>Only after the commit: a note that was undone is none, and the numbers behind it would be handed out again after a crash.</summary>
    internal void NoteReserved(long id) => _reservedId = id;

    private static string Synchronous(bool fsync) => fsync ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF";

    private Database OpenForCheckpoints(bool fsync)
    {
        var database = new Database(_path, readOnly: false);
        database.Execute(Synchronous(fsync));

        // A connection learns only by reading that there is a log; until then SQLite answers a checkpoint with success and moves nothing.
        database.Execute("SELECT count(*) FROM meta");
        return database;
    }

    private void Return(Connection connection)
    {
        connection.Reader.CloseCursors();
        if (Interlocked.Increment(ref _idle) > PooledReaders)
        {
            Interlocked.Decrement(ref _idle);
            connection.Database.Dispose();
            return;
        }

        _readers.Add(connection);
    }

    internal sealed record Connection(Database Database, IndexReader Reader);

    internal readonly struct Lease(KeyIndex index, Connection connection) : IDisposable
    {
        public IndexReader Reader => connection.Reader;

        public void Dispose() => index.Return(connection);
    }
}
