using Proxy.Backends.Local.Bodies;
using SQLitePCL;

namespace Proxy.Backends.Local.Index;

/// <summary>Changes the index, one batch at a time. Whatever waits when a commit ends is the next batch: one transaction, one flush.</summary>
/// <remarks>
/// Thread-safe. Batches are committed by a thread of our own; only a change that finds nobody committing may be committed where it is asked for, which saves
/// it two hand-overs (bench/results/front). A batch: (1) apply each mutation, those that refuse leave no trace; (2) flush the folders of new body files; (3) commit, which flushes the log;
/// (4) show the new buckets, retire dropped bodies, answer. When anything but a refusal goes wrong the batch is undone and every mutation is tried alone, so that
/// one cannot spoil the others. A full disk undoes a change and no more; after any other failure of a commit nothing is committed again.
/// </remarks>
internal sealed class IndexWriter : IDisposable
{
    /// <summary>Bounds how long a mutation waits for the others in its batch.</summary>
    private const int MaxBatch = 512;

    /// <summary>Log bytes, estimated, after which the checkpointer moves them into the database.</summary>
    private const long CheckpointBytes = 16 << 20;

    /// <summary>What a mutation is taken to add to the log beside inline bytes: three pages.</summary>
    private const long MutationBytes = 12 << 10;

    private readonly object _gate = new();
    private readonly KeyIndex _index;
    private readonly Database _database;
    private readonly Database _checkpoints;
    private readonly BodyFolder _bodies;
    private readonly IndexTransaction _transaction;
    private readonly Thread _thread;
    private readonly Thread _checkpointer;
    private readonly AutoResetEvent _checkpointDue = new(initialState: false);
    private List<IndexMutation> _queue = [];
    private Dictionary<string, BucketRow> _buckets;
    private bool _committing;
    private bool _stopping;
    private volatile bool _finishCheckpoint;
    private long _sinceCheckpoint;
    private volatile IndexException? _broken;

    public IndexWriter(KeyIndex index, Database database, Database checkpoints, BodyFolder bodies, Dictionary<string, BucketRow> buckets)
    {
        _index = index;
        _database = database;
        _checkpoints = checkpoints;
        _bodies = bodies;
        _buckets = buckets;
        _transaction = new IndexTransaction(database);
        _thread = new Thread(Run) { IsBackground = true, Name = "index-writer" };
        _checkpointer = new Thread(Checkpoint) { IsBackground = true, Name = "index-checkpoint" };
        _thread.Start();
        _checkpointer.Start();
    }

    public Dictionary<string, BucketRow> Buckets => Volatile.Read(ref _buckets);

    /// <summary>Why no change is taken any more; null while they are.</summary>
    public IndexException? Broken => _broken;

    /// <param name="mutation">May be run twice, the first run undone.</param>
    /// <param name="folder">The folder of a new body file; null when there is none.</param>
    /// <param name="inlineBytes">What goes into the log beside the rows.</param>
    /// <param name="mayBlock">
    /// The caller's thread may be held up for a flush. Never more than one is, and none that does not belong to the pool: the socket engine's serve others too.
    /// </param>
    public Task<T> WriteAsync<T>(Func<IndexTransaction, T> mutation, string? folder, int inlineBytes, bool mayBlock)
    {
        var item = new IndexMutation<T>(mutation, folder, inlineBytes);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            if (!mayBlock || _committing || _queue.Count > 0 || !Thread.CurrentThread.IsThreadPoolThread)
            {
                _queue.Add(item);
                if (_queue.Count == 1 && !_committing)
                {
                    Monitor.Pulse(_gate);
                }

                return item.Done;
            }

            _committing = true;
        }

        Commit([item]);
        lock (_gate)
        {
            _committing = false;
            if (_queue.Count > 0 || IsCheckpointDue || _stopping)
            {
                Monitor.Pulse(_gate);
            }
        }

