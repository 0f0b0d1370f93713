using System.Buffers;
using System.Security.Cryptography;
using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Fills;

/// <summary>Brings a fill's bytes: asks the backend for the version the fill is of, reads its answer into blocks, hands each full one over.</summary>
/// <remarks>Between <see cref="FillCoordinator"/>, which decides what is fetched, and the backend. Thread-safe; one call drives one fill.</remarks>
/// <param name="publish">Takes each block when it is full.</param>
internal sealed class FillFetcher(CacheOptions options, TierStack tiers, CacheCounters counters, TimeProvider time, Action<Fill, BlockPlace, Block> publish)
{
    /// <summary>A source that takes longer to say no has made its own tries; the fill's readers have been silent for as long, and no client waits for another such round.</summary>
    private static readonly TimeSpan WorthAnotherTry = TimeSpan.FromSeconds(5);

    /// <summary>Asks, reads, and asks again from where it stopped, a bounded number of times.</summary>
    public async Task<(FillEnd End, Exception? Error)> FetchAsync(Fill fill, IObjectSource source, ObjectBody? first)
    {
        var stop = fill.Stop.Token;
        var silentSince = time.GetTimestamp();
        for (var attempt = 1; ; attempt++)
        {
            var before = fill.Received;
            try
            {
                var body = first ?? await AskAsync(fill, source, stop);
                first = null;
                await using (body)
                {
                    if (!IsSameVersion(fill.Entry, body.Info))
                    {
                        return (FillEnd.VersionChanged, null);
                    }

                    return (await PumpAsync(fill, body, stop), null);
                }
            }
            catch (S3Exception e) when (e.Code == S3ErrorCode.PreconditionFailed || e.Code == S3ErrorCode.InvalidRange)
            {
                return (FillEnd.VersionChanged, null);
            }
            catch (S3Exception e) when (e.Code == S3ErrorCode.NoSuchKey)
            {
                // The backend's own word: the only thing that removes.
                return (FillEnd.VersionChanged, e);
            }
            catch (S3Exception e) when (!BackendErrors.IsTransient(e))
            {
                return (FillEnd.Failed, e);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return (FillEnd.Cancelled, null);
            }
            catch (Exception e)
            {
                // Progress earns a new set of attempts: a long transfer over a bad line is not given up for its length.
                if (fill.Received > before)
                {
                    (attempt, silentSince) = (1, time.GetTimestamp());
                }

                if (attempt >= options.Fills.MaxAttempts || fill.IsAbandoned || time.GetElapsedTime(silentSince) > WorthAnotherTry)
                {
                    return (FillEnd.Failed, BackendErrors.AsUnavailable(e, fill.Entry.Id));
                }

                Interlocked.Increment(ref counters.FillsRetried);
                await Task.Delay(TimeSpan.FromMilliseconds((50 << Math.Min(attempt - 1, 5)) + RandomNumberGenerator.GetInt32(50)), time, CancellationToken.None);
            }
        }
    }

    private static ValueTask<ObjectBody> AskAsync(Fill fill, IObjectSource source, CancellationToken stop)
    {
        var from = fill.Received;
        var whole = from == 0 && fill.StopsAt == fill.Entry.Size;
        return source.GetObjectAsync(
            fill.Entry.Id,
            new ObjectReadOptions
            {
                Range = whole ? null : ByteRange.FromTo(from, fill.StopsAt - 1),
                Preconditions = new Preconditions { IfMatch = fill.Entry.ETag },
            },
            stop);
    }

    // Also for a backend that ignores If-Match.
    private static bool IsSameVersion(CatalogEntry entry, ObjectInfo info) => info.Size == entry.Size && info.ETag == entry.ETag;

    private async Task<FillEnd> PumpAsync(Fill fill, ObjectBody body, CancellationToken stop)
    {
        var from = fill.Received;
        if (body.Span.Offset > from)
        {
            throw new IOException($"The backend answered bytes from {body.Span.Offset} where {from} were asked for.");
        }

        await SkipAsync(body.Content, from - body.Span.Offset, stop);
        for (var index = fill.IndexOf(from); index < fill.Units.Count; index++)
        {
            var unit = fill.Units[index];
            if (fill.Received == unit.Start && fill.IsAbandoned)
            {
                return FillEnd.Cancelled;
            }

            var block = fill.BlockOf(index);
            if (block is null)
            {
                if (!tiers.TryRent(unit.Length, out block))
                {
                    return FillEnd.NoMemory;
                }

                fill.Place(index, block);
            }

            while (fill.Received < unit.End)
            {
                var read = await body.Content.ReadAsync(block.Memory[(int)(fill.Received - unit.Start)..unit.Length], stop);
                if (read == 0)
                {
                    throw new IOException($"The backend's answer ended at byte {fill.Received} of {fill.StopsAt}.");
                }

                Interlocked.Add(ref counters.BackendBytes, read);
                fill.Advance(read);
            }

            publish(fill, unit, block);

            // A backend as quick as this loop would keep the thread it began on until the end: the reader who has a block to send now, or the socket engine's,
            // and every connection it serves.
            if (index + 1 < fill.Units.Count && (index == 0 || !Thread.CurrentThread.IsThreadPoolThread))
            {
                await Task.Yield();
            }
        }

        return FillEnd.Complete;
    }

    private async ValueTask SkipAsync(Stream content, long bytes, CancellationToken stop)
    {
        if (bytes == 0)
        {
            return;
        }

        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(bytes, 64 << 10));
        try
        {
            while (bytes > 0)
            {
                var read = await content.ReadAsync(buffer.AsMemory(0, (int)Math.Min(bytes, buffer.Length)), stop);
                if (read == 0)
                {
                    throw new IOException("The backend's answer ended before the bytes that were asked for.");
                }

                Interlocked.Add(ref counters.BackendBytes, read);
                bytes -= read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
