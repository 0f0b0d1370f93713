using Proxy.Cache.Fills;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

// The pieces that are not in memory: of NVMe, of a running fill, of a stream past the tiers. The headers have left, so an error here breaks the answer off.
internal sealed partial class CachedRead
{
    // A backend's bytes arrive in pieces as small as a segment; being woken and sending for each costs more than they do.
    private const int FillStepBytes = 128 << 10;

    // Who has begun cannot be told to come again, only be cut: it waits for a stream past the tiers, for less than the ten seconds of silence that clients take for a broken connection.
    private static readonly TimeSpan StreamPatience = TimeSpan.FromSeconds(8);

    private async ValueTask<ReadOnlyMemory<byte>> ReadSlowAsync(CancellationToken cancellation)
    {
        var looks = 0;
        try
        {
            while (true)
            {
                if (_stream.IsOpen)
                {
                    return Hand(await _stream.ReadAsync(_entry!.Id, _span.End - _position, cancellation), Tier.None);
                }

                if (_fill is not null)
                {
                    if (await ReadFillAsync(cancellation) is { Length: > 0 } piece)
                    {
                        return piece;
                    }

                    continue;
                }

                if (_ahead.Count > 0)
                {
                    var tier = await TryTakeAheadAsync(cancellation);
                    if (tier != Tier.None)
                    {
                        return Hand(_current.Memory, tier);
                    }

                    continue;
                }

                if (TryLeaseFromMemory())
                {
                    PrefetchAhead();
                    return Hand(_current.Memory, Tier.Memory);
                }

                if (await TryReadNvmeAsync(cancellation))
                {
                    PrefetchAhead();
                    return Hand(_current.Memory, Tier.Nvme);
                }

                var answer = context.Fills.JoinOrStart(_entry!, Remaining, _source!, join: true, out _fill);
                _brought.Add(_fill, _position);
                var isOutOfReach = answer == FillAnswer.OverBudget || (answer == FillAnswer.Cached && ++looks == MostLooks);
                if (isOutOfReach && !await TryOpenStreamAsync(StreamPatience, cancellation))
                {
                    throw BackendErrors.Broken(_entry!.Id, inner: null);
                }
            }
        }
        catch (S3Exception e)
        {
            // The headers have left: the only honest end is a broken one.
            throw BackendErrors.Broken(_entry!.Id, e);
        }
    }

    private async ValueTask<bool> TryReadNvmeAsync(CancellationToken cancellation)
    {
        var place = _entry!.Layout.BlockAt(_position);
        var offset = (int)(_position - place.Start);
        var length = (int)(Math.Min(place.End, _span.End) - _position);
        var reading = context.Tiers.ReadAsync(place.Id, offset, length, cancellation);
        if (!reading.IsCompleted)
        {
            // Begun before this one is waited for: the device has several to do at once.
            _ahead.Extend(_entry.Layout, place, _span);
        }

        var read = await reading;
        if (!read.Found)
        {
            _ahead.Clear();
            return false;
        }

        if (read.Lease.Length != length)
        {
            _ahead.Clear();
            read.Lease.Dispose();
            context.Tiers.Remove(place.Id);
            return false;
        }

        _current = read.Lease;
        return true;
    }

    private async ValueTask<Tier> TryTakeAheadAsync(CancellationToken cancellation)
    {
        var place = _entry!.Layout.BlockAt(_position);
        var read = await _ahead.TakeAsync(_position, cancellation);
        if (!read.Found)
        {
            _ahead.Clear();
            return Tier.None;
        }

        _current = read.Lease;
        _ahead.Extend(_entry.Layout, place, _span);
        return read.Tier;
    }

    /// <summary>Bytes of the running fill; empty when it has no more for us.</summary>
    private async ValueTask<ReadOnlyMemory<byte>> ReadFillAsync(CancellationToken cancellation)
    {
        var fill = _fill!;
        if (!fill.Covers(_position) || fill.AllPublished)
        {
            // Published blocks are leased one by one: this reader no longer keeps the whole range in memory. While one is being handed out it
            // stays, because the caller has consumed the last piece before it asks for the next.
            var again = fill.Covers(_position);
            if (!again || TryLeaseFromMemory())
            {
                LeaveFill();
                return again ? Hand(_current.Memory, Tier.None) : default;
            }
        }

        await fill.WaitAsync(_position, Math.Min(FillStepBytes, _span.End - _position), cancellation);
        var piece = fill.Peek(_position, _span.End);
        if (!piece.IsEmpty)
        {
            PrefetchAhead();
            return Hand(piece, Tier.None);
        }

        var (end, error) = (fill.End, fill.Error);
        LeaveFill();
        switch (end)
        {
            case FillEnd.VersionChanged or FillEnd.Failed:
                throw BackendErrors.Broken(_entry!.Id, error);
            case FillEnd.NoMemory when !await TryOpenStreamAsync(StreamPatience, cancellation):
                throw BackendErrors.Broken(_entry!.Id, inner: null);
            default:
                return default;
        }
    }

    private void PrefetchAhead()
    {
        var ahead = context.Options.Fills.ReadaheadBytes;
        var next = _fill is { } running ? running.StopsAt : _entry!.Layout.BlockAt(_position).End;
        if (ahead > 0 && next < _span.End && next > _prefetched && next - _position <= ahead)
        {
            _prefetched = next;
            context.Fills.Prefetch(_entry!, new ByteSpan(next, _span.End - next), _source!, Origin.Read, out var fill);
            _brought.Add(fill, _position);
        }
    }

    private ValueTask<bool> TryOpenStreamAsync(TimeSpan patience, CancellationToken cancellation) => _stream.TryOpenAsync(_entry!, Remaining, _source!, patience, cancellation);
}