        return item.Done;
    }

    /// <summary>Commits what is queued, then stops.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
        }

        _thread.Join();
        _checkpointDue.Set();
        _checkpointer.Join();
        _checkpoints.Dispose();
        _checkpointDue.Dispose();
    }

    private bool IsCheckpointDue => _finishCheckpoint || _sinceCheckpoint > CheckpointBytes;

    private void Run()
    {
        var batch = new List<IndexMutation>();
        while (Take(batch))
        {
            if (batch.Count > 0)
            {
                Commit(batch);
                batch.Clear();
            }

            MoveCheckpointOn();
            lock (_gate)
            {
                _committing = false;
            }
        }
    }

    /// <summary>Waits for its turn and takes it: after true nobody else commits until <see cref="_committing"/> is taken back.</summary>
    /// <returns>False at the end. An empty batch when only a checkpoint is to be moved on.</returns>
    private bool Take(List<IndexMutation> batch)
    {
        lock (_gate)
        {
            while (_queue.Count == 0 && !IsCheckpointDue)
            {
                if (_stopping && !_committing)
                {
                    return false;
                }

                Monitor.Wait(_gate);
            }

            while (_committing)
            {
                Monitor.Wait(_gate);
            }

            _committing = true;
            var take = Math.Min(_queue.Count, MaxBatch);
            batch.AddRange(_queue.GetRange(0, take));
            _queue.RemoveRange(0, take);
            return true;
        }
    }

    /// <summary>Ends every mutation of the batch, whatever happens. Called by whoever has set <see cref="_committing"/>.</summary>
    private void Commit(List<IndexMutation> batch)
    {
        try
        {
            CommitTogether(batch);
        }
        catch (Exception e) when (batch.Count == 1 || _broken is not null)
        {
            batch.ForEach(mutation => mutation.Fail(e));
        }
        catch (Exception)
        {
            batch.ForEach(CommitAlone);
        }
    }

    private void CommitAlone(IndexMutation mutation)
    {
        try
        {
            CommitTogether([mutation]);
        }
        catch (Exception e)
        {
            mutation.Fail(e);
        }
    }

    private void CommitTogether(List<IndexMutation> batch)
    {
        if (_broken is not null)
        {
            throw _broken;
        }

        long? reserved = null;
        _transaction.Begin(_buckets);
        try
        {
            var applied = 0;
            foreach (var mutation in batch)
            {
                mutation.Apply(_transaction);
                applied += mutation.IsRefused ? 0 : 1;
            }

            if (applied > 0)
            {
                reserved = _index.ReserveIds(_transaction);
                FlushFolders(batch);
            }

            CommitTransaction();
        }
        catch (Exception e)
        {
            Undo();
            if (e is IndexException { IsDiskFull: true })
            {
                // The log has no room to grow: moved into the database it starts over in what it has, and the next change, a delete perhaps, finds room.
                _sinceCheckpoint = CheckpointBytes + 1;
            }

            throw;
        }

        if (reserved is { } noted)
        {
            _index.NoteReserved(noted);
        }

        if (_transaction.BucketsChanged)
        {
            Volatile.Write(ref _buckets, _transaction.Buckets);
        }

        _bodies.Retire(_transaction.Retired);
        var counts = _bodies.Counts;
        Interlocked.Increment(ref counts.Commits);
        Interlocked.Add(ref counts.Mutations, batch.Count);
        counts.LargestBatch = Math.Max(counts.LargestBatch, batch.Count);
        foreach (var mutation in batch)
        {
            _sinceCheckpoint += MutationBytes + mutation.InlineBytes;
            mutation.Succeed();
        }
    }

    private void CommitTransaction()
    {
        try
        {
            _transaction.Commit();
        }
        catch (IndexException e) when (!e.IsDiskFull)
        {
            throw new IndexException(e.Code, Break(e.Code, e.Message).Message) { IsOutcomeUnknown = true };
        }
    }

    /// <summary>After a failed flush nobody knows which pages the disk holds (Linux forgets them once it has told): no more writes until a restart has read the log.</summary>
    /// <returns>What everybody is told who comes later: of theirs nothing was tried.</returns>
    private IndexException Break(int code, string why)
        => _broken = new IndexException(code, $"The index could not be flushed and takes no more writes; check the disk and restart. {why}");

    private void Undo()
    {
        try
        {
            _transaction.Rollback();
        }
        catch (IndexException)
        {
            // SQLite has rolled back already.
        }
    }

    private void FlushFolders(List<IndexMutation> batch)
    {
        if (!_bodies.Fsync)
        {
            return;
        }

        HashSet<string>? flushed = null;
        foreach (var mutation in batch)
        {
            if (mutation is { Folder: { } folder, IsRefused: false } && (flushed ??= new(StringComparer.Ordinal)).Add(folder))
            {
                try
                {
                    Native.FlushFolder(folder);
                }
                catch (FlushFailedException e)
                {
                    throw Break(raw.SQLITE_IOERR, e.Message);
                }

                Interlocked.Increment(ref _bodies.Counts.BodyFlushes);
            }
        }
    }

    private void MoveCheckpointOn()
    {
        if (_finishCheckpoint)
        {
            // The checkpointer has moved nearly everything; the little that came meanwhile follows here, where no commit can come in between. The log then starts over.
            _finishCheckpoint = false;
            try
            {
                _database.CheckpointPassive();
            }
            catch (IndexException)
            {
                // As in Checkpoint: the log keeps what could not be moved, on a full disk for instance, and the next one tries again.
            }
        }
        else if (_sinceCheckpoint > CheckpointBytes)
        {
            _sinceCheckpoint = 0;
            _checkpointDue.Set();
        }
    }

    private void Checkpoint()
    {
        while (true)
        {
            _checkpointDue.WaitOne();
            lock (_gate)
            {
                if (_stopping)
                {
                    return;
                }
            }

            try
            {
                _checkpoints.CheckpointPassive();
                _finishCheckpoint = true;
            }
            catch (IndexException)
            {
                // The next one, or the commit that finds the log too long, tries again; a disk that fails for good shows in the commits.
            }
        }
    }
}
