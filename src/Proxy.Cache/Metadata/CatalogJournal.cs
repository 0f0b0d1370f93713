using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Hashing;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Proxy.Cache.Policy;

namespace Proxy.Cache.Metadata;

/// <summary>Brings the catalog back after a restart: an append-only file of checksummed records beside the NVMe tier.</summary>
/// <remarks>
/// Advice, not truth: a record that does not check ends the reading, a lost tail loses only speed (an entry it brings back is verified with the
/// backend before its first use unless configured otherwise). Written by one task; callers only enqueue. When the queue overflows or the file passes
/// its bound the whole live catalog is written to a new file that replaces the old one. A killed process loses what was queued; a power cut what was
/// written in the last <see cref="SyncEvery"/>; a clean stop nothing. A file that cannot be written is taken away, because it would bring back what was
/// changed since; the live catalog is written anew when that works again.
/// File: magic and version (8 bytes), then records of length (4), XxHash3 of the payload (8), payload.
/// </remarks>
internal sealed partial class CatalogJournal : IAsyncDisposable
{
    private const ulong Magic = 0x31_30_54_41_43_58_33_53; // "S3XCAT01"
    private const int RecordHead = 12;
    private const int MaxRecordBytes = 4 << 20;

    // Far above what a sync of some records costs, far below what a restart that lost more would cost in HEADs.
    private static readonly TimeSpan SyncEvery = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan TryAgainEvery = TimeSpan.FromMinutes(1);

    private readonly string _path;
    private readonly long _maxBytes;
    private readonly int _blockSize;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<object> _changes = Channel.CreateBounded<object>(new BoundedChannelOptions(1 << 16) { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private Task _work = Task.CompletedTask;
    private bool _overflowed;

    public CatalogJournal(string folder, long maxBytes, int blockSize, TimeProvider time, ILogger logger)
    {
        _path = Path.Combine(folder, "catalog.journal");
        _maxBytes = maxBytes;
        _blockSize = blockSize;
        _time = time;
        _logger = logger;
    }

    /// <summary>Completes when what the file held is back in the catalog.</summary>
    public Task Recovered => _recovered.Task;

    private readonly TaskCompletionSource _recovered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Put(CatalogEntry entry) => Enqueue(entry);

    /// <param name="name"><c>bucket/key</c>.</param>
    public void Remove(string name) => Enqueue(name);

    /// <summary>Reads the file in the background, then appends to it.</summary>
    public void Start(ObjectCatalog catalog, ClassRules rules, bool trustRecovered) => _work = Task.Run(() => RunAsync(catalog, rules, trustRecovered));

    public async ValueTask DisposeAsync()
    {
        _changes.Writer.TryComplete();
        _stop.CancelAfter(TimeSpan.FromSeconds(10));
        try
        {
            await _work;
        }
        finally
        {
            _stop.Dispose();
        }
    }

    private void Enqueue(object change)
    {
        if (!_changes.Writer.TryWrite(change))
        {
            // The next batch rewrites the file from the live catalog, which knows better than any queue.
            Volatile.Write(ref _overflowed, true);
        }
    }

    private async Task RunAsync(ObjectCatalog catalog, ClassRules rules, bool trustRecovered)
    {
        try
        {
            await KeepAsync(catalog, () =>
            {
                try
                {
                    return OpenForAppend(Recover(catalog, rules, trustRecovered));
                }
                finally
                {
                    _recovered.TrySetResult();
                }
            });
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
        finally
        {
            // Nobody reads the queue any more: let enqueuing fail at once instead of holding entries.
            _changes.Writer.TryComplete();
        }
    }

    /// <returns>How many bytes of the file are good; 0 when it has to be begun anew.</returns>
    private long Recover(ObjectCatalog catalog, ClassRules rules, bool trustRecovered)
    {
        if (!File.Exists(_path))
        {
            return 0;
        }

        using var file = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1 << 20);
        var head = new byte[RecordHead];
        if (file.ReadAtLeast(head.AsSpan(0, 8), 8, throwOnEndOfStream: false) < 8 || BinaryPrimitives.ReadUInt64LittleEndian(head) != Magic)
        {
            return 0;
        }

        // Nothing is published before the end is reached: a later record may take back an earlier one.
        var found = catalog.NewTable();
        var good = file.Position;
        var payload = new byte[MaxRecordBytes];
        while (file.ReadAtLeast(head, RecordHead, throwOnEndOfStream: false) == RecordHead)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(head);
            if (length is <= 0 or > MaxRecordBytes
                || file.ReadAtLeast(payload.AsSpan(0, length), length, throwOnEndOfStream: false) < length
                || XxHash3.HashToUInt64(payload.AsSpan(0, length)) != BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(4))
                || !TryApply(payload, length, found, rules))
            {
                break;
            }

            good = file.Position;
        }

        var count = found.Count;
        foreach (var entry in found.Enumerate())
        {
            // What may change is never taken on trust after a time in which we saw nothing.
            entry.Trusted = trustRecovered && entry.Policy.Class == ObjectClass.Immutable;
            catalog.Recover(entry);
        }

        LogRecovered(count, good, file.Length - good);
        return good;
    }

