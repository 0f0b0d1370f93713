using System.Runtime.InteropServices;
using Proxy.Backends.Local.Bodies;
using SQLitePCL;

namespace Proxy.Backends.Local.Index;

/// <summary>SQLite refused: its result code, kept apart from a client's own mistakes.</summary>
/// <param name="code">Primary, or extended.</param>
/// <param name="systemError">errno, where there was one.</param>
internal sealed class IndexException(int code, string message, int systemError = 0) : IOException(message)
{
    /// <summary>SQLite's primary result code.</summary>
    public int Code { get; } = code & 0xFF;

    /// <summary>Nothing was changed, and later there may be room.</summary>
    /// <remarks>
    /// SQLite knows nothing of quotas and calls one that is used up an error of the write. An error of a flush, or of the memory it shares, is another matter whatever its cause: what
    /// is on the disk is not known then.
    /// </remarks>
    public bool IsDiskFull { get; } = (code & 0xFF) == raw.SQLITE_FULL || (code == raw.SQLITE_IOERR_WRITE && DiskErrors.IsFull(systemError));

    /// <summary>The commit itself failed: what it changed may have reached the disk, which only the next start can tell. Otherwise nothing was changed.</summary>
    public bool IsOutcomeUnknown { get; init; }
}

/// <summary>One SQLite connection, as thin as it can be: what ADO.NET would box and copy, this reads in place.</summary>
/// <remarks>Used by one thread at a time. Its statements are disposed with it.</remarks>
internal sealed partial class Database : IDisposable
{
    private readonly sqlite3 _handle;
    private readonly List<Statement> _statements = [];

    static Database() => Batteries_V2.Init();

    public Database(string path, bool readOnly)
    {
        // No mutex inside SQLite: a connection never has two users at once here.
        var flags = raw.SQLITE_OPEN_NOMUTEX | (readOnly ? raw.SQLITE_OPEN_READONLY : raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE);
        var result = raw.sqlite3_open_v2(path, out _handle, flags, null);
        Check(result);
        raw.sqlite3_busy_timeout(_handle, 10_000);
    }

    public void Check(int result)
    {
        if (result is not (raw.SQLITE_OK or raw.SQLITE_ROW or raw.SQLITE_DONE))
        {
            var code = raw.sqlite3_extended_errcode(_handle);
            throw new IndexException(
                (code & 0xFF) == (result & 0xFF) ? code : result, $"The index answered {result}: {raw.sqlite3_errmsg(_handle).utf8_to_string()}", SystemError(_handle));
        }
    }

    public void Execute(string sql) => Check(raw.sqlite3_exec(_handle, sql));

    public Statement Prepare(string sql)
    {
        Check(raw.sqlite3_prepare_v2(_handle, sql, out var handle));
        var statement = new Statement(this, handle);
        _statements.Add(statement);
        return statement;
    }

    /// <summary>Moves what it can of the log into the database without waiting for anybody.</summary>
    /// <returns>Log frames that remain to be moved.</returns>
    public int CheckpointPassive()
    {
        var result = raw.sqlite3_wal_checkpoint_v2(_handle, null, raw.SQLITE_CHECKPOINT_PASSIVE, out var logFrames, out var moved);
        if (result is raw.SQLITE_BUSY)
        {
            return int.MaxValue;
        }

        Check(result);
        return logFrames - moved;
    }

    public void CheckpointTruncate() => _ = raw.sqlite3_wal_checkpoint_v2(_handle, null, raw.SQLITE_CHECKPOINT_TRUNCATE, out _, out _);

    public void Dispose()
    {
        foreach (var statement in _statements)
        {
            statement.Finish();
        }

        _handle.Dispose();
    }

    // The one call that SQLitePCL leaves out.
    [LibraryImport("e_sqlite3", EntryPoint = "sqlite3_system_errno")]
    private static partial int SystemError(sqlite3 handle);
}

/// <summary>A prepared statement. Parameters count from 1, columns from 0. Bind, step, read, <see cref="Reset"/>.</summary>
internal sealed class Statement(Database database, sqlite3_stmt handle)
{
    public Statement Bind(int index, long value)
    {
        database.Check(raw.sqlite3_bind_int64(handle, index, value));
        return this;
    }

    public Statement Bind(int index, long? value) => value is { } some ? Bind(index, some) : BindNull(index);

    public Statement Bind(int index, ReadOnlySpan<byte> value)
    {
        // An empty span has a null pointer, which SQLite would take for NULL.
        database.Check(value.IsEmpty ? raw.sqlite3_bind_zeroblob(handle, index, 0) : raw.sqlite3_bind_blob(handle, index, value));
        return this;
    }

    public Statement Bind(int index, string? text) => text is null ? BindNull(index) : Bind(index, System.Text.Encoding.UTF8.GetBytes(text));

    public Statement BindNull(int index)
    {
        database.Check(raw.sqlite3_bind_null(handle, index));
        return this;
    }

    /// <returns>True when there is a row to read.</returns>
    public bool Step()
    {
        var result = raw.sqlite3_step(handle);
        if (result is raw.SQLITE_ROW)
        {
            return true;
        }

        if (result is not raw.SQLITE_DONE)
        {
            _ = raw.sqlite3_reset(handle);
            database.Check(result);
        }

        return false;
    }

    /// <summary>Steps once and resets: for statements that give no rows.</summary>
    public void Run()
    {
        Step();
        Reset();
    }

    public bool IsNull(int column) => raw.sqlite3_column_type(handle, column) == raw.SQLITE_NULL;

    public long Int64(int column) => raw.sqlite3_column_int64(handle, column);

    public long? NullableInt64(int column) => IsNull(column) ? null : Int64(column);

    /// <summary>Valid until the next step or reset.</summary>
    public ReadOnlySpan<byte> Blob(int column) => raw.sqlite3_column_blob(handle, column);

    public string Text(int column) => System.Text.Encoding.UTF8.GetString(Blob(column));

    public string? NullableText(int column) => IsNull(column) ? null : Text(column);

    public void Reset() => _ = raw.sqlite3_reset(handle);

    internal void Finish() => handle.Dispose();
}
