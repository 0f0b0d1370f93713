using System.Collections.Concurrent;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>A backend in memory, with versions, a log of what it was asked, gates and faults. Thread-safe.</summary>
internal sealed class FakeSource : IObjectSource
{
    private readonly ConcurrentDictionary<ObjectId, Version> _objects = new();
    private readonly ConcurrentQueue<Asked> _log = new();
    private int _etags;

    public sealed record Version(byte[] Bytes, ObjectInfo Info);

    public sealed record Asked(string Verb, ObjectId Id, ByteRange? Range, string? IfMatch);

    /// <summary>Before a request is answered; may wait or throw. The number counts requests from 1.</summary>
    public Func<Asked, int, Task>? BeforeAnswer { get; set; }

    /// <summary>After the version was chosen, before its headers go back.</summary>
    public Func<Asked, Task>? BeforeHeaders { get; set; }

    /// <summary>Before each piece of a body is given; (asked, bytes already given).</summary>
    public Func<Asked, long, Task>? BeforePiece { get; set; }

    /// <summary>Ends a body early: how many bytes it gives.</summary>
    public Func<Asked, long>? CutBodyAt { get; set; }

    public bool IgnoresIfMatch { get; set; }

    public int PieceBytes { get; set; } = 64 << 10;

    public IReadOnlyList<Asked> Log => [.. _log];

    public int Requests => _log.Count;

    public int Gets => _log.Count(asked => asked.Verb == "GET");

    public long GivenBytes;

    public ObjectInfo Put(ObjectId id, byte[] bytes, string? etag = null)
    {
        var info = new ObjectInfo
        {
            Size = bytes.Length,
            ETag = etag ?? $"\"v{Interlocked.Increment(ref _etags)}\"",
            LastModified = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero),
            ContentType = "application/octet-stream",
            Headers = [new("x-amz-meta-a", "b")],
        };
        _objects[id] = new Version(bytes, info);
        return info;
    }

    public void Delete(ObjectId id) => _objects.TryRemove(id, out _);

    public async ValueTask<ObjectInfo> HeadObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation)
    {
        var asked = new Asked("HEAD", id, options.Range, options.Preconditions?.IfMatch);
        return (await FindAsync(asked, options)).Info;
    }

    public async ValueTask<ObjectBody> GetObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation)
    {
        var asked = new Asked("GET", id, options.Range, options.Preconditions?.IfMatch);
        var version = await FindAsync(asked, options);
        var span = new ByteSpan(0, version.Info.Size);
        if (options.Range is { } range && !range.TryResolve(version.Info.Size, out span))
        {
            throw new S3Exception(S3ErrorCode.InvalidRange);
        }

        var length = Math.Min(span.Length, CutBodyAt?.Invoke(asked) ?? long.MaxValue);
        return new ObjectBody(version.Info, span, new Body(this, asked, version.Bytes, (int)span.Offset, (int)length));
    }

    public ValueTask<ListPage> ListObjectsAsync(string bucket, ListQuery query, CancellationToken cancellation) => throw new NotSupportedException();

    private async Task<Version> FindAsync(Asked asked, ObjectReadOptions options)
    {
        _log.Enqueue(asked);
        if (BeforeAnswer is { } before)
        {
            await before(asked, _log.Count);
        }

        if (!_objects.TryGetValue(asked.Id, out var version))
        {
            throw new S3Exception(S3ErrorCode.NoSuchKey);
        }

        if (!IgnoresIfMatch && options.Preconditions?.Evaluate(version.Info.ETag, version.Info.LastModified) == PreconditionOutcome.Failed)
        {
            throw new S3Exception(S3ErrorCode.PreconditionFailed);
        }

        if (BeforeHeaders is { } headers)
        {
            await headers(asked);
        }

        return version;
    }

    private sealed class Body(FakeSource source, Asked asked, byte[] bytes, int offset, int length) : Stream
    {
        private int _given;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (source.BeforePiece is { } before)
            {
                await before(asked, _given).WaitAsync(cancellationToken);
            }

            var piece = Math.Min(Math.Min(buffer.Length, source.PieceBytes), length - _given);
            bytes.AsMemory(offset + _given, piece).CopyTo(buffer);
            _given += piece;
            Interlocked.Add(ref source.GivenBytes, piece);
            return piece;
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