    private bool TryApply(byte[] payload, int length, EntryTable found, ClassRules rules)
    {
        try
        {
            using var reader = new BinaryReader(new MemoryStream(payload, 0, length, writable: false), Encoding.UTF8);
            if (reader.ReadByte() == 1)
            {
                // The last word on its key, whatever came before, also where it says nothing that can be used.
                var (id, entry) = JournalRecord.Read(reader, _blockSize, rules);
                if (entry is not null)
                {
                    found.Set(entry);
                }
                else
                {
                    found.Remove(id.Bucket, id.Key);
                }
            }
            else
            {
                var name = reader.ReadString();
                var slash = name.IndexOf('/');
                found.Remove(name.AsSpan(0, slash), name.AsSpan(slash + 1));
            }

            return true;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or ArgumentException or FormatException)
        {
            return false;
        }
    }

    /// <summary>Appends until the proxy stops. After a failure what is in the file is not what is known any more: it goes, and the catalog is written anew when that works.</summary>
    private async Task KeepAsync(ObjectCatalog catalog, Func<FileStream> open)
    {
        for (var isLast = false; ; open = () => Rewrite(catalog))
        {
            try
            {
                await WriteAsync(open(), catalog);
                return;
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                Discard();
                LogBroken(_path, TryAgainEvery.TotalSeconds, e);
            }

            if (isLast)
            {
                return;
            }

            isLast = !await PassOverAsync();
        }
    }

    /// <summary>Lets the changes of <see cref="TryAgainEvery"/> go by: the catalog has them.</summary>
    /// <returns>False when no more will come.</returns>
    private async Task<bool> PassOverAsync()
    {
        using var over = new CancellationTokenSource(TryAgainEvery, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(over.Token, _stop.Token);
        try
        {
            while (await _changes.Reader.WaitToReadAsync(either.Token))
            {
                while (_changes.Reader.TryRead(out _))
                {
                }
            }

            return false;
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            return true;
        }
    }

    private void Discard()
    {
        _ = Try(() => File.Delete(_path + ".new"));
        if (!Try(() => File.Delete(_path)))
        {
            // In a folder that we may not change the file may still be ours.
            _ = Try(() => new FileStream(_path, FileMode.Truncate, FileAccess.Write).Dispose());
        }

        static bool Try(Action change)
        {
            try
            {
                change();
                return true;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }

    private async Task WriteAsync(FileStream file, ObjectCatalog catalog)
    {
        var synced = Stopwatch.GetTimestamp();
        try
        {
            while (await _changes.Reader.WaitToReadAsync(_stop.Token))
            {
                while (_changes.Reader.TryRead(out var change))
                {
                    Append(file, change);
                }

                // To the operating system each time: a killed process loses nothing of it. To the disk now and then.
                await file.FlushAsync(_stop.Token);
                if (Stopwatch.GetElapsedTime(synced) > SyncEvery)
                {
                    file.Flush(flushToDisk: true);
                    synced = Stopwatch.GetTimestamp();
                }

                if (file.Length > _maxBytes || Volatile.Read(ref _overflowed))
                {
                    Volatile.Write(ref _overflowed, false);
                    var old = file;
                    file = Rewrite(catalog);
                    await old.DisposeAsync();
                }
            }

            file.Flush(flushToDisk: true);
        }
        finally
        {
            await file.DisposeAsync();
        }
    }

    private FileStream OpenForAppend(long usable)
    {
        var file = new FileStream(_path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, 1 << 18);
        file.SetLength(usable);
        file.Seek(0, SeekOrigin.End);
        if (usable == 0)
        {
            Begin(file);
        }

        return file;
    }

    private static void Begin(FileStream file)
    {
        Span<byte> magic = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(magic, Magic);
        file.Write(magic);
    }

    private FileStream Rewrite(ObjectCatalog catalog)
    {
        var next = new FileStream(_path + ".new", FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 18);
        try
        {
            Begin(next);
            foreach (var entry in catalog.Enumerate(""))
            {
                // Half the bound at most: a catalog larger than its journal keeps what it met first and the file stays bounded.
                if (next.Position > _maxBytes / 2)
                {
                    break;
                }

                Append(next, entry);
            }

            // Before the name is its own: a power cut must not leave an empty file where a good one was.
            next.Flush(flushToDisk: true);
            File.Move(_path + ".new", _path, overwrite: true);
            return next;
        }
        catch
        {
            next.Dispose();
            throw;
        }
    }

    private void Append(FileStream file, object change)
    {
        var payload = change is CatalogEntry entry ? JournalRecord.Put(entry, _blockSize) : JournalRecord.Removal((string)change);
        if (payload.Length > MaxRecordBytes)
        {
            return;
        }

        Span<byte> head = stackalloc byte[RecordHead];
        BinaryPrimitives.WriteInt32LittleEndian(head, payload.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(head[4..], XxHash3.HashToUInt64(payload));
        file.Write(head);
        file.Write(payload);
    }

    [LoggerMessage(3301, LogLevel.Information, "Catalog: {Entries} entries recovered from {Bytes} bytes of journal, {Dropped} bytes at its end did not check")]
    private partial void LogRecovered(long entries, long bytes, long dropped);

    [LoggerMessage(3302, LogLevel.Warning, "Catalog journal {Path} cannot be used: what is cached now would cost a HEAD per object after a restart. Check the disk and its free space; it is begun anew as soon as it can be, tried every {Seconds} s")]
    private partial void LogBroken(string path, double seconds, Exception exception);
}
