using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>Block reads from NVMe that run ahead of a reader, so that the device works while the last block goes out.</summary>
/// <remarks>
/// A ring of neighbouring blocks in reading order, all of them inside what the client asked for. Its memory counts against the same bound as the leases
/// that reads hold, so many slow clients together get no more than that and then read one block at a time. Used by one <see cref="CachedRead"/>.
/// </remarks>
internal sealed class BlocksAhead(ReadContext context)
{
    /// <summary>Reads that may be under way or waiting beside the block that is being handed out.</summary>
    /// <remarks>Three of 1 MiB keep two of the tier's read threads busy while one block is being sent; more gained nothing (README, "Why it is so").</remarks>
    private const int Depth = 3;

    private readonly Started[] _ring = new Started[Depth];
    private int _first;

    /// <summary>Reads that were begun and not taken yet.</summary>
    public int Count { get; private set; }

    /// <summary>Begins reading what follows <paramref name="place"/>, as far as the tiers have it and the bounds allow.</summary>
    public void Extend(ObjectLayout layout, in BlockPlace place, in ByteSpan span)
    {
        var at = Count == 0 ? place.End : _ring[(_first + Count - 1) % Depth].Place.End;
        while (Count < Depth && at < span.End)
        {
            var next = layout.BlockAt(at);
            if (!context.Tiers.Contains(next.Id, out _) || !context.TryHold(next.Length))
            {
                return;
            }

            // Not cancelled with the request: a read under way ends by itself soon, and its block is of use to the next reader.
            var length = (int)(Math.Min(next.End, span.End) - next.Start);
            _ring[(_first + Count) % Depth] = new Started(next, length, context.Tiers.ReadAsync(next.Id, 0, length, CancellationToken.None));
            Count++;
            at = next.End;
        }
    }

    /// <summary>The oldest read, which is of the block that begins at <paramref name="position"/>.</summary>
    /// <returns>Not found when the tiers did not have it after all; what was read beyond it is then given up.</returns>
    public async ValueTask<TierRead> TakeAsync(long position, CancellationToken cancellation)
    {
        var (place, length, reading) = _ring[_first];
        _ring[_first] = default;
        _first = (_first + 1) % Depth;
        Count--;
        context.Unhold(place.Length);
        if (place.Start != position)
        {
            // A reader only moves forward by whole pieces of blocks, so this is a bug elsewhere; it must cost speed, not bytes.
            Discard(reading);
            return default;
        }

        var read = await reading;
        if (cancellation.IsCancellationRequested)
        {
            read.Lease.Dispose();
            cancellation.ThrowIfCancellationRequested();
        }

        if (read.Found && read.Lease.Length == length)
        {
            return read;
        }

        if (read.Found)
        {
            // A block of another length than the layout says is not this block.
            read.Lease.Dispose();
            context.Tiers.Remove(place.Id);
        }

        return default;
    }

    /// <summary>Gives up everything that was not taken. Does not wait for the device.</summary>
    public void Clear()
    {
        while (Count > 0)
        {
            var (place, _, reading) = _ring[_first];
            _ring[_first] = default;
            _first = (_first + 1) % Depth;
            Count--;
            context.Unhold(place.Length);
            Discard(reading);
        }
    }

    private static void Discard(ValueTask<TierRead> reading)
    {
        if (reading.IsCompletedSuccessfully)
        {
            reading.Result.Lease.Dispose();
            return;
        }

        _ = LetGoAsync(reading);

        static async Task LetGoAsync(ValueTask<TierRead> reading)
        {
            try
            {
                (await reading).Lease.Dispose();
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
            {
                // Nobody wants it any more.
            }
        }
    }

    private readonly record struct Started(BlockPlace Place, int Length, ValueTask<TierRead> Read);
}
