using System.Buffers;
using Proxy.Cache.Fills;
using Proxy.Cache.Metadata;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>The way past the tiers, when all budgets are spent: one reader's own stream from the backend, kept by nobody.</summary>
/// <remarks>A part of one <see cref="CachedRead"/>, pooled with it. How many there are at once is bounded by <see cref="ReadContext"/>.</remarks>
internal sealed class OwnStream(ReadContext context)
{
    private const int BufferBytes = 64 << 10;

    private ObjectBody? _body;
    private byte[]? _buffer;

    public bool IsOpen => _body is not null;

    /// <param name="patience">How long to wait while there are too many.</param>
    /// <returns>False when the backend has another version.</returns>
    /// <exception cref="S3Exception">SlowDown when there are too many; what the backend says.</exception>
    public async ValueTask<bool> TryOpenAsync(CatalogEntry entry, ByteSpan span, IObjectSource source, TimeSpan patience, CancellationToken cancellation)
    {
        var id = entry.Id;
        if (!await context.TryPassAsync(patience, cancellation))
        {
            throw new S3Exception(S3ErrorCode.SlowDown, "/" + id);
        }

        ObjectBody? body = null;
        try
        {
            body = await source.GetObjectAsync(
                id,
                new ObjectReadOptions { Range = ByteRange.FromTo(span.Offset, span.End - 1), Preconditions = new Preconditions { IfMatch = entry.ETag }, AtReadersPace = true },
                cancellation);
            if (body.Info.ETag == entry.ETag && body.Info.Size == entry.Size && body.Span == span)
            {
                _body = body;
                body = null;
                return true;
            }

            return false;
        }
        catch (S3Exception e) when (e.Code == S3ErrorCode.PreconditionFailed || e.Code == S3ErrorCode.InvalidRange || e.Code == S3ErrorCode.NoSuchKey)
        {
            return false;
        }
        catch (Exception e) when (e is not S3Exception and not OperationCanceledException)
        {
            throw BackendErrors.AsUnavailable(e, id);
        }
        finally
        {
            if (_body is null)
            {
                context.EndPass();
            }

            if (body is not null)
            {
                await body.DisposeAsync();
            }
        }
    }

    /// <summary>At most <paramref name="length"/> more bytes, good until the next call; never none.</summary>
    /// <exception cref="IOException">The stream broke or ended too early.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(ObjectId id, long length, CancellationToken cancellation)
    {
        _buffer ??= ArrayPool<byte>.Shared.Rent(BufferBytes);
        int read;
        try
        {
            read = await _body!.Content.ReadAsync(_buffer.AsMemory(0, (int)Math.Min(_buffer.Length, length)), cancellation);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw BackendErrors.Broken(id, e);
        }

        if (read == 0)
        {
            throw BackendErrors.Broken(id, inner: null);
        }

        Interlocked.Add(ref context.Counters.BackendBytes, read);
        return _buffer.AsMemory(0, read);
    }

    public async ValueTask CloseAsync()
    {
        var body = _body;
        _body = null;
        if (body is not null)
        {
            context.EndPass();
            await body.DisposeAsync();
        }

        var buffer = _buffer;
        _buffer = null;
        if (buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
