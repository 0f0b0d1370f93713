using System.Runtime.CompilerServices;
using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>Leases on every block of a small span, taken before its first byte leaves: what a read that waits for nobody once it has begun needs.</summary>
/// <remarks>A part of one <see cref="CachedRead"/>, pooled with it. No allocation after that.</remarks>
internal sealed class HeldLeases(ReadContext context)
{
    /// <summary>Blocks brought from NVMe for one read: an unaligned range of as much as three blocks. More is better sent while it is read (<see cref="BlocksAhead"/>).</summary>
    public const int MaxBrought = 4;

    private readonly BlockLease[] _leases = new BlockLease[ReadContext.MaxLeases];

    // Where each begins in the object.
    private readonly long[] _starts = new long[ReadContext.MaxLeases];
    private readonly Tier[] _tiers = new Tier[ReadContext.MaxLeases];
    private readonly Started[] _reading = new Started[MaxBrought];
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
                return GiveBack(); // what was looked for in large pieces has come in small ones
            }

            var place = layout.BlockAt(at);
            if (_count == 0 && place.End < span.End && !LieInMemory(layout, span))
            {
                return false;
            }

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
            _tiers[_count] = Tier.Memory;
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

    /// <summary>Whether <see cref="BringAsync"/> could have all of the span, as far as a look tells, and the common bound on held bytes allows it.</summary>
    /// <returns>False takes nothing.</returns>
    public bool CanBring(ObjectLayout layout, ByteSpan span)
    {
        var blocks = 0;
        for (var at = span.Offset; at < span.End; blocks++)
        {
            var place = layout.BlockAt(at);
            if (blocks == MaxBrought || !context.Tiers.Contains(place.Id, out _))
            {
                return GiveBack();
            }

            _bytes += place.Length;
            at = place.End;
        }

        _counted = blocks > 1 && context.TryHold(_bytes);
        return blocks == 1 || _counted || GiveBack();
    }

    /// <summary>Leases on all of the span, read from NVMe where memory has it not; all of it at once. After <see cref="CanBring"/>.</summary>
    /// <returns>The slowest tier any of it came from; <see cref="Tier.None"/> when something was not to be had after all: nothing is held then.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Tier> BringAsync(ObjectLayout layout, ByteSpan span)
    {
        for (var at = span.Offset; at < span.End;)
        {
            var place = layout.BlockAt(at);
            var length = (int)(Math.Min(place.End, span.End) - at);

            // Not cancelled with the request: a read under way ends by itself soon.
            _reading[_count] = new Started(context.Tiers.ReadAsync(place.Id, (int)(at - place.Start), length, CancellationToken.None));
            _starts[_count++] = at;
            at += length;
        }

        var lowest = Tier.Memory;
        var isWhole = true;
        for (var i = 0; i < _count; i++)
        {
            var read = await _reading[i].Read;
            _reading[i] = default;
            (_leases[i], _tiers[i]) = read;
            lowest = read.Tier == Tier.Nvme ? Tier.Nvme : lowest;
            isWhole &= read.Found && read.Lease.Length == (i + 1 < _count ? _starts[i + 1] : span.End) - _starts[i];
        }

        if (!isWhole)
        {
            Release();
            return Tier.None;
        }

        return lowest;
    }

    /// <summary>The next lease and what of it lies between <paramref name="position"/> and <paramref name="end"/>.</summary>
    /// <param name="lease">The caller's from now on; empty when there is none.</param>
    /// <param name="tier">Where it came from.</param>
    public bool TryNext(long position, long end, out BlockLease lease, out ReadOnlyMemory<byte> piece, out Tier tier)
    {
        if (_next == _count)
        {
            (lease, piece, tier) = (default, default, Tier.None);
            return false;
        }

        lease = _leases[_next];

        // Handed over: Release must not release it a second time.
        _leases[_next] = default;
        var offset = (int)(position - _starts[_next++]);
        piece = lease.Memory[offset..(int)Math.Min(lease.Length, offset + end - position)];
        tier = _tiers[_next - 1];
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

    /// <summary>Looked for before the first is taken: a taken block counts as used, and this read will come back to it if another is missing.</summary>
    private bool LieInMemory(ObjectLayout layout, ByteSpan span)
    {
        var looked = 0;
        for (var at = span.Offset; at < span.End; looked++)
        {
            if (looked == ReadContext.MaxLeases)
            {
                return false; // more than may be taken
            }

            var place = layout.BlockAt(at);
            if (!context.Tiers.IsInMemory(place.Id) && !context.Tiers.IsInMemory((place = layout.GranuleAt(at)).Id))
            {
                return false;
            }

            at = place.End;
        }

        return true;
    }

    private bool GiveBack()
    {
        Release();
        return false;
    }

    private readonly record struct Started(ValueTask<TierRead> Read);
}
