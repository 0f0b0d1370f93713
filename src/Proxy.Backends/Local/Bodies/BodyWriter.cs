using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local.Bodies;

/// <summary>A body received to its end and safe on disk, or small enough to go into the index.</summary>
/// <param name="Inline">The bytes of a small body; null when they are in a file.</param>
internal sealed record ReceivedBody(long Body, long Size, byte[] Md5, byte[]? Inline, ObjectChecksums? Checksums)
{
    public IReadOnlyList<Extent> Extents => Size == 0 ? [] : [new Extent(Body, 0, Size, Inline is not null)];

    public bool HasFile => Inline is null && Size > 0;
}

/// <summary>Receives one upload: hashes while it writes, flushes, and leaves nothing behind when the upload fails.</summary>
/// <remarks>Memory per upload is two buffers, as large as <see cref="UploadBuffers"/> lets them be: one is hashed and written while the next fills. The folder's flush is left to the commit, which has it done once for a batch.</remarks>
internal static class BodyWriter
{
    /// <exception cref="S3Exception">What the content's stream throws; SlowDown or InternalError when the disk refuses.</exception>
    public static async Task<ReceivedBody> ReceiveAsync(BodyFolder folder, Func<long> nextBody, UploadContent content, int inlineBytes, long maxBytes, CancellationToken cancellation)
    {
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        var small = content.Length is { } known && known <= inlineBytes;
        var step = small ? 0 : folder.Buffers.Begin();
        var buffer = ArrayPool<byte>.Shared.Rent(small ? Math.Max((int)content.Length!.Value, 1) : content.Length is null ? Math.Max(step, inlineBytes + 1) : step);
        try
        {
            // One byte beyond the inline limit tells whether the body goes on; a known small one is read to its verified end as well.
            var filled = await content.Stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false);
            var ended = filled < buffer.Length;
            if (!ended && small)
            {
                ended = await content.Stream.ReadAsync(new byte[1], cancellation).ConfigureAwait(false) == 0;
                if (!ended)
                {
                    throw new S3Exception(S3ErrorCode.InvalidRequest, message: "The body is longer than declared.");
                }
            }

            if (ended && filled <= inlineBytes)
            {
                md5.AppendData(buffer, 0, filled);
                CheckLength(content, filled);
                return new ReceivedBody(nextBody(), filled, md5.GetHashAndReset(), buffer.AsSpan(0, filled).ToArray(), content.ChecksumsAfterEnd());
            }

            return await ReceiveFileAsync(folder, nextBody(), content, buffer, filled, step, md5, maxBytes, cancellation).ConfigureAwait(false);
        }
        finally
        {
            folder.Buffers.End(step);
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task<ReceivedBody> ReceiveFileAsync(
        BodyFolder folder, long body, UploadContent content, byte[] first, int filled, int step, IncrementalHash md5, long maxBytes, CancellationToken cancellation)
    {
        var other = ArrayPool<byte>.Shared.Rent(step);
        SafeFileHandle? file = null;
        Task? write = null;
        try
        {
            await OnDiskAsync(folder, () => file = folder.Create(body, content.Length ?? 0)).ConfigureAwait(false);
            var (current, next) = (first, other);
            long offset = 0;
            while (filled > 0)
            {
                var (bytes, at, count) = (current, offset, filled);
                write = OnDiskAsync(folder, () =>
                {
                    RandomAccess.Write(file!, bytes.AsSpan(0, count), at);
                    Native.StartWriteBack(file!, at, count);
                });
                md5.AppendData(bytes, 0, count);
                offset += count;
                if (offset > maxBytes)
                {
                    // Only now: a body sent in chunks of HTTP does not say how long it will be.
                    throw new S3Exception(S3ErrorCode.EntityTooLarge);
                }

                // Fills the other buffer while this one is being written.
                filled = await content.Stream.ReadAtLeastAsync(next, next.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false);
                await write.ConfigureAwait(false);
                (current, next) = (next, current);
            }

            CheckLength(content, offset);
            if (folder.Fsync)
            {
                await OnDiskAsync(folder, () => RandomAccess.FlushToDisk(file!)).ConfigureAwait(false);
                Interlocked.Increment(ref folder.Counts.BodyFlushes);
            }

            Interlocked.Add(ref folder.Counts.BytesWritten, offset);
            return new ReceivedBody(body, offset, md5.GetHashAndReset(), null, content.ChecksumsAfterEnd());
        }
        catch
        {
            if (write is not null)
            {
                // A write still under way uses the file and the buffers.
                await write.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            if (file is not null)
            {
                file.Dispose();
                folder.Remove(body);
            }

            throw;
        }
        finally
        {
            file?.Dispose();
            ArrayPool<byte>.Shared.Return(other);
        }
    }

    /// <summary>What the disk refuses becomes the client's answer here; what the content's stream throws passes as it is.</summary>
    private static async Task OnDiskAsync(BodyFolder folder, Action work)
    {
        try
        {
            await folder.Disk.RunAsync(work).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DiskErrors.ToS3(e);
        }
    }

    private static void CheckLength(UploadContent content, long received)
    {
        if (content.Length is { } declared && declared != received)
        {
            throw new S3Exception(S3ErrorCode.IncompleteBody);
        }
    }
}
