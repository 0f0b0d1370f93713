using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>Leases on every block of a small span, taken before its first byte leaves: what a read from memory alone needs.</summary>
/// <remarks>A part of one <see cref="CachedRead"/>, pooled with it. No allocation after that.</remarks>
internal sealed class HeldLeases(ReadContext context)
{
    private readonly BlockLease[] _leases = new BlockLease[ReadContext.MaxLeases];

    // Where each begins in the object.
    private readonly long[] _starts = new long[ReadContext.MaxLeases];
    private int _count;
    private int _next;
    private long _bytes;
    private bool _counted;

    /// <summary>Leases were taken, on all of the span, and not given back.</summary>
    public bool Any => _count > 0;

    /// <summary>Takes leases on all of the span, if all of it lies in memory and the common bound on held bytes allows it.</summary>
    /// <returns>False takes nothing.</returns>
    public bool TryTake(ObjectLayout layout, ByteSpan span)
    {
        for (var at = span.Offset; at < span.End;)
        {
            if (_count == ReadContext.MaxLeases)
            {
                return GiveBack();
            }

            var place = layout.BlockAt(at);
            if (!context.Tiers.TryGetFromMemory(place.Id, out var lease))
            {
                place = layout.GranuleAt(at);
                if (!context.Tiers.TryGetFromMemory(place.Id, out lease))
                {
                    return GiveBack();
                }
            }

            // A block of another length than the layout says is not this block.
            if (lease.Length != place.Length)
            {
                lease.Dispose();
                return GiveBack();
            }

            _leases[_count] = lease;
            _starts[_count++] = place.Start;
            _bytes += place.Length;
            at = place.End;
        }

        // One block is what any read may hold; more has to fit the common bound.
        _counted = _count > 1;
        if (_counted && !context.TryHold(_bytes))
        {
            _counted = false;
            return GiveBack();
        }

        return true;
    }

    /// <summary>The next lease and what of it lies between <paramref name="position"/> and <paramref name="end"/>.</summary>
    /// <param name="lease">The caller's from now on; empty when there is none.</param>
    public bool TryNext(long position, long end, out BlockLease lease, out ReadOnlyMemory<byte> piece)
    {
        if (_next == _count)
        {
            (lease, piece) = (default, default);
            return false;
        }

        lease = _leases[_next];

        // Handed over: Release must not release it a second time.
        _leases[_next] = default;
        var offset = (int)(position - _starts[_next++]);
        piece = lease.Memory[offset..(int)Math.Min(lease.Length, offset + end - position)];
        return true;
    }

    /// <summary>Gives back what was not handed over.</summary>
    public void Release()
    {
        for (; _next < _count; _next++)
        {
            _leases[_next].Dispose();
            _leases[_next] = default;
        }

        if (_counted)
        {
            context.Unhold(_bytes);
        }

        (_count, _next, _bytes, _counted) = (0, 0, 0, false);
    }

    private bool GiveBack()
    {
        Release();
        return false;
    }
}
