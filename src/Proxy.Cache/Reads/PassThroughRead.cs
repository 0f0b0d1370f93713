using System.Buffers;
using Proxy.Cache.Fills;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>The backend's answer as it comes, through one small buffer: class bypass, or no cache.</summary>
internal sealed class PassThroughRead(ObjectId id, ObjectInfo info, ObjectBody? body, bool isPartial, MilvusKind kind, CacheCounters counters) : ObjectRead
{
    private const int BufferBytes = 64 << 10;
    private byte[]? _buffer;
    private long _left = body?.Span.Length ?? 0;
    private long _given;
    private bool _disposed;

    public override ObjectInfo Info => info;

    public override ByteSpan Span => body?.Span ?? new ByteSpan(0, info.Size);

    public override bool IsPartial => isPartial;

    public override CacheOutcome Outcome => CacheOutcome.Bypass;

    public override MilvusKind Kind => kind;

    public override async ValueTask<ReadOnlyMemory<byte>> ReadNextAsync(CancellationToken cancellation)
    {
        if (_left == 0)
        {
            return default;
        }

        _buffer ??= ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            var read = await body!.Content.ReadAsync(_buffer.AsMemory(0, (int)Math.Min(_buffer.Length, _left)), cancellation);
            if (read == 0)
            {
                throw new IOException($"The backend's answer ended {_left} bytes early.");
            }

            _left -= read;
            _given += read;
            return _buffer.AsMemory(0, read);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw e as IOException ?? BackendErrors.Broken(id, e);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        counters.CountBytes(Outcome, kind, 0, 0, _given);
        Interlocked.Decrement(ref counters.OpenReads);
        if (body is not null)
        {
            await body.DisposeAsync();
        }

        // Null first: never return it twice.
        var buffer = _buffer;
        _buffer = null;
        if (buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
